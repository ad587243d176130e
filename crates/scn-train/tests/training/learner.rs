//! Steps of an SDNet, whose first layer has a state besides its parameters.

use burn::tensor::Device;
use scn_data::Batch;
use scn_models::{Model, Network};
use scn_train::tensors::{Arrays, from_module, into_module};
use scn_train::{Collector, Learner, Sgd, Sums};

use crate::common::small;

fn learner() -> Learner {
    let experiment = small(&["model={kind=\"sdnet18\", csc={lambda=0.05}}"]).experiment;
    let device = Device::flex().autodiff();
    Learner {
        model: Model::new(&experiment.model, [1, 8, 8], 10, 1, &device).unwrap(),
        optimizer: Sgd::new(experiment.train.optimizer, None),
        label_smoothing: 0.0,
        device,
    }
}

fn step(learner: &mut Learner, index: usize) {
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
    learner.step(&batch, 0.05, &mut collector).unwrap();
}

fn named<'a>(arrays: &'a Arrays, name: &str) -> &'a [f32] {
    &arrays[name].values
}

#[test]
fn an_sdnet_keeps_unit_atoms_and_goes_on_from_a_checkpoint_bit_for_bit() {
    let mut whole = learner();
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

    let mut resumed = learner();
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
