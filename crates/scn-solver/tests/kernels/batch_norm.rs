//! Batch norm, alone and folded into a layer, against f64.

use scn_solver::{ConvGeometry, SimdLevel, SolverOptions, kernels, reference};

use crate::assert_close;
use crate::common::{Noise, to_f32, to_f64};

const EPSILON: f64 = 1e-4;

fn uniform(len: usize, seed: u64, low: f32, high: f32) -> Vec<f32> {
    Noise::seeded(seed).uniform(len, low, high)
}

/// Mean, inverse deviation and x̂ of `x [b, c, pixels]` in f64.
struct Normalized {
    mean: Vec<f64>,
    variance: Vec<f64>,
    scale: Vec<f64>,
    values: Vec<f64>,
}

fn normalized(x: &[f32], channels: usize, pixels: usize) -> Normalized {
    let of = |channel: usize| x.chunks_exact(pixels).skip(channel).step_by(channels).flatten();
    let count = (x.len() / channels) as f64;
    let mean: Vec<f64> = (0..channels)
        .map(|c| of(c).map(|&x| f64::from(x)).sum::<f64>() / count)
        .collect();
    let squares = |c: usize| of(c).map(|&x| (f64::from(x) - mean[c]).powi(2)).sum::<f64>();
    let variance: Vec<f64> = (0..channels).map(|c| squares(c) / count).collect();
    let scale: Vec<f64> = variance
        .iter()
        .map(|variance| 1.0 / (variance + EPSILON).sqrt())
        .collect();
    let values = x.iter().enumerate().map(|(i, &x)| {
        let channel = i / pixels % channels;
        (f64::from(x) - mean[channel]) * scale[channel]
    });
    Normalized {
        values: values.collect(),
        mean,
        variance,
        scale,
    }
}

/// The gradient of x from that of x̂, from the definition: `∂x̂ᵢ/∂xₖ = scale·(δᵢₖ − 1/N − x̂ᵢx̂ₖ/N)`.
fn through(grad: &[f64], of: &Normalized, channels: usize, pixels: usize) -> Vec<f64> {
    let count = (grad.len() / channels) as f64;
    let (mut sum, mut product) = (vec![0.0; channels], vec![0.0; channels]);
    for (i, grad) in grad.iter().enumerate() {
        sum[i / pixels % channels] += grad;
        product[i / pixels % channels] += grad * of.values[i];
    }
    let entry = |(i, grad): (usize, &f64)| {
        let channel = i / pixels % channels;
        of.scale[channel] * (grad - sum[channel] / count - of.values[i] * product[channel] / count)
    };
    grad.iter().enumerate().map(entry).collect()
}

#[test]
fn statistics_output_and_gradients_are_those_of_the_definition() {
    for [batch, channels, pixels] in [[3, 5, 35], [1, 1, 1], [4, 2, 64], [2, 7, 100]] {
        // Far from 0, so that a variance from squares would cancel.
        let x = uniform(batch * channels * pixels, 1, 9.0, 11.0);
        let grad = uniform(x.len(), 2, -1.0, 1.0);
        let (weight, bias) = (uniform(channels, 3, 0.5, 2.0), uniform(channels, 4, -1.0, 1.0));
        let expected = normalized(&x, channels, pixels);
        let channel = |i: usize| i / pixels % channels;
        let output: Vec<f64> = (expected.values.iter().enumerate())
            .map(|(i, value)| value * f64::from(weight[channel(i)]) + f64::from(bias[channel(i)]))
            .collect();
        let (mut grad_weight, mut grad_bias) = (vec![0.0; channels], vec![0.0; channels]);
        for (i, &grad) in grad.iter().enumerate() {
            grad_weight[channel(i)] += f64::from(grad) * expected.values[i];
            grad_bias[channel(i)] += f64::from(grad);
        }
        let scaled: Vec<f64> = (grad.iter().enumerate())
            .map(|(i, &grad)| f64::from(grad) * f64::from(weight[channel(i)]))
            .collect();
        let grad_x = through(&scaled, &expected, channels, pixels);
        for level in SimdLevel::available() {
            let name = format!("{} {batch} {channels} {pixels}", level.name());
            let (mean, variance) = kernels::moments(&x, channels, pixels, level);
            assert_close(&format!("{name} mean"), &mean, &expected.mean, 1e-6);
            assert_close(&format!("{name} variance"), &variance, &expected.variance, 1e-5);
            let (mean, scale) = (to_f32(&expected.mean), to_f32(&expected.scale));
            let found = kernels::normalize(&x, pixels, &mean, &scale, &weight, &bias, level);
            assert_close(&format!("{name} output"), &found, &output, 1e-5);
            let found = kernels::normalize_backward(&x, pixels, &mean, &scale, &weight, &grad, level);
            assert_close(&format!("{name} x"), &found.0, &grad_x, 1e-4);
            assert_close(&format!("{name} weight"), &found.1, &grad_weight, 1e-4);
            assert_close(&format!("{name} bias"), &found.2, &grad_bias, 1e-5);
        }
    }
}

