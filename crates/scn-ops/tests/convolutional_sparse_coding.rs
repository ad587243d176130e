//! Convolutional sparse coding against a float64 reference of its own: outputs, gradients by finite differences, and the
//! norm of the dictionary, on every device.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{assert_small, devices, random, relative_error, tensor, values};
use scn_ops::{
    Acceleration, Convergence, ConvolutionalOptions, Padding, Placement, ProximalOptions, ProximalStep,
    converged_convolutional_sparse_code2d, convolutional_sparse_code2d, convolve2d, dictionary_norm, proximal_gradient,
    soft_threshold,
};

/// Inputs of a layer that have gradients.
const INPUTS: usize = 4;
/// Of the finite differences.
const STEP: f64 = 1e-5;

/// A layer in float64, by loops over its definition.
#[derive(Clone)]
struct Layer {
    x: Vec<f64>,
    weight: Vec<f64>,
    lambda: Vec<f64>,
    /// One row or one for each image, of one value or one for each atom.
    lambda_shape: [usize; 2],
    step_size: f64,
    x_shape: [usize; 4],
    weight_shape: [usize; 4],
    options: ConvolutionalOptions,
}

impl Layer {
    fn new(x_shape: [usize; 4], weight_shape: [usize; 4], options: ConvolutionalOptions) -> Self {
        let scale = (1.0 / weight_shape[1..].iter().product::<usize>() as f64).sqrt();
        Self {
            x: random(1, x_shape.iter().product(), 1.0),
            weight: random(2, weight_shape.iter().product(), scale),
            lambda: (0..x_shape[0]).map(|image| 0.02 + 0.03 * image as f64).collect(),
            lambda_shape: [x_shape[0], 1],
            step_size: 0.15,
            x_shape,
            weight_shape,
            options,
        }
    }

    /// With other values of λ, of this shape.
    fn with_lambda(self, lambda_shape: [usize; 2]) -> Self {
        let lambda = (0..lambda_shape[0] * lambda_shape[1]).map(|i| 0.02 + 0.013 * i as f64);
        Self {
            lambda: lambda.collect(),
            lambda_shape,
            ..self
        }
    }

    /// λ of a code, by its place among all.
    fn lambda_of(&self, code: usize) -> f64 {
        let [_, atoms, rows, columns] = self.codes_shape();
        let (image, atom) = (code / columns / rows / atoms, code / columns / rows % atoms);
        let [images, values] = self.lambda_shape;
        self.lambda[image.min(images - 1) * values + atom.min(values - 1)]
    }

    /// Stride, padding and dilation.
    fn placement(&self) -> [usize; 3] {
        let Placement {
            stride,
            padding,
            dilation,
        } = self.options.placement;
        match padding {
            Padding::Same => [stride, dilation * (self.weight_shape[2] / 2), dilation],
            Padding::Zeros(zeros) => [stride, zeros, dilation],
        }
    }

    fn codes_shape(&self) -> [usize; 4] {
        let [batch, _, height, width] = self.x_shape;
        let [stride, padding, dilation] = self.placement();
        let windows = |side: usize| {
            let ends = (0..).map(|window| window * stride + dilation * (self.weight_shape[2] - 1));
            ends.take_while(|&end| end < side + 2 * padding).count()
        };
        [batch, self.weight_shape[0], windows(height), windows(width)]
    }

