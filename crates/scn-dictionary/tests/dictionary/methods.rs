//! What each method infers, minimises and does to its dictionary.

use scn_dictionary::{DictionaryError, Learner, MethodKind, Signals, nearest_orthogonal};
use scn_solver::SimdLevel;
use scn_solver::kernels::lasso;

use crate::common::{atoms, columns, digits, dot, learn, residual, start};

/// Every method with atoms that fit 25 dimensions.
fn methods() -> Vec<(MethodKind, usize)> {
    MethodKind::ALL
        .iter()
        .map(|&kind| (kind, if kind.is_orthogonal() { 17 } else { 40 }))
        .collect()
}

#[test]
fn atoms_stay_orthonormal_after_every_step() {
    for count in [1, 7, 25] {
        for &kind in MethodKind::ALL.iter().filter(|kind| kind.is_orthogonal()) {
            let lines = if kind == MethodKind::OrthogonalL0 {
                "nonzeros = 1"
            } else {
                ""
            };
            let (mut learner, mut patches) = start(&digits(kind.name(), count, lines));
            let mut before = learner.dictionary().atoms.clone();
            for step in 0..12 {
                let deviation = learner.dictionary().orthogonality();
                assert!(
                    deviation < 1e-5,
                    "{} of {count} at step {step}: {deviation}",
                    kind.name()
                );
                let signals = patches.batch(0, step, 100).unwrap();
                learner.step(step as usize, &signals).unwrap();
                assert_ne!(learner.dictionary().atoms, before, "{}: nothing learned", kind.name());
                before.clone_from(&learner.dictionary().atoms);
            }
        }
    }
}

#[test]
fn atoms_of_the_other_methods_have_norm_1() {
    for (kind, count) in methods().into_iter().filter(|(kind, _)| !kind.is_orthogonal()) {
        let (mut learner, mut patches) = start(&digits(kind.name(), count, ""));
        learn(&mut learner, &mut patches, 5, 200);
        for atom in atoms(&learner) {
            assert!((dot(&atom, &atom) - 1.0).abs() < 1e-5, "{}", kind.name());
        }
    }
}

#[test]
fn soft_thresholds_are_what_the_solver_finds_for_orthonormal_atoms() {
    for name in ["orthogonal", "orthogonal-per-atom"] {
        let (mut learner, mut patches) = start(&digits(name, 19, "lambda = 0.3"));
        learn(&mut learner, &mut patches, 3, 300);
        let signals = patches.evaluation(101).unwrap();
        let (codes, _) = learner.codes(&signals).unwrap();
        let lambda = learner.lambda().unwrap();
        let solved = lasso(
            signals.values(),
            &learner.dictionary().atoms,
            &lambda,
            1e-6,
            100,
            SimdLevel::detect(),
        );
        let differences = codes
            .values()
            .iter()
            .zip(solved.unwrap().codes)
            .map(|(a, b)| (a - b).abs());
        assert!(differences.fold(0.0, f32::max) < 1e-4, "{name}");
        let alike = lambda.iter().all(|value| *value == lambda[0]);
        assert_eq!(alike, name == "orthogonal");
    }
}

#[test]
fn iterated_codes_meet_the_optimality_conditions() {
    for (name, signed) in [("classical", true), ("non-negative", false)] {
        let (mut learner, mut patches) = start(&digits(name, 40, "tolerance = 1e-6\nmax_iterations = 5000"));
        learn(&mut learner, &mut patches, 3, 300);
        let signals = patches.evaluation(101).unwrap();
        let (codes, figures) = learner.codes(&signals).unwrap();
        let atoms = atoms(&learner);
        let mut kinds = [0; 3];
        for (x, codes) in columns(&signals).iter().zip(columns(&codes)) {
            let residual = residual(x, &codes, &atoms);
            for (code, atom) in codes.into_iter().zip(&atoms) {
                let correlation = dot(&residual, atom);
                let excess = match code {
                    0.0 if signed => correlation.abs() - 0.1,
                    0.0 => correlation - 0.1,
                    code => (correlation - 0.1 * code.signum()).abs(),
                };
                assert!(excess < 1e-3, "{name}: {excess} at {code}");
                kinds[if code == 0.0 {
                    0
                } else if code > 0.0 {
                    1
                } else {
                    2
                }] += 1;
            }
        }
        assert_eq!(kinds.map(|count| count > 0), [true, true, signed], "{name}");
        assert!(figures.residual.unwrap() < 1e-5);
    }
}

#[test]
fn ridge_codes_are_where_the_gradient_vanishes() {
    let (mut learner, mut patches) = start(&digits("ridge", 40, "lambda = 0.7"));
    learn(&mut learner, &mut patches, 3, 300);
    let signals = patches.evaluation(50).unwrap();
    let (codes, _) = learner.codes(&signals).unwrap();
    let atoms = atoms(&learner);
    for (x, codes) in columns(&signals).iter().zip(columns(&codes)) {
        let residual = residual(x, &codes, &atoms);
        for (code, atom) in codes.iter().zip(&atoms) {
            assert!((dot(&residual, atom) - 0.7 * code).abs() < 1e-4);
        }
    }
}