#[test]
fn a_normalisation_folded_into_a_layer_is_one_in_front_of_it() {
    for (x_shape, weight_shape, stride) in [
        ([2, 3, 16, 16], [9, 3, 3, 3], 1),
        ([3, 4, 9, 6], [8, 4, 3, 3], 2),
        ([2, 2, 32, 32], [5, 2, 3, 3], 2),
    ] {
        let geometry = ConvGeometry::new(x_shape, weight_shape, stride).unwrap();
        let (channels, pixels) = (geometry.channels, geometry.height * geometry.width);
        let x = uniform(x_shape.iter().product(), 5, 0.0, 3.0);
        let weight = uniform(weight_shape.iter().product(), 6, -0.5, 0.5);
        let lambda1 = vec![0.05; geometry.atoms];
        let grad_codes = uniform(geometry.codes_shape().iter().product(), 7, -1.0, 1.0);
        let mut options = SolverOptions {
            lambda2: 0.05,
            ..SolverOptions::default()
        };
        options.forward.tolerance = 1e-10;
        options.forward.max_iterations = 5000;
        options.backward.tolerance = 1e-10;
        options.backward.max_iterations = 5000;
        let expected = normalized(&x, channels, pixels);
        let codes = reference::forward(
            &geometry,
            &expected.values,
            &to_f64(&weight),
            &to_f64(&lambda1),
            &options,
        )
        .unwrap()
        .codes;
        options.forward.tolerance = 3e-7;
        options.backward.tolerance = 1e-6;
        for level in SimdLevel::available() {
            for of_batch in [false, true] {
                let name = format!("{} of batch {of_batch} {geometry:?}", level.name());
                let (mean, scale) = (to_f32(&expected.mean), to_f32(&expected.scale));
                let normalization = kernels::Normalization {
                    mean: &mean,
                    scale: &scale,
                    of_batch,
                };
                let found =
                    kernels::forward(&geometry, &x, Some(normalization), &weight, &lambda1, &options, level).unwrap();
                assert_close(&format!("{name} codes"), &found.codes, &codes, 2e-5);
                // The mask of the exact codes could differ in codes that rounding lifts from 0.
                let gradients = reference::backward(
                    &geometry,
                    &expected.values,
                    &to_f64(&weight),
                    &to_f64(&found.codes),
                    &to_f64(&grad_codes),
                    &options,
                )
                .unwrap();
                let grad_x = match of_batch {
                    true => through(&gradients.x, &expected, channels, pixels),
                    false => (gradients.x.iter().enumerate())
                        .map(|(i, grad)| grad * expected.scale[i / pixels % channels])
                        .collect(),
                };
                let found = kernels::backward(
                    &geometry,
                    &x,
                    Some(normalization),
                    &weight,
                    &found.codes,
                    &grad_codes,
                    &options,
                    true,
                    level,
                )
                .unwrap();
                assert_close(&format!("{name} x"), &found.x.unwrap(), &grad_x, 2e-4);
                assert_close(&format!("{name} weight"), &found.weight, &gradients.weight, 2e-4);
            }
        }
    }
}