    /// Every product in `D∗c`: places in the signal, the weight and the codes.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [_, channels, height, width] = self.x_shape;
        let [batch, atoms, rows, columns] = self.codes_shape();
        let kernel = self.weight_shape[2];
        let [stride, padding, dilation] = self.placement();
        for code in 0..batch * atoms * rows * columns {
            let (column, row) = (code % columns, code / columns % rows);
            let (atom, image) = (code / columns / rows % atoms, code / columns / rows / atoms);
            for place in 0..channels * kernel * kernel {
                let (across, down, channel) = (place % kernel, place / kernel % kernel, place / kernel / kernel);
                let y = (row * stride + down * dilation).wrapping_sub(padding);
                let x = (column * stride + across * dilation).wrapping_sub(padding);
                if y < height && x < width {
                    let signal = ((image * channels + channel) * height + y) * width + x;
                    visit(signal, atom * channels * kernel * kernel + place, code);
                }
            }
        }
    }

    fn signal(&self, codes: &[f64]) -> Vec<f64> {
        let mut signal = vec![0.0; self.x.len()];
        self.for_each_product(|s, w, c| signal[s] += self.weight[w] * codes[c]);
        signal
    }

    fn correlations(&self, signal: &[f64]) -> Vec<f64> {
        let mut codes = vec![0.0; self.codes_shape().iter().product()];
        self.for_each_product(|s, w, c| codes[c] += self.weight[w] * signal[s]);
        codes
    }

    /// FISTA as Beck & Teboulle write it, from 0.
    fn codes(&self) -> Vec<f64> {
        let length: usize = self.codes_shape().iter().product();
        let (mut codes, mut point, mut t) = (vec![0.0; length], vec![0.0; length], 1.0f64);
        for _ in 0..self.options.steps {
            let signal = self.signal(&point);
            let residual: Vec<f64> = self.x.iter().zip(&signal).map(|(x, signal)| x - signal).collect();
            let ascent = self.correlations(&residual);
            let next: Vec<f64> = (0..length)
                .map(|i| {
                    let value = point[i] + self.step_size * ascent[i];
                    let threshold = self.step_size * self.lambda_of(i);
                    let kept = if value > threshold {
                        value - threshold
                    } else if value < -threshold && !self.options.non_negative {
                        value + threshold
                    } else {
                        0.0
                    };
                    kept / (1.0 + self.step_size * self.options.mu)
                })
                .collect();
            let grown = (1.0 + (1.0 + 4.0 * t * t).sqrt()) / 2.0;
            point = (0..length)
                .map(|i| next[i] + (t - 1.0) / grown * (next[i] - codes[i]))
                .collect();
            (codes, t) = (next, grown);
        }
        codes
    }

    /// x, the weight, λ and the step size.
    fn inputs(&mut self) -> [&mut [f64]; INPUTS] {
        let step_size = std::slice::from_mut(&mut self.step_size);
        [&mut self.x, &mut self.weight, &mut self.lambda, step_size]
    }

    /// `⟨weights, codes⟩`.
    fn loss(&self, weights: &[f64]) -> f64 {
        self.codes()
            .iter()
            .zip(weights)
            .map(|(code, weight)| code * weight)
            .sum()
    }
}

fn placement(stride: usize, padding: usize, dilation: usize) -> Placement {
    Placement {
        stride,
        padding: Padding::Zeros(padding),
        dilation,
    }
}

fn layers() -> Vec<Layer> {
    let options = ConvolutionalOptions::default();
    vec![
        Layer::new([2, 3, 7, 9], [8, 3, 3, 3], options),
        Layer::new(
            [1, 2, 16, 16],
            [5, 2, 3, 3],
            ConvolutionalOptions { steps: 5, ..options },
        ),
        Layer::new(
            [3, 1, 8, 5],
            [4, 1, 5, 5],
            ConvolutionalOptions {
                mu: 0.7,
                steps: 4,
                ..options
            },
        ),
        Layer::new(
            [2, 2, 9, 8],
            [6, 2, 3, 3],
            ConvolutionalOptions {
                non_negative: false,
                steps: 3,
                ..options
            },
        ),
        Layer::new(
            [2, 2, 9, 8],
            [6, 2, 7, 7],
            ConvolutionalOptions {
                placement: 2.into(),
                ..options
            },
        ),
        Layer::new(
            [2, 4, 6, 6],
            [12, 4, 1, 1],
            ConvolutionalOptions {
                placement: 2.into(),
                mu: 0.2,
                ..options
            },
        ),
        Layer::new([2, 3, 4, 4], [7, 3, 3, 3], ConvolutionalOptions { steps: 1, ..options }),
        Layer::new(
            [2, 2, 8, 7],
            [5, 2, 4, 4],
            ConvolutionalOptions {
                placement: placement(2, 1, 1),
                steps: 3,
                ..options
            },
        ),
        Layer::new(
            [1, 2, 9, 8],
            [5, 2, 3, 3],
            ConvolutionalOptions {
                placement: placement(1, 3, 3),
                ..options
            },
        ),
        Layer::new(
            [2, 2, 10, 9],
            [5, 2, 6, 6],
            ConvolutionalOptions {
                placement: placement(2, 0, 1),
                steps: 3,
                ..options
            },
        )
        .with_lambda([1, 5]),
        Layer::new(
            [2, 3, 7, 8],
            [4, 3, 4, 4],
            ConvolutionalOptions {
                non_negative: false,
                placement: placement(2, 1, 1),
                steps: 3,
                ..options
            },
        )
        .with_lambda([2, 4]),
    ]
}

