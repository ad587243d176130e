//! Projected gradient descent against losses whose worst perturbation is known, and its gradient through the choice of λ
//! against finite differences.

use std::sync::atomic::Ordering;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use scn_data::{DatasetKind, MeanSubtraction, Normalization, Split, read};
use scn_interop::tensors::floats;
use scn_models::{Backward, Model, ModelConfig, Network};
use scn_study::Trained;
use scn_study::attack::{Attack, Norm, Perturbation, PixelScale, Step, study};
use scn_study::robust::{Inference, SparsityFit};
use scn_train::loss::cross_entropy;
use scn_train::{DataConfig, StopFlag};

use crate::common::checkpoint;

const SHAPE: [usize; 4] = [3, 2, 4, 5];
const VALUES: usize = 2 * 4 * 5;

fn attack(norm: Norm, epsilon: f64) -> Attack {
    Attack {
        norm,
        epsilon,
        steps: 12,
        step_size: epsilon / 4.0,
        restarts: 2,
        seed: 3,
    }
}

/// Reproducible values in −1..1.
fn spread(count: usize, seed: u64) -> Vec<f32> {
    let fraction = |i: usize| ((i as f64 + 1.0) * 0.618_033_988_749_895 * (seed as f64 + 1.3)).fract();
    (0..count).map(|i| (2.0 * fraction(i) - 1.0) as f32).collect()
}

fn tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    floats(tensor.into_data())
}

fn pixels() -> Tensor<4> {
    let values = spread(3 * VALUES, 1).into_iter().map(|value| 0.5 + 0.5 * value);
    tensor(values.collect(), SHAPE, &Device::flex())
}

/// With the gradients of the graph.
fn by_graph(logits: impl Fn(Tensor<4>) -> Tensor<2>) -> impl Fn(Tensor<4>) -> (Tensor<2>, Backward) {
    move |pixels| (logits(pixels), Backward::default())
}

/// Of two classes: 0 and `⟨direction, pixels⟩`.
fn linear(direction: &[f32]) -> impl Fn(Tensor<4>) -> Tensor<2> {
    move |pixels: Tensor<4>| {
        let [batch, ..] = pixels.dims();
        let direction = tensor(direction.to_vec(), [1, SHAPE[1], SHAPE[2], SHAPE[3]], &pixels.device());
        let rows: Tensor<2> = (pixels * direction).reshape([batch, VALUES]);
        let scores = rows.sum_dim(1);
        Tensor::cat(vec![scores.clone() * 0.0, scores], 1)
    }
}

#[test]
fn of_a_linear_network_the_worst_images_are_found() {
    let direction = spread(VALUES, 2);
    let (labels, records) = ([0, 0, 1], [5, 6, 7]);
    let sign = |image: usize| if labels[image] == 0 { 1.0 } else { -1.0 };
    let length = direction.iter().map(|value| value * value).sum::<f32>().sqrt();
    let clean = values(pixels());
    for norm in [Norm::Linf, Norm::L2] {
        // Small enough in ℓ2 that no pixel leaves 0..1 on the way but those at the border.
        let epsilon = if norm == Norm::Linf { 0.1 } else { 0.05 };
        let found = values(attack(norm, epsilon).perturb(&by_graph(linear(&direction)), pixels(), &labels, &records));
        for (i, (&found, &clean)) in found.iter().zip(&clean).enumerate() {
            let (along, towards) = (direction[i % VALUES], sign(i / VALUES));
            let change = match norm {
                Norm::Linf => epsilon as f32 * (along * towards).signum(),
                Norm::L2 => epsilon as f32 * along * towards / length,
            };
            let expected = (clean + change).clamp(0.0, 1.0);
            let tolerance = if norm == Norm::Linf { 1e-6 } else { 1e-3 };
            assert!(
                (found - expected).abs() <= tolerance,
                "{norm:?}, value {i}: {found}, expected {expected}"
            );
        }
    }
}

