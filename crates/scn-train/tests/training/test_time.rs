//! Logits averaged over views, against views that are made pixel by pixel.

use burn::tensor::{Device, Tensor, TensorData};
use scn_data::Loader;
use scn_models::{Model, Network, Pass};
use scn_train::loss::Counts;
use scn_train::{Evaluation, Splits, StopFlag, TestTime, evaluate};

use crate::common::small;

const SIDE: isize = 8;

/// Whether a view is mirrored, by how many pixels it is moved, and its weight.
type Views = &'static [(bool, isize, f64)];

/// The view: mirrored or not, moved down and to the right by so many pixels.
fn view(pixels: &[f32], mirrored: bool, moved: isize) -> Vec<f32> {
    let mut seen = Vec::new();
    for image in pixels.chunks(64) {
        for y in 0..SIDE {
            for x in 0..SIDE {
                let column = if mirrored { SIDE - 1 - x } else { x };
                let (row, column) = (y - moved, column - moved);
                let inside = (0..SIDE).contains(&row) && (0..SIDE).contains(&column);
                seen.push(if inside {
                    image[(row * SIDE + column) as usize]
                } else {
                    0.0
                });
            }
        }
    }
    seen
}

fn model() -> Model {
    let config = small(&["model.width=1"]).experiment.model;
    Model::new(&config, [1, 8, 8], 10, 5, &Device::flex()).unwrap()
}

fn loader() -> Loader {
    let data = small(&[]).experiment.data;
    Splits::load(&data, 0).unwrap().test
}

fn found(test_time: TestTime) -> Evaluation {
    evaluate(
        &model(),
        &loader(),
        10,
        test_time,
        &Device::flex(),
        &StopFlag::default(),
    )
    .unwrap()
}

#[test]
fn views_are_weighted_as_described() {
    let model = model();
    let cases: [(TestTime, Views); 3] = [
        (TestTime::None, &[(false, 0, 1.0)]),
        (TestTime::Flip, &[(false, 0, 0.5), (true, 0, 0.5)]),
        (
            TestTime::FlipShift,
            &[
                (false, 0, 0.25),
                (true, 0, 0.25),
                (false, 1, 0.125),
                (true, 1, 0.125),
                (false, -1, 0.125),
                (true, -1, 0.125),
            ],
        ),
    ];
    let mut losses = Vec::new();
    for (test_time, views) in cases {
        let mut counts = Counts::default();
        for batch in loader().epoch(0, 0) {
            let mut mean = vec![0.0f64; batch.labels.len() * 10];
            for &(mirrored, moved, weight) in views {
                let pixels = view(&batch.images, mirrored, moved);
                let input = Tensor::from_data(TensorData::new(pixels, batch.shape), &Device::flex());
                let logits = model.forward(input, &Pass::EVALUATION).logits.into_data();
                for (mean, logit) in mean.iter_mut().zip(logits.iter::<f64>()) {
                    *mean += weight * logit;
                }
            }
            let logits: Vec<f32> = mean.into_iter().map(|logit| logit as f32).collect();
            counts.add(&Counts::of(&logits, &batch.labels, 0.0));
        }
        let figures = found(test_time).figures;
        let expected = counts.loss / counts.images as f64;
        assert!(
            (figures.loss - expected).abs() < 1e-6 * expected,
            "{test_time:?}: {}, expected {expected}",
            figures.loss
        );
        assert_eq!(figures.images, 60);
        losses.push(figures.loss);
    }
    assert!(losses[0] != losses[1] && losses[1] != losses[2], "{losses:?}");
}

#[test]
fn layers_report_of_the_images_themselves() {
    assert_eq!(
        found(TestTime::FlipShift).figures.layers,
        found(TestTime::None).figures.layers
    );
}