/// The inputs of a layer as tensors.
type Inputs = (Tensor<4>, Tensor<4>, Tensor<2>, Tensor<1>);

/// How far values may be from the reference (codes by themselves, a directional derivative by its size, at least 1), and how
/// many of the inputs have gradients.
struct Agreement {
    codes: f64,
    gradients: f64,
    differentiable: usize,
}

/// Checks the codes that `solve` gives for a layer, and its gradients along a random direction of each input.
fn check(
    name: &str,
    device: &Device,
    layer: &Layer,
    agreement: &Agreement,
    solve: impl Fn(Inputs, ConvolutionalOptions) -> Tensor<4>,
) {
    let name = format!(
        "{name}, {:?} {:?} {:?}",
        layer.x_shape, layer.weight_shape, layer.options
    );
    let expected = layer.codes();
    let active = expected.iter().filter(|&&code| code != 0.0).count();
    assert!(
        active > 0 && active < expected.len(),
        "{name}: {active} active codes test nothing"
    );
    let x = tensor::<4>(&layer.x, layer.x_shape, device).require_grad();
    let weight = tensor::<4>(&layer.weight, layer.weight_shape, device).require_grad();
    let lambda = tensor::<2>(&layer.lambda, layer.lambda_shape, device).require_grad();
    let step_size = tensor::<1>(&[layer.step_size], [1], device).require_grad();
    let inputs = (x.clone(), weight.clone(), lambda.clone(), step_size.clone());
    let codes = solve(inputs, layer.options);
    assert_eq!(codes.dims(), layer.codes_shape(), "{name}");
    for (found, expected) in values(codes.clone().without_autodiff()).iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= agreement.codes,
            "{name}: {found}, expected {expected}"
        );
    }
    let weights = random(3, expected.len(), 1.0);
    let gradients = (codes * tensor::<4>(&weights, layer.codes_shape(), device))
        .sum()
        .backward();
    let gradients: [Option<Vec<f64>>; INPUTS] = [
        x.grad(&gradients).map(values),
        weight.grad(&gradients).map(values),
        lambda.grad(&gradients).map(values),
        step_size.grad(&gradients).map(values),
    ];
    let found = gradients.iter().flatten().count();
    assert_eq!(found, agreement.differentiable, "{name}: inputs with a gradient");
    for (which, gradient) in gradients.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        let direction = random(20 + which as u64, gradient.len(), 1.0);
        let moved = |step: f64| {
            let mut moved = layer.clone();
            let along = moved.inputs()[which].iter_mut().zip(&direction);
            along.for_each(|(value, d)| *value += step * d);
            moved.loss(&weights)
        };
        let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let found: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        assert!(
            (found - expected).abs() <= agreement.gradients * expected.abs().max(1.0),
            "{name}, input {which}: {found}, expected {expected}"
        );
    }
}

#[test]
fn codes_are_those_of_the_definition_and_gradients_its_finite_differences() {
    let agreement = Agreement {
        codes: 2e-6,
        gradients: 1e-4,
        differentiable: INPUTS,
    };
    for (name, device) in devices() {
        let device = device.autodiff();
        for layer in layers() {
            check(
                name,
                &device,
                &layer,
                &agreement,
                |(x, weight, lambda, step_size), options| {
                    convolutional_sparse_code2d(x, weight, lambda, step_size, options)
                },
            );
        }
    }
}

/// Layers with one solution each: fewer codes than values, or a ridge.
fn convex_layers() -> Vec<Layer> {
    let options = ConvolutionalOptions {
        // Enough for the reference to converge.
        steps: 3000,
        ..ConvolutionalOptions::default()
    };
    vec![
        Layer::new([2, 3, 7, 6], [4, 3, 3, 3], ConvolutionalOptions { mu: 0.5, ..options }),
        Layer::new(
            [2, 2, 8, 7],
            [3, 2, 3, 3],
            ConvolutionalOptions {
                mu: 0.3,
                non_negative: false,
                placement: 2.into(),
                ..options
            },
        ),
        Layer::new(
            [2, 2, 7, 9],
            [3, 2, 4, 4],
            ConvolutionalOptions {
                mu: 0.4,
                placement: placement(2, 2, 2),
                ..options
            },
        ),
        // The windows of an image have no more codes than pixels.
        Layer::new(
            [2, 2, 8, 9],
            [5, 2, 4, 4],
            ConvolutionalOptions {
                placement: placement(2, 1, 1),
                ..options
            },
        )
        .with_lambda([1, 5]),
        Layer::new(
            [2, 2, 7, 8],
            [3, 2, 4, 4],
            ConvolutionalOptions {
                mu: 0.3,
                non_negative: false,
                placement: placement(1, 1, 1),
                ..options
            },
        )
        .with_lambda([2, 3]),
    ]
}

