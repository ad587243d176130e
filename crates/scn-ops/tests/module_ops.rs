//! Batch normalisation and plain convolutions against burn's own on every device, and a normalisation that a layer
//! applies as it reads its input against one in front of it.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::module::{batch_norm, batch_norm_train, conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor};
use common::{devices, options, random, tensor, values};
use scn_ops::{
    Normalization, Statistics, channel_moments, convolve2d, convolve2d_adjoint, normalize, normalize_batch,
    normalized_sparse_code2d, sparse_code2d,
};
use scn_solver::Method;

const SHAPE: [usize; 4] = [3, 4, 5, 2];
const EPSILON: f64 = 1e-4;

#[track_caller]
fn assert_close(name: &str, found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (which, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{name}, tensor {which}");
        let scale = expected.iter().fold(1e-2f64, |max, value| max.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(
                error <= tolerance * scale,
                "{name}, tensor {which}: {found}, expected {expected}"
            );
        }
    }
}

/// A tensor of noise that wants a gradient.
fn noise<const D: usize>(seed: u64, scale: f64, shape: [usize; D], device: &Device) -> Tensor<D> {
    tensor(&random(seed, shape.iter().product(), scale), shape, device).require_grad()
}

/// The outputs of `compute` and the gradients of `inputs` under a weighted sum of the first output.
fn with_gradients<const D: usize>(output: Tensor<4>, x: &Tensor<4>, other: &Tensor<D>) -> Vec<Vec<f64>> {
    let weights: Tensor<4> = tensor(
        &random(9, output.dims().iter().product(), 1.0),
        output.dims(),
        &output.device(),
    );
    let gradients = (output.clone() * weights).sum().backward();
    vec![
        values(output.without_autodiff()),
        values(x.grad(&gradients).unwrap()),
        values(other.grad(&gradients).unwrap()),
    ]
}

#[test]
fn batch_norm_is_that_of_burn() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let inputs = || {
            let x: Tensor<4> = noise(1, 2.0, SHAPE, &device);
            let (weight, bias) = (noise(2, 1.0, [SHAPE[1]], &device), noise(3, 1.0, [SHAPE[1]], &device));
            (x, weight, bias)
        };
        let (x, weight, bias) = inputs();
        let (output, mean, variance) = normalize_batch(x.clone(), weight.clone(), bias.clone(), EPSILON);
        let mut ours = with_gradients(output, &x, &weight);
        ours.extend([values(mean), values(variance)]);
        let moments = channel_moments(x);
        ours.extend([values(moments.0), values(moments.1)]);

        let (x, weight, bias) = inputs();
        let result = batch_norm_train(x.clone(), weight.clone(), bias.clone(), EPSILON);
        let mut burns = with_gradients(result.output, &x, &weight);
        for _ in 0..2 {
            let (mean, variance) = (result.mean.clone(), result.variance.clone());
            burns.extend([values(mean.without_autodiff()), values(variance.without_autodiff())]);
        }
        assert_close(name, &ours, &burns, 1e-5);

        let (x, weight, bias) = inputs();
        let (output, ..) = normalize_batch(x.clone(), weight, bias.clone(), EPSILON);
        let ours = with_gradients(output, &x, &bias);
        let (x, weight, bias) = inputs();
        let result = batch_norm_train(x.clone(), weight, bias.clone(), EPSILON);
        assert_close(name, &ours, &with_gradients(result.output, &x, &bias), 1e-5);
    }
}

#[test]
fn a_normalisation_by_given_statistics_is_that_of_burn() {
    for (name, device) in devices() {
        for [batch, height, width] in [[2, 5, 7], [3, 4, 8], [1, 1, 1], [0, 3, 3]] {
            let channels = 5;
            let shape = [batch, channels, height, width];
            let x: Tensor<4> = tensor(&random(11, shape.iter().product(), 2.0), shape, &device);
            let of_channels = |seed| tensor::<1>(&random(seed, channels, 1.0), [channels], &device);
            let [weight, bias, mean, spread] = [12, 13, 14, 15].map(of_channels);
            let variance = spread.clone() * spread;
            let inputs = || (weight.clone(), bias.clone(), mean.clone(), variance.clone());
            let (weight, bias, mean, variance) = inputs();
            let ours = normalize(x.clone(), weight, bias, mean, variance, EPSILON);
            let (weight, bias, mean, variance) = inputs();
            let burns = batch_norm(x, weight, bias, mean, variance, EPSILON);
            assert_eq!(ours.dims(), burns.dims());
            let name = format!("{name}: {batch} images of {height}×{width}");
            assert_close(&name, &[values(ours)], &[values(burns)], 1e-5);
        }
    }
}

