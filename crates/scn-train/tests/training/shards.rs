//! Steps that take their batches in parts, against a step on each part alone.

use std::iter::once;

use burn::tensor::Device;
use scn_data::Batch;
use scn_models::{Model, TrainingStep};
use scn_train::tensors::{Arrays, from_module};
use scn_train::{Collector, Learner, Sums};

use crate::common::small;

const RATE: f64 = 0.1;

/// Plain descent: a step leaves `w − rate·gradient`.
fn learner(shards: usize) -> Learner {
    let experiment = small(&[
        "model={kind=\"resnet20\"}",
        "train.optimizer={momentum=0, weight_decay=0}",
        &format!("train.shards={shards}"),
    ])
    .experiment;
    let device = Device::flex().autodiff();
    let model = Model::new(&experiment.model, [1, 8, 8], 10, 1, &device).unwrap();
    Learner::new(model, &experiment.train, device)
}

fn batch(images: std::ops::Range<usize>) -> Batch {
    let pixel = |i: usize| (0.7 * i as f64 + 0.3 * (i / 64) as f64).sin() as f32;
    Batch {
        index: 0,
        images: (64 * images.start..64 * images.end).map(pixel).collect(),
        shape: [images.len(), 1, 8, 8],
        labels: images.clone().map(|i| (i * 3 % 10) as i32).collect(),
        records: images.map(|i| i as u32).collect(),
    }
}

/// The tensors after a step, and the mean loss and the images of it.
fn stepped(learner: &mut Learner, batch: &Batch, rate: f64) -> (Arrays, f64, usize) {
    let mut collector = Collector::new(Sums::default());
    let counts = learner
        .step(batch, TrainingStep::default(), rate, &mut collector)
        .unwrap();
    assert_eq!(collector.images(), counts.images);
    (
        from_module(&learner.model),
        counts.loss / counts.images as f64,
        counts.images,
    )
}

#[test]
fn a_step_is_the_mean_of_steps_on_its_parts() {
    for (shards, images, ranges) in [
        (2, 8, vec![0..4, 4..8]),
        (4, 8, vec![0..2, 2..4, 4..6, 6..8]),
        // The last batch of an epoch: parts that are not of one size, fewer of them, and none of a single image.
        (2, 5, vec![0..3, 3..5]),
        (4, 6, vec![0..2, 2..4, 4..6]),
        (2, 3, once(0..3).collect()),
        (4, 5, vec![0..2, 2..5]),
        (1, 8, once(0..8).collect()),
    ] {
        let (found, loss, counted) = stepped(&mut learner(shards), &batch(0..images), RATE);
        let alone: Vec<_> = ranges
            .iter()
            .map(|range| stepped(&mut learner(1), &batch(range.clone()), RATE))
            .collect();
        let mean = |value: &dyn Fn(&(Arrays, f64, usize)) -> f64| -> f64 {
            let parts = alone.iter().map(|part| value(part) * part.2 as f64);
            parts.sum::<f64>() / images as f64
        };
        assert_eq!(counted, images);
        assert!((loss - mean(&|part| part.1)).abs() < 1e-6, "{shards} of {images}");
        let before = from_module(&learner(1).model);
        let mut moved = 0.0f64;
        for (name, array) in found.iter().filter(|(name, _)| !name.contains("running")) {
            for (i, value) in array.values.iter().enumerate() {
                let expected = mean(&|part| f64::from(part.0[name].values[i]));
                let change = f64::from(*value) - f64::from(before[name].values[i]);
                let distance = (f64::from(*value) - expected).abs();
                assert!(
                    distance <= 1e-6 + 1e-4 * change.abs(),
                    "{shards} of {images}, {name}: {value}, expected {expected}"
                );
                moved = moved.max(change.abs());
            }
        }
        assert!(moved > 1e-2, "hardly any weight has moved");
    }
}

#[test]
fn each_part_has_its_own_batch_norm_statistics() {
    let (found, ..) = stepped(&mut learner(2), &batch(0..8), RATE);
    // At a learning rate of 0 the weights stay, and running statistics follow part by part.
    let mut one_by_one = learner(1);
    stepped(&mut one_by_one, &batch(0..4), 0.0);
    let (expected, ..) = stepped(&mut one_by_one, &batch(4..8), 0.0);
    let (together, ..) = stepped(&mut learner(1), &batch(0..8), RATE);
    let mut compared = 0;
    for name in found.keys().filter(|name| name.contains("running")) {
        assert_eq!(found[name], expected[name], "{name}");
        assert_ne!(found[name], together[name], "{name}");
        compared += 1;
    }
    assert!(compared > 0);
}
