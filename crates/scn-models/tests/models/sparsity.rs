//! What inference changes about the sparsity of codes, and the residual that it is chosen by.

use burn::tensor::{Device, Tensor};
use scn_models::{Model, ModelConfig, Network, Pass, Sparsity};
use scn_ops::convolve2d_adjoint;

use crate::common::{config, images, scn, scn_config, sdnet, table, tensor, values};

const IMAGE: [usize; 3] = [3, 8, 7];
const BATCH: usize = 3;

fn network(config: &ModelConfig) -> Model {
    Model::new(config, IMAGE, 10, 4, &Device::flex()).unwrap()
}

/// An SCN or an SCN-18 whose solves are exact enough to compare.
fn coded(kind: &str, lambda1: f64) -> ModelConfig {
    table(&format!(
        "kind = \"{kind}\"
        lambda1.initial = {lambda1:?}
        solver = {{ tolerance = 1e-7, max_iterations = 5000, lambda2 = 0.05 }}"
    ))
}

fn with_lambda(lambda: f64) -> ModelConfig {
    table(&format!("kind = \"sdnet18\"\ncsc.lambda = {lambda:?}"))
}

fn input() -> Tensor<4> {
    let [channels, height, width] = IMAGE;
    images([BATCH, channels, height, width], 11, &Device::flex())
}

fn logits(model: &Model, sparsity: Option<&[f32]>) -> Vec<f64> {
    let sparsity = sparsity.map(|values| tensor(values.to_vec(), [values.len()], &Device::flex()));
    values(&model.forward(input(), &Pass::Evaluation { sparsity }).logits)
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.0);
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{found}, expected {expected}"
        );
    }
}

#[test]
fn lambda_is_that_of_the_first_layer_for_each_image() {
    let lambdas = [0.02f32, 0.1, 0.4];
    let model = network(&with_lambda(0.1));
    assert_eq!(model.sparsity(), Some(Sparsity::Lambda(0.1)));
    let found = logits(&model, Some(&lambdas));
    let mut separate = Vec::new();
    for (image, &lambda) in lambdas.iter().enumerate() {
        // λ has no part in the initial weights.
        let all = logits(&network(&with_lambda(f64::from(lambda))), None);
        separate.extend_from_slice(&all[image * 10..(image + 1) * 10]);
    }
    assert_close(&found, &separate, 1e-5);
    assert!(
        logits(&model, None)
            .iter()
            .zip(&found)
            .any(|(a, b)| (a - b).abs() > 1e-4)
    );
    assert_eq!(logits(&model, Some(&[0.1])), logits(&model, None));
}

#[test]
fn a_factor_is_one_on_lambda1_for_each_image() {
    for kind in ["scn", "scn18"] {
        let factors = [0.5f32, 1.0, 3.0];
        let model = network(&coded(kind, 0.002));
        assert_eq!(model.sparsity(), Some(Sparsity::Factor));
        let found = logits(&model, Some(&factors));
        let mut separate = Vec::new();
        for (image, &factor) in factors.iter().enumerate() {
            let all = logits(&network(&coded(kind, 0.002 * f64::from(factor))), None);
            separate.extend_from_slice(&all[image * 10..(image + 1) * 10]);
        }
        assert_close(&found, &separate, 2e-4);
        let trained = logits(&model, None);
        let moved = trained
            .iter()
            .zip(&found)
            .any(|(a, b)| (a - b).abs() > 2e-3 * a.abs().max(1e-6));
        assert!(moved, "{kind}: the factor changes nothing");
    }
}

#[test]
fn networks_without_codes_have_no_sparsity() {
    for kind in ["resnet20", "preact-resnet164"] {
        let model = network(&config(kind));
        assert_eq!(model.sparsity(), None);
        assert!(model.residual(input()).is_none());
        assert_eq!(logits(&model, Some(&[5.0])), logits(&model, None));
    }
}

#[test]
fn the_residual_of_a_convolutional_code_is_the_mean_square() {
    let model = network(&with_lambda(0.3));
    let found = values(&model.residual(input()).unwrap());
    let coding = sdnet(model).conv1;
    let codes = coding.forward(input(), None);
    let signal = convolve2d_adjoint(codes, coding.weight.val(), 1, [IMAGE[1], IMAGE[2]]);
    let differences = values(&(input() - signal));
    let expected: Vec<f64> = differences
        .chunks(differences.len() / BATCH)
        .map(|image| image.iter().map(|value| value * value).sum::<f64>() / image.len() as f64)
        .collect();
    assert_close(&found, &expected, 1e-5);
}

#[test]
fn the_residual_of_patches_is_the_mean_square() {
    for kind in ["scn", "scn18"] {
        let mut model = network(&coded(kind, 0.01));
        let found = values(&model.residual(input()).unwrap());
        let (codes, weight) = match kind {
            "scn" => {
                let layer = &scn(&mut model).layers[0];
                // Its batch norm has mean 0, variance 1 and ε 1e-4.
                (layer.forward(input(), &Pass::EVALUATION).0, layer.coding.weight.val())
            }
            _ => match model {
                Model::ScnResNet(network) => {
                    let coding = network.conv1;
                    (coding.forward(input(), None, None).0, coding.weight.val())
                }
                _ => panic!("another network"),
            },
        };
        let scale = if kind == "scn" {
            (1.0f64 + 1e-4).sqrt().recip()
        } else {
            1.0
        };
        let [channels, height, width] = IMAGE;
        let (atoms, x, codes, weight) = (weight.dims()[0], values(&input()), values(&codes), values(&weight));
        let pixels = height * width;
        let mut expected = vec![0.0; BATCH];
        for (image, expected) in expected.iter_mut().enumerate() {
            for place in 0..pixels * channels * 9 {
                let (pixel, within) = (place / (channels * 9), place % (channels * 9));
                let (channel, down, across) = (within / 9, within % 9 / 3, within % 3);
                let (y, z) = (
                    (pixel / width + down).wrapping_sub(1),
                    (pixel % width + across).wrapping_sub(1),
                );
                let value = match y < height && z < width {
                    true => scale * x[((image * channels + channel) * height + y) * width + z],
                    false => 0.0,
                };
                let fitted: f64 = (0..atoms)
                    .map(|atom| codes[(image * atoms + atom) * pixels + pixel] * weight[atom * channels * 9 + within])
                    .sum();
                *expected += (value - fitted).powi(2) / (pixels * channels * 9) as f64;
            }
        }
        assert_close(&found, &expected, 1e-4);
    }
}

#[test]
fn an_scn_as_sparse_as_in_training_is_itself() {
    let model = network(&scn_config(1, 16));
    assert_close(&logits(&model, Some(&[1.0])), &logits(&model, None), 2e-2);
}