#[test]
fn converged_codes_and_implicit_gradients_are_those_of_the_solution() {
    let convergence = Convergence {
        tolerance: 1e-7,
        max_iterations: 3000,
    };
    let agreement = Agreement {
        codes: 5e-6,
        gradients: 2e-4,
        // All but the step size.
        differentiable: INPUTS - 1,
    };
    for (name, device) in devices() {
        let device = device.autodiff();
        for layer in convex_layers() {
            check(
                name,
                &device,
                &layer,
                &agreement,
                |(x, weight, lambda, step_size), options| {
                    let options = ConvolutionalOptions { steps: 1, ..options };
                    converged_convolutional_sparse_code2d(x, weight, lambda, step_size, options, convergence)
                },
            );
        }
    }
}

#[test]
fn one_lambda_for_all_images_gets_the_sum_of_their_gradients() {
    let convergence = Convergence {
        tolerance: 1e-6,
        max_iterations: 2000,
    };
    for (name, device) in devices() {
        let device = device.autodiff();
        let layer = &convex_layers()[0];
        let gradient = |values_of_lambda: usize| {
            let lambda = tensor::<2>(&vec![0.04; values_of_lambda], [values_of_lambda, 1], &device).require_grad();
            let codes = converged_convolutional_sparse_code2d(
                tensor(&layer.x, layer.x_shape, &device),
                tensor(&layer.weight, layer.weight_shape, &device),
                lambda.clone(),
                tensor::<1>(&[layer.step_size], [1], &device),
                layer.options,
                convergence,
            );
            values(lambda.grad(&codes.sum().backward()).unwrap())
        };
        let (one, each) = (gradient(1)[0], gradient(2));
        assert!(one < 0.0, "{name}: {one}");
        assert!(
            (one - each[0] - each[1]).abs() <= 1e-5 * one.abs(),
            "{name}: {one} and {each:?}"
        );
    }
}

#[test]
fn one_step_is_a_convolution_with_a_soft_threshold() {
    for (name, device) in devices() {
        let x: Tensor<4> = tensor(&random(4, 2 * 3 * 8 * 8, 1.0), [2, 3, 8, 8], &device);
        let weight: Tensor<4> = tensor(&random(5, 6 * 27, 0.4), [6, 3, 3, 3], &device);
        let scalar = |value: f64| tensor::<1>(&[value], [1], &device);
        let one = |lambda: f64, non_negative: bool| {
            let options = ConvolutionalOptions {
                steps: 1,
                non_negative,
                ..ConvolutionalOptions::default()
            };
            values(convolutional_sparse_code2d(
                x.clone(),
                weight.clone(),
                scalar(lambda).reshape([1, 1]),
                scalar(0.5),
                options,
            ))
        };
        let plain = convolve2d(x.clone(), weight.clone(), 1);
        assert_eq!(one(0.0, false), values(plain.clone() * 0.5), "{name}");
        assert_eq!(one(0.0, true), values(relu(plain.clone() * 0.5)), "{name}");
        assert_eq!(one(0.25, true), values(relu(plain * 0.5 - 0.125)), "{name}");
    }
}