#[test]
fn convolutions_are_those_of_burn() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for (x_shape, weight_shape, stride) in [
            ([2, 3, 7, 9], [5, 3, 3, 3], 1),
            ([2, 4, 8, 16], [6, 4, 3, 3], 2),
            ([3, 2, 5, 5], [4, 2, 1, 1], 2),
        ] {
            let inputs = || {
                let x: Tensor<4> = noise(4, 1.0, x_shape, &device);
                (x, noise::<4>(5, 1.0, weight_shape, &device))
            };
            let (x, weight) = inputs();
            let ours = with_gradients(convolve2d(x.clone(), weight.clone(), stride), &x, &weight);
            let (x, weight) = inputs();
            let padding = weight_shape[2] / 2;
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            let burns = with_gradients(conv2d(x.clone(), weight.clone(), None, options), &x, &weight);
            assert_close(&format!("{name} {x_shape:?}"), &ours, &burns, 1e-5);
        }
    }
}

#[test]
fn adjoints_of_convolutions_are_the_transposed_convolutions_of_burn() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for ([height, width], weight_shape, stride) in [
            ([7, 9], [5, 3, 3, 3], 1),
            ([8, 16], [6, 4, 3, 3], 2),
            ([9, 8], [6, 2, 5, 5], 2),
            ([5, 5], [4, 2, 1, 1], 2),
        ] {
            let [atoms, _, kernel, _] = weight_shape;
            let grid = [height, width].map(|side: usize| side.div_ceil(stride));
            let inputs = || {
                let codes: Tensor<4> = noise(8, 1.0, [2, atoms, grid[0], grid[1]], &device);
                (codes, noise::<4>(5, 1.0, weight_shape, &device))
            };
            let (codes, weight) = inputs();
            let output = convolve2d_adjoint(codes.clone(), weight.clone(), stride, [height, width]);
            let ours = with_gradients(output, &codes, &weight);
            let (codes, weight) = inputs();
            let left = [height - 1 - stride * (grid[0] - 1), width - 1 - stride * (grid[1] - 1)];
            let options = ConvTransposeOptions::new([stride; 2], [kernel / 2; 2], left, [1; 2], 1);
            let output = conv_transpose2d(codes.clone(), weight.clone(), None, options);
            let burns = with_gradients(output, &codes, &weight);
            assert_close(&format!("{name} {weight_shape:?}"), &ours, &burns, 1e-5);
        }
    }
}

#[test]
fn a_normalisation_that_a_layer_applies_is_one_in_front_of_it() {
    let options = options(Method::CoordinateDescent, 0.1, 1e-6, 300);
    for (name, device) in devices() {
        let device = device.autodiff();
        let inputs = || {
            let x: Tensor<4> = noise(6, 1.0, [2, 3, 4, 5], &device);
            let lambda1: Tensor<1> = tensor(&[0.05], [1], &device);
            (x, noise::<4>(7, 0.4, [6, 3, 3, 3], &device), lambda1)
        };
        let (x, weight, lambda1) = inputs();
        let (mean, variance) = channel_moments(x.clone());
        let normalization = Normalization {
            mean: mean.clone(),
            variance: variance.clone(),
            epsilon: EPSILON,
            statistics: Statistics::Batch,
        };
        let (codes, _) =
            normalized_sparse_code2d(x.clone(), normalization.clone(), weight.clone(), lambda1, 1, options);
        let ours = with_gradients(codes, &x, &weight);

        let (x, weight, lambda1) = inputs();
        let (one, zero) = (Tensor::ones([3], &device), Tensor::zeros([3], &device));
        let (normalized, ..) = normalize_batch(x.clone(), one, zero, EPSILON);
        let (codes, _) = sparse_code2d(normalized, weight.clone(), lambda1, 1, options);
        assert_close(name, &ours, &with_gradients(codes, &x, &weight), 1e-4);

        let (x, weight, lambda1) = inputs();
        let given = Normalization {
            statistics: Statistics::Given,
            ..normalization
        };
        let (codes, _) = normalized_sparse_code2d(x.clone(), given, weight.clone(), lambda1, 1, options);
        let ours = with_gradients(codes, &x, &weight);
        let (x, weight, lambda1) = inputs();
        let channels = |values: Tensor<1>| Tensor::<4>::from_inner(values.reshape([1, 3, 1, 1]));
        let normalized = (x.clone() - channels(mean)) / channels((variance + EPSILON).sqrt());
        let (codes, _) = sparse_code2d(normalized, weight.clone(), lambda1, 1, options);
        assert_close(name, &ours, &with_gradients(codes, &x, &weight), 1e-4);
    }
}