/// Against all supports of that size.
#[test]
fn the_largest_products_are_the_best_codes_of_their_number() {
    let (mut learner, mut patches) = start(&digits("orthogonal-l0", 8, "nonzeros = 3"));
    learn(&mut learner, &mut patches, 3, 300);
    let signals = patches.evaluation(60).unwrap();
    let (codes, figures) = learner.codes(&signals).unwrap();
    let atoms = atoms(&learner);
    for (x, codes) in columns(&signals).iter().zip(columns(&codes)) {
        let error = |codes: &[f64]| {
            let residual = residual(x, codes, &atoms);
            dot(&residual, &residual)
        };
        assert_eq!(codes.iter().filter(|code| **code != 0.0).count(), 3);
        let products: Vec<f64> = atoms.iter().map(|atom| dot(atom, x)).collect();
        for support in (0u32..256).filter(|support| support.count_ones() == 3) {
            let of_support = |(j, product): (usize, &f64)| if support >> j & 1 == 1 { *product } else { 0.0 };
            let other: Vec<f64> = products.iter().enumerate().map(of_support).collect();
            assert!(error(&codes) <= error(&other) + 1e-4);
        }
    }
    assert_eq!(figures.activity, 3.0 / 8.0);
}

/// The objective by its definition, a patch at a time.
#[test]
fn the_objective_is_that_of_the_definition() {
    for (kind, count) in methods() {
        let (mut learner, mut patches) = start(&digits(kind.name(), count, ""));
        learn(&mut learner, &mut patches, 2, 300);
        let signals = patches.evaluation(77).unwrap();
        let (codes, figures) = learner.codes(&signals).unwrap();
        let (atoms, lambda) = (atoms(&learner), learner.lambda());
        let (mut reconstruction, mut penalty) = (0.0, 0.0);
        for (x, codes) in columns(&signals).iter().zip(columns(&codes)) {
            let residual = residual(x, &codes, &atoms);
            reconstruction += 0.5 * dot(&residual, &residual);
            for (j, code) in codes.iter().enumerate() {
                let lambda = lambda.as_ref().map_or(0.0, |lambda| f64::from(lambda[j]));
                penalty += match kind {
                    MethodKind::Ridge => 0.5 * lambda * code * code,
                    MethodKind::FastIca => code.cosh().ln(),
                    MethodKind::OrthogonalL0 => 0.0,
                    MethodKind::Classical
                    | MethodKind::NonNegative
                    | MethodKind::Orthogonal
                    | MethodKind::OrthogonalPerAtom => lambda * code.abs(),
                };
            }
        }
        if kind == MethodKind::FastIca {
            reconstruction = 0.0;
        }
        let expected = (reconstruction + penalty) / 77.0;
        let name = kind.name();
        assert!(
            (figures.objective - expected).abs() < 1e-4 * expected,
            "{name}: {figures:?}, {expected}"
        );
        assert!(
            (figures.penalty - penalty / 77.0).abs() < 1e-4 * expected,
            "{name}: {figures:?}"
        );
    }
}

/// But for independent components: the iteration also finds those that make the contrast largest.
#[test]
fn every_method_lowers_its_objective() {
    for (kind, count) in methods().into_iter().filter(|(kind, _)| *kind != MethodKind::FastIca) {
        let (mut learner, mut patches) = start(&digits(kind.name(), count, ""));
        let signals = patches.evaluation(500).unwrap();
        let before = learner.codes(&signals).unwrap().1.objective;
        learn(&mut learner, &mut patches, 30, 500);
        let after = learner.codes(&signals).unwrap().1.objective;
        assert!(after < 0.99 * before, "{}: {before} to {after}", kind.name());
    }
}

/// 25 Laplacian sources of variance 1, turned by a random rotation, are taken apart: up to order and sign the atoms are the
/// columns of the rotation.
#[test]
fn independent_components_are_found() {
    const SOURCES: usize = 25;
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let square: Vec<f64> = (0..SOURCES * SOURCES).map(|_| uniform() - 0.5).collect();
    let rotation = nearest_orthogonal(&square, SOURCES).unwrap();
    let mut mixed = Vec::new();
    for _ in 0..20_000 {
        let mut mixture = [0.0f32; SOURCES];
        for source in rotation.chunks_exact(SOURCES) {
            let u = uniform() - 0.5;
            let laplacian = -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-12).ln() / 2f64.sqrt();
            mixture
                .iter_mut()
                .zip(source)
                .for_each(|(m, q)| *m += laplacian as f32 * q);
        }
        mixed.extend(mixture);
    }
    let signals = Signals::centred(&mixed, &[0.0; SOURCES]);
    let experiment = digits("fast-ica", SOURCES, "");
    let mut learner = Learner::new(&experiment.dictionary, &signals).unwrap();
    let overlap = |learner: &Learner| -> f32 {
        let best = |atom: &[f32]| {
            let products = rotation.chunks_exact(SOURCES).map(|source| {
                let product: f32 = source.iter().zip(atom).map(|(q, w)| q * w).sum();
                product.abs()
            });
            products.fold(0.0, f32::max)
        };
        let atoms = (0..SOURCES).map(|index| best(learner.dictionary().atom(index)));
        atoms.fold(1.0, f32::min)
    };
    assert!(overlap(&learner) < 0.6);
    for step in 0..30 {
        learner.step(step, &signals).unwrap();
    }
    assert!(overlap(&learner) > 0.98, "{}", overlap(&learner));
}

#[test]
fn a_lambda_without_codes_is_an_error_after_the_first_batch() {
    for kind in ["classical", "non-negative", "orthogonal", "orthogonal-per-atom"] {
        let (mut learner, mut patches) = start(&digits(kind, 20, "lambda = 1e4"));
        let signals = patches.batch(0, 0, 100).unwrap();
        let refused = learner.step(0, &signals).unwrap_err();
        assert!(
            matches!(refused, DictionaryError::NoCodes { lambda: 1e4, .. }),
            "{kind}: {refused}"
        );
        let message = refused.to_string();
        assert!(
            message.contains("dictionary.lambda is 10000") && message.contains("the largest product"),
            "{message}"
        );
    }
}