#[test]
fn perturbations_stay_in_the_ball_and_do_not_depend_on_the_batch() {
    let direction = spread(VALUES, 4);
    let (labels, records) = ([1, 0, 0], [11, 4, 90]);
    for norm in [Norm::Linf, Norm::L2] {
        let attack = attack(norm, 0.3);
        let together = attack.perturb(&by_graph(linear(&direction)), pixels(), &labels, &records);
        let clean = values(pixels());
        for (image, (found, clean)) in values(together.clone())
            .chunks(VALUES)
            .zip(clean.chunks(VALUES))
            .enumerate()
        {
            assert!(found.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            let changes: Vec<f32> = found.iter().zip(clean).map(|(a, b)| a - b).collect();
            let size = match norm {
                Norm::Linf => changes
                    .iter()
                    .fold(0.0, |largest: f32, change| largest.max(change.abs())),
                Norm::L2 => changes.iter().map(|change| change * change).sum::<f32>().sqrt(),
            };
            assert!(size <= 0.3 + 1e-5 && size > 0.2, "{norm:?}, image {image}: {size}");
            let alone = attack.perturb(
                &by_graph(linear(&direction)),
                pixels().narrow(0, image, 1),
                &labels[image..=image],
                &records[image..=image],
            );
            // Lengths are sums, whose rounding may depend on the batch.
            for (alone, together) in values(alone).iter().zip(found) {
                assert!(
                    (alone - together).abs() <= 1e-6,
                    "{norm:?}, image {image}: {alone}, {together}"
                );
            }
        }
        let sums = Perturbation::sums(&pixels(), &together);
        let bound = if norm == Norm::Linf { sums.linf } else { sums.l2 };
        assert!(bound <= 3.0 * 0.3 + 1e-4 && bound > 3.0 * 0.2, "{sums:?}");
    }
}

#[test]
fn a_start_that_fools_is_kept() {
    // The loss of class 0 has a maximum on each side of the pixels; one start in a few reaches the higher one.
    let logits = |pixels: Tensor<4>| {
        let [batch, ..] = pixels.dims();
        let first: Tensor<2> = pixels.reshape([batch, VALUES]).narrow(1, 0, 1) - 0.5;
        let score = first.clone().powi_scalar(2) * 40.0 + first - 0.35;
        Tensor::cat(vec![score.clone() * 0.0, score], 1)
    };
    let gray = || Tensor::<4>::full([8, SHAPE[1], SHAPE[2], SHAPE[3]], 0.5, &Device::flex());
    let records: Vec<u32> = (0..8).collect();
    let fooled = |restarts| {
        let attack = Attack {
            restarts,
            ..attack(Norm::Linf, 0.1)
        };
        let found = attack.perturb(&by_graph(logits), gray(), &[0; 8], &records);
        let scores = floats(logits(found).narrow(1, 1, 1).into_data());
        scores.iter().filter(|&&score| score > 0.0).count()
    };
    // 40·0.01 ± 0.1 − 0.35: above 0 on the right side only.
    let (one, many) = (fooled(1), fooled(8));
    assert!(one > 0 && one < 8, "{one} of 8 starts fool");
    assert_eq!(many, 8);
}

fn digits() -> (DataConfig, Normalization) {
    let data: DataConfig = toml::from_str("dataset = \"digits\"\ndivide = true\nmean = \"per-pixel\"").unwrap();
    let train = read(DatasetKind::Digits, Split::Train, &data.dir).unwrap();
    let normalization = Normalization::fit(&train, MeanSubtraction::PerPixel, true);
    (data, normalization)
}

#[test]
fn pixels_and_what_a_network_sees_of_them() {
    let (data, normalization) = digits();
    let device = Device::flex();
    let scale = PixelScale::new(&data, &normalization, &device).unwrap();
    let bytes: Vec<u8> = (0..64).map(|i| (i % 17) as u8).collect();
    let mut expected = vec![0.0; 64];
    normalization.apply(&bytes, &mut expected);
    let pixels = tensor(
        bytes.iter().map(|&byte| f32::from(byte) / 16.0).collect(),
        [1, 1, 8, 8],
        &device,
    );
    let seen = scale.normalized(pixels.clone());
    for (found, expected) in values(seen.clone()).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
    }
    for (found, expected) in values(scale.pixels(seen)).iter().zip(values(pixels)) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
}

