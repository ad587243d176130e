//! Batch norm against PyTorch's formula in f64.

use burn::module::Module;
use burn::tensor::Device;
use scn_models::layers::BatchNorm;
use scn_models::{Model, Network, Pass};

use crate::common::{config, images, model, scn, scn_config, tensor, values};

/// Mean and biased variance of each channel of `[b, c, pixels]`.
fn moments(x: &[f64], channels: usize, pixels: usize) -> Vec<(f64, f64)> {
    let of = |channel: usize| x.chunks_exact(pixels).skip(channel).step_by(channels).flatten();
    (0..channels)
        .map(|channel| {
            let count = of(channel).count() as f64;
            let mean = of(channel).sum::<f64>() / count;
            (mean, of(channel).map(|x| (x - mean).powi(2)).sum::<f64>() / count)
        })
        .collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "value {i}: {a}, expected {b}"
        );
    }
}

/// An SCN's batch norm in front of its first layer: no scale, no shift, ε 1e-4.
fn plain(channels: usize, device: &Device) -> BatchNorm {
    let mut model = Model::new(&scn_config(1, 16), [channels, 8, 8], 10, 0, device).unwrap();
    scn(&mut model).layers[0].norm.clone()
}

/// A ResNet's, of 16 channels: scale and shift, ε 1e-5.
fn affine(device: &Device) -> BatchNorm {
    match Model::new(&config("resnet20"), [3, 8, 8], 10, 0, device).unwrap() {
        Model::ResNet(resnet) => resnet.bn1,
        _ => unreachable!(),
    }
}

#[test]
fn training_normalises_and_tracks_the_unbiased_variance() {
    let device = Device::flex().autodiff();
    let (batch, channels, pixels) = (3, 2, 20);
    let norm = plain(channels, &device);
    let mut running: Vec<(f64, f64)> = vec![(0.0, 1.0); channels];
    for step in 0..4 {
        let x = images([batch, channels, 4, 5], step, &device) * (1.0 + step as f64) + 0.5 * step as f64;
        let moments = moments(&values(&x), channels, pixels);
        let count = (batch * pixels) as f64;
        for (running, (mean, variance)) in running.iter_mut().zip(&moments) {
            running.0 = 0.9 * running.0 + 0.1 * mean;
            running.1 = 0.9 * running.1 + 0.1 * variance * count / (count - 1.0);
        }
        let expected: Vec<f64> = values(&x)
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let (mean, variance) = moments[i / pixels % channels];
                (x - mean) / (variance + 1e-4).sqrt()
            })
            .collect();
        assert_close(&values(&norm.forward(x, &Pass::TRAINING)), &expected, 2e-6);
    }
    let (means, variances): (Vec<_>, Vec<_>) = running.into_iter().unzip();
    // Without `value_sync`: what a checkpoint sees.
    assert_close(&values(&norm.running_mean.value()), &means, 1e-6);
    assert_close(&values(&norm.running_var.value()), &variances, 1e-6);

    // Evaluation uses them and leaves them as they are.
    let evaluating = norm.valid();
    let x = images([1, channels, 3, 3], 9, &Device::flex());
    let expected: Vec<f64> = values(&x)
        .iter()
        .enumerate()
        .map(|(i, x)| (x - means[i / 9]) / (variances[i / 9] + 1e-4).sqrt())
        .collect();
    assert_close(&values(&evaluating.forward(x, &Pass::EVALUATION)), &expected, 1e-5);
    assert_close(&values(&evaluating.running_mean.value_sync()), &means, 1e-6);
    assert_close(&values(&norm.running_var.value_sync()), &variances, 1e-6);
}

#[test]
fn scale_and_shift_apply_after_normalisation() {
    let device = Device::flex().autodiff();
    let mut norm = affine(&device);
    let (scale, shift) = (images([1, 1, 1, 16], 1, &device), images([1, 1, 1, 16], 2, &device));
    let (scale, shift) = (values(&scale), values(&shift));
    let set = |values: &[f64]| tensor(values.iter().map(|&x| x as f32).collect(), [16], &device);
    norm.weight = norm.weight.map(|param| param.map(|_| set(&scale)));
    norm.bias = norm.bias.map(|param| param.map(|_| set(&shift)));
    let x = images([2, 16, 3, 2], 3, &device) * 3.0 - 1.0;
    let moments = moments(&values(&x), 16, 6);
    let expected: Vec<f64> = values(&x)
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let channel = i / 6 % 16;
            let (mean, variance) = moments[channel];
            scale[channel] * (x - mean) / (variance + 1e-5).sqrt() + shift[channel]
        })
        .collect();
    assert_close(&values(&norm.forward(x, &Pass::TRAINING)), &expected, 1e-5);
}

#[test]
fn a_constant_channel_and_a_single_value_stay_finite() {
    let device = Device::flex().autodiff();
    let norm = plain(1, &device);
    let one = tensor(vec![3.0], [1, 1, 1, 1], &device);
    assert_eq!(values(&norm.forward(one, &Pass::TRAINING)), [0.0]);
    assert_close(&values(&norm.running_mean.value()), &[0.3], 1e-6);
    assert_close(&values(&norm.running_var.value()), &[0.9], 1e-6);
    let output = values(&norm.forward(tensor(vec![0.0; 8], [2, 1, 2, 2], &device), &Pass::TRAINING));
    assert_eq!(output, [0.0; 8]);
}

#[test]
fn in_evaluation_images_do_not_depend_on_their_batch() {
    let model = model(&scn_config(1, 16), 3);
    let x = images([2, 3, 6, 6], 4, &Device::flex());
    let whole = values(&model.forward(x.clone(), &Pass::EVALUATION).logits);
    let first = values(&model.forward(x.slice_dim(0, 0..1), &Pass::EVALUATION).logits);
    // An image's logits do not depend on its batch, to the tolerance of the solves.
    assert_close(&first, &whole[..10], 1e-3);
}

#[test]
fn a_pass_in_training_is_the_same_with_and_without_autodiff() {
    let (plain, autodiff) = (Device::flex(), Device::flex().autodiff());
    let logits = |device: &Device| {
        let model = Model::new(&config("resnet20"), [3, 8, 8], 10, 2, device).unwrap();
        let logits = model.forward(images([4, 3, 8, 8], 5, device), &Pass::TRAINING).logits;
        let Model::ResNet(resnet) = model else { unreachable!() };
        (values(&logits), values(&resnet.bn1.running_mean.value()))
    };
    assert_eq!(logits(&plain), logits(&autodiff));
}
