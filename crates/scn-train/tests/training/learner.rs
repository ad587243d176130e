//! Steps of an SDNet, whose first layer has a state besides its parameters, and what the layers of an SCN report of a step.

use burn::tensor::Device;
use scn_data::Batch;
use scn_models::{Model, Network, TrainingStep};
use scn_train::tensors::{Arrays, from_module, into_module};
use scn_train::{Collector, LayerFigures, Learner, Sums};

use crate::common::small;

fn learner(overrides: &[&str]) -> Learner {
    let experiment = small(overrides).experiment;
    let device = Device::flex().autodiff();
    let model = Model::new(&experiment.model, [1, 8, 8], 10, 1, &device).unwrap();
    Learner::new(model, &experiment.train, device)
}

fn sdnet() -> Learner {
    learner(&["model={kind=\"sdnet18\", csc={lambda=0.05}}"])
}

fn step(learner: &mut Learner, index: usize) -> Vec<LayerFigures> {
    collected(learner, index).figures(&learner.model).layers
}

/// What is collected of a step.
fn collected(learner: &mut Learner, index: usize) -> Collector {
    let pixels = (0..4 * 64)
        .map(|i| (0.7 * (i * (index + 1)) as f64).sin() as f32)
        .collect();
    let batch = Batch {
        index,
        images: pixels,
        shape: [4, 1, 8, 8],
        labels: vec![0, 3, 5, 9],
        records: (0..4).collect(),
    };
    let mut collector = Collector::new(Sums::default());
    let at = TrainingStep {
        number: index,
        ..TrainingStep::default()
    };
    learner.step(&batch, at, 0.05, &mut collector).unwrap();
    collector
}

#[test]
fn a_layer_without_any_code_is_told() {
    let silent = |model: &str| {
        let mut learner = learner(&[model]);
        let layer = collected(&mut learner, 0).silent_layer(&learner.model);
        layer.map(|layer| layer.name)
    };
    for (model, expected) in [
        ("model={kind=\"ml-csc\", threshold.minimum=0.03}", Some("layers.1")),
        ("model={kind=\"ml-csc\", threshold.minimum=100.0}", Some("layers.0")),
        ("model={kind=\"ml-csc\"}", None),
        ("model={kind=\"scn\", lambda1.initial=100.0}", Some("layers.0.coding")),
        ("model={kind=\"scn\"}", None),
        // It reports of one image only.
        ("model={kind=\"sdnet18\", csc.lambda=1000.0}", None),
        ("model={kind=\"resnet20\"}", None),
    ] {
        assert_eq!(silent(model).as_deref(), expected, "{model}");
    }
}

fn named<'a>(arrays: &'a Arrays, name: &str) -> &'a [f32] {
    &arrays[name].values
}

#[test]
fn an_sdnet_keeps_unit_atoms_and_goes_on_from_a_checkpoint_bit_for_bit() {
    let mut whole = sdnet();
    let before = from_module(&whole.model);
    step(&mut whole, 0);
    let (model, momentum) = (from_module(&whole.model), whole.optimizer.state());
    for atom in named(&model, "conv1.weight").chunks(9) {
        let norm = atom.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "an atom of norm {norm}");
    }
    for name in ["conv1.weight", "conv1.step_size", "conv1.direction"] {
        assert_ne!(named(&before, name), named(&model, name), "{name} has not moved");
    }

    let mut resumed = sdnet();
    resumed.model = into_module(resumed.model, &model).unwrap();
    let device = Device::flex();
    let roles = resumed.model.roles();
    resumed
        .optimizer
        .restore(&resumed.model, &roles, &momentum, &device)
        .unwrap();
    step(&mut whole, 1);
    step(&mut resumed, 1);
    let (whole, resumed) = (from_module(&whole.model), from_module(&resumed.model));
    assert_eq!(whole, resumed);
    assert_ne!(named(&whole, "conv1.step_size"), named(&model, "conv1.step_size"));
}

#[test]
fn the_layers_of_an_scn_report_the_systems_of_the_backward_pass() {
    let tolerance = "model.solver.backward_tolerance=1e-5";
    let layers = step(&mut learner(&["model.solver.tolerance=1e-5", tolerance]), 0);
    assert_eq!(layers.len(), 14);
    for LayerFigures {
        name, capped, backward, ..
    } in layers
    {
        let backward = backward.unwrap_or_else(|| panic!("{name} reports no backward solves"));
        assert_eq!((capped, backward.capped), (0, 0), "{name}: {backward:?}");
        // Rounding leaves a residual somewhere, and the tolerance bounds it everywhere.
        assert!(0.0 < backward.residual_mean && backward.residual_mean <= backward.residual_max);
        assert!(backward.residual_max <= 1e-5, "{name}: {backward:?}");
    }
    // The codes of an SDNet are unrolled: there is no system.
    assert!(step(&mut sdnet(), 0).iter().all(|layer| layer.backward.is_none()));
}

#[test]
fn solves_that_end_at_their_caps_are_counted() {
    let impossible = [
        "model.solver.tolerance=0.0",
        "model.solver.max_iterations=1",
        "model.solver.backward_tolerance=0.0",
        "model.solver.backward_max_iterations=1",
    ];
    let layers = step(&mut learner(&impossible), 0);
    // Four images of 8×8: so many solves in the first layer, and so many systems.
    let LayerFigures { capped, backward, .. } = &layers[0];
    let backward = backward.unwrap();
    assert!(0 < *capped && *capped <= 256, "{capped}");
    assert!(0 < backward.capped && backward.capped <= 256, "{backward:?}");
}

#[test]
fn an_sc_cnn_keeps_orthonormal_atoms_and_its_prior_after_every_step() {
    for keys in [
        "windows=[[9, 3], [16, 3]], prior={initial=0.06, minimum=0.05}",
        "windows=[[9, 3], [16, 3]], prior={initial=0.06, minimum=0.05, per_atom=false}, inference=\"full\"",
    ] {
        let mut learner = learner(&[&format!("model={{kind=\"sc-cnn\", {keys}}}")]);
        let mut reached = false;
        for index in 0..8 {
            let before = from_module(&learner.model);
            step(&mut learner, index);
            let after = from_module(&learner.model);
            for (name, places) in [("layers.0", 9), ("layers.1", 81)] {
                let weight = format!("{name}.weight");
                assert_ne!(named(&before, &weight), named(&after, &weight), "{name} has not moved");
                let atoms: Vec<_> = named(&after, &weight).chunks(places).collect();
                for (i, a) in atoms.iter().enumerate() {
                    for (j, b) in atoms.iter().enumerate() {
                        let product: f64 = a.iter().zip(*b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        let expected = f64::from(u8::from(i == j));
                        assert!((product - expected).abs() < 1e-5, "step {index}, {name}: {product}");
                    }
                }
                let lambdas = named(&after, &format!("{name}.lambda1"));
                assert!(lambdas.iter().all(|&lambda| lambda >= 0.05), "{lambdas:?}");
                reached |= lambdas.contains(&0.05);
            }
        }
        assert!(reached, "{keys}: no lambda came down to its minimum");
    }
}