#[test]
fn the_gradient_of_an_adaptive_attack_passes_through_the_choice() {
    let coded = [
        ("solver.tolerance", 1e-7),
        ("solver.lambda2", 0.05),
        ("solver.backward_ridge", 0.0),
        ("solver.backward_tolerance", 1e-7),
        ("lambda1.initial", 0.01),
    ];
    let coded = coded
        .into_iter()
        .try_fold(
            ModelConfig::new("scn18".parse().unwrap())
                .with("solver.max_iterations", 5000)
                .unwrap(),
            |config, (key, value)| config.with(key, value),
        )
        .unwrap();
    // The initial classifiers hardly tell the classes apart: logits are scaled.
    for (config, sparsity, steepness, scale) in [
        (ModelConfig::new("sdnet18".parse().unwrap()), 0.3, 40.0, 1000.0),
        (coded, 1.5, 16.0, 50.0),
    ] {
        let device = Device::flex().autodiff();
        let model = Model::new(&config, [1, 8, 8], 10, 5, &device).unwrap().no_grad();
        let images = spread(2 * 64, 6);
        // Near this sparsity, and so steep that the choice matters in the gradient.
        let residuals = model.residual(tensor(images.clone(), [2, 1, 8, 8], &device)).unwrap();
        let residual = f64::from(floats(residuals.mean().into_data())[0]);
        let fit = SparsityFit {
            slope: steepness * sparsity / residual,
            intercept: (1.0 - steepness) * sparsity,
            least: 0.001,
            largest: 50.0,
        };
        let loss = |images: Tensor<4>, inference: Inference| {
            cross_entropy(inference.logits(&model, images) * scale, &[1, 3], 0.0)
        };
        let gradient = |inference| {
            let input = tensor(images.clone(), [2, 1, 8, 8], &device).require_grad();
            let gradients = loss(input.clone(), inference).backward();
            values(input.grad(&gradients).unwrap())
        };
        let adaptive = gradient(Inference::Fitted(&fit));
        // What a gradient would be that takes the choice for granted.
        let chosen = {
            let input = tensor(images.clone(), [2, 1, 8, 8], &device);
            let sparsity = Some(fit.values(model.residual(input.clone()).unwrap()).detach());
            let input = input.require_grad();
            let pass = scn_models::Pass::Evaluation { sparsity };
            let logits = model.forward(input.clone(), &pass).logits * scale;
            values(input.grad(&cross_entropy(logits, &[1, 3], 0.0).backward()).unwrap())
        };
        // Along some directions together: a step across the border of a support spoils a single difference.
        let (mut length, mut error, mut hidden) = (0.0f64, 0.0f64, 0.0f64);
        for seed in 7..12 {
            let direction = spread(2 * 64, seed);
            let along = |gradient: &[f32]| -> f64 {
                let products = gradient
                    .iter()
                    .zip(&direction)
                    .map(|(g, d)| f64::from(*g) * f64::from(*d));
                products.sum()
            };
            let at = |step: f32| {
                let moved = images.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                let loss = loss(tensor(moved, [2, 1, 8, 8], &device), Inference::Fitted(&fit));
                f64::from(floats(loss.into_data())[0])
            };
            const STEP: f32 = 2.5e-4;
            let expected = (at(STEP) - at(-STEP)) / (2.0 * f64::from(STEP));
            length += expected.powi(2);
            error += (along(&adaptive) - expected).powi(2);
            hidden += (along(&chosen) - expected).powi(2);
        }
        let [error, hidden] = [error, hidden].map(|sum| (sum / length).sqrt());
        assert!(error <= 0.04, "{:?}: relative error {error}", config.kind());
        assert!(
            hidden > 0.08,
            "{:?}: the choice has no part in the gradient ({hidden})",
            config.kind()
        );
    }
}

#[test]
fn a_network_is_attacked_as_it_is_and_with_images_of_another() {
    let device = Device::flex();
    let trained = |kind, name: &str| Trained {
        path: name.into(),
        checkpoint: checkpoint(kind, 1),
    };
    let (target, other) = (trained("scn", "target"), trained("resnet20", "other"));
    let data = &target.checkpoint.description.data;
    let attack = Attack {
        steps: 2,
        ..attack(Norm::Linf, 0.1)
    };
    let mut steps = Vec::new();
    let mut attacked = |other, stop: &StopFlag| {
        let progress = &mut |step: Step| steps.push(step.to_string());
        study(&target, other, None, attack, data, &device, stop, progress)
    };
    let report = attacked(Some(&other), &StopFlag::default()).unwrap().unwrap();
    let images: Vec<_> = report.rows.iter().map(|row| row.images.as_str()).collect();
    assert_eq!(images, ["as they are", "attacked as trained", "made against other"]);
    assert_eq!((report.test_images, report.rows[0].mean_linf), (8, 0.0));
    for row in &report.rows[1..] {
        assert!(
            row.mean_linf > 0.0 && row.mean_linf <= 0.1 + 1e-6 && row.fitted.is_none(),
            "{row:?}"
        );
    }
    let mut cropped = trained("resnet20", "cropped");
    cropped.checkpoint.description.data.augment.crop = Some(4);
    let message = attacked(Some(&cropped), &StopFlag::default()).unwrap_err().to_string();
    assert_eq!(
        message,
        "cropped: its images are [1, 4, 4], expected [1, 8, 8] as of the network attacked"
    );
    let stop = StopFlag::default();
    stop.cell().store(15, Ordering::SeqCst);
    assert_eq!(attacked(None, &stop).unwrap(), None);
    assert_eq!(steps, ["8/8 images"]);
}