#[test]
fn ista_and_fista_have_one_solution_and_fista_is_the_nearer() {
    for (name, device) in devices() {
        let layer = &convex_layers()[3];
        let x = tensor::<4>(&layer.x, layer.x_shape, &device);
        let options = ProximalOptions {
            mu: layer.options.mu,
            non_negative: layer.options.non_negative,
            placement: layer.options.placement,
        };
        let threshold: Vec<f64> = layer.lambda.iter().map(|lambda| lambda * layer.step_size).collect();
        let step = ProximalStep::new(
            tensor(&layer.weight, layer.weight_shape, &device),
            tensor(&threshold, layer.lambda_shape, &device),
            tensor(&[layer.step_size], [1], &device),
            options,
        );
        let expected = layer.codes();
        let error = |steps: usize, acceleration: Acceleration| {
            let first = step.first(x.clone());
            let codes = proximal_gradient(first, steps, acceleration, |point| step.step(x.clone(), point));
            relative_error(&values(codes), &expected)
        };
        let early = [Acceleration::None, Acceleration::Nesterov].map(|acceleration| error(30, acceleration));
        assert!(early[1] < early[0], "{name}: {early:?}");
        assert_small(&format!("{name}, ISTA"), error(2000, Acceleration::None), 1e-4);
        assert_small(&format!("{name}, FISTA"), error(400, Acceleration::Nesterov), 1e-4);
        // A solution is a fixed point of the step, with its signal given or not.
        let codes = tensor::<4>(&expected, layer.codes_shape(), &device);
        let signal = step.signal(codes.clone(), [layer.x_shape[2], layer.x_shape[3]]);
        let next = values(step.step(x.clone(), codes.clone()));
        assert_small(&format!("{name}, a step"), relative_error(&next, &expected), 1e-6);
        assert_eq!(next, values(step.step_of_signal(x, codes, signal)), "{name}");
    }
}

#[test]
fn the_point_of_fista_may_be_written_for_gradients_or_not() {
    for (name, device) in devices() {
        for layer in layers() {
            let codes = |device: &Device| {
                let options = ConvolutionalOptions {
                    steps: 5,
                    ..layer.options
                };
                values(
                    convolutional_sparse_code2d(
                        tensor(&layer.x, layer.x_shape, device),
                        tensor(&layer.weight, layer.weight_shape, device),
                        tensor(&layer.lambda, layer.lambda_shape, device),
                        tensor(&[layer.step_size], [1], device),
                        options,
                    )
                    .without_autodiff(),
                )
            };
            assert_eq!(codes(&device), codes(&device.clone().autodiff()), "{name}");
        }
    }
}

#[test]
fn a_free_threshold_is_a_bias_of_the_other_sign_in_front_of_relu() {
    for (name, device) in devices() {
        let codes: Tensor<4> = tensor(&random(8, 2 * 3 * 4 * 5, 1.0), [2, 3, 4, 5], &device);
        let threshold = tensor::<2>(&[0.3, -0.2, 0.0], [1, 3], &device);
        let biased = relu(codes.clone() + (-threshold.clone()).reshape([1, 3, 1, 1]));
        assert_eq!(values(soft_threshold(codes, threshold, true)), values(biased), "{name}");
    }
}

#[test]
#[should_panic(expected = "a threshold [3, 4]: 2 images with 4 atoms need [1 or 2, 1 or 4]")]
fn thresholds_of_other_images_are_refused() {
    let device = Device::flex();
    let _ = soft_threshold(
        Tensor::zeros([2, 4, 3, 3], &device),
        Tensor::zeros([3, 4], &device),
        true,
    );
}

#[test]
fn the_norm_of_the_dictionary_is_its_largest_eigenvalue() {
    for (name, device) in devices() {
        for layer in layers() {
            let mut one = layer.clone();
            one.x_shape[0] = 1;
            one.x.truncate(one.x.len() / layer.x_shape[0]);
            let length: usize = one.codes_shape().iter().product();
            let start = random(6, length, 1.0);
            let (mut vector, mut expected) = (start.clone(), 0.0);
            for _ in 0..3000 {
                let next = one.correlations(&one.signal(&vector));
                expected = next.iter().map(|v| v * v).sum::<f64>().sqrt();
                vector = next.iter().map(|v| v / expected).collect();
            }
            let [_, _, height, width] = one.x_shape;
            let (weight, start) = (
                tensor::<4>(&one.weight, one.weight_shape, &device),
                tensor::<4>(&start, one.codes_shape(), &device),
            );
            let placement = one.options.placement;
            let (_, start) = dictionary_norm(weight.clone(), start, placement, [height, width], 200);
            let (norm, _) = dictionary_norm(weight.clone(), start, placement, [height, width], 20);
            let found = values(norm)[0];
            assert!(
                found <= expected * (1.0 + 1e-5) && found >= expected * 0.995,
                "{name}: {found}, expected {expected}"
            );
            let zero = dictionary_norm(
                weight.zeros_like(),
                Tensor::ones(one.codes_shape(), &device),
                placement,
                [height, width],
                3,
            );
            assert_eq!(values(zero.0), [0.0], "{name}");
            assert!(values(zero.1).iter().all(|value| value.is_finite()), "{name}");
        }
    }
}
