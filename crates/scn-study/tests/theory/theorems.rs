//! The theorems hold on simulated signals inside their conditions, and only there.

use scn_study::theory::simulate::{Options, Report, Theorem, TheoremReport, study};

/// Sparse ones of each model.
const SIGNALS: usize = 480;
const OPTIONS: Options = Options {
    signals: SIGNALS,
    noise: 5e-4,
    seed: 11,
};

fn of(report: &Report, theorem: Theorem) -> Vec<&TheoremReport> {
    let all = report.models.iter().flat_map(|model| &model.theorems);
    all.filter(|found| found.theorem == theorem).collect()
}

#[test]
fn promises_are_kept_inside_the_conditions_and_broken_outside() {
    let report = study(OPTIONS);
    for theorem in Theorem::ALL {
        let found = of(&report, theorem);
        let inside: usize = found.iter().map(|found| found.inside.signals).sum();
        assert!(inside >= 1000, "{theorem:?}: {inside} signals inside");
        for (found, model) in found.iter().zip(&report.models) {
            let inside = &found.inside;
            assert_eq!(inside.kept, inside.signals, "{}, {theorem:?}: {inside:?}", model.name);
            assert_eq!(inside.uncertified, 0, "{}, {theorem:?}", model.name);
            assert_eq!(inside.signals + found.outside.signals, SIGNALS + SIGNALS / 20);
        }
        // Of certified solves: not having solved the problem would be no failure of the pursuit.
        let broken = |found: &&TheoremReport| {
            let outside = &found.outside;
            outside.signals - outside.kept > outside.uncertified
        };
        assert!(found.iter().any(broken), "{theorem:?} never fails outside: {found:?}");
    }
    // The bounds are not so loose that the tests could not fail.
    let worst = |theorem| {
        of(&report, theorem)
            .iter()
            .map(|found| found.inside.worst_error)
            .fold(0.0, f64::max)
    };
    assert!(worst(Theorem::Thresholding) > 0.5, "{}", worst(Theorem::Thresholding));
    assert!(worst(Theorem::BasisPursuit) > 0.05, "{}", worst(Theorem::BasisPursuit));
    for model in &report.models {
        assert!(model.layers.iter().all(|layer| layer.coherence > 0.0), "{model:?}");
    }
}

#[test]
fn a_simulation_depends_on_its_seed_and_not_on_threads() {
    let few = Options { signals: 3, ..OPTIONS };
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let report = alone.install(|| study(few));
    let several = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(report, several.install(|| study(few)));
    assert_ne!(report.models, study(Options { seed: 12, ..few }).models);
}
