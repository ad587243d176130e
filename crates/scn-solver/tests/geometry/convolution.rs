//! The convolution, its adjoint and the gradient of its weight, at every SIMD level of this processor.

use scn_solver::{SimdLevel, kernels};

use crate::common::Noise;
use crate::definition::{Layer, Product};

/// Checks a layer on noise at every level.
#[track_caller]
fn check(layer: &Layer) {
    let mut noise = Noise::seeded(11);
    let mut uniform = |length: usize| noise.uniform(length, -1.0, 1.0);
    let x = uniform(layer.input_length());
    let weight = uniform(layer.weight_length());
    let grad = uniform(layer.output_length());
    let zeros = |length: usize| vec![Sum::default(); length];
    let (mut output, mut grad_x, mut grad_weight) = (zeros(grad.len()), zeros(x.len()), zeros(weight.len()));
    layer.for_each_product(|product| {
        let Product {
            input: i,
            weight: j,
            output: o,
        } = product;
        output[o].add(x[i], weight[j]);
        grad_x[i].add(grad[o], weight[j]);
        grad_weight[j].add(grad[o], x[i]);
    });
    let geometry = layer.geometry();
    for level in SimdLevel::available() {
        let name = |what: &str| format!("{what} at {} of {layer:?}", level.name());
        let found = kernels::convolution(&geometry, &x, &weight, level);
        assert_close(&name("output"), &found, &output);
        let found = kernels::convolution_adjoint(&geometry, &grad, &weight, level);
        assert_close(&name("adjoint"), &found, &grad_x);
        let found = kernels::convolution_weight_gradient(&geometry, &x, &grad, level);
        assert_close(&name("weight gradient"), &found, &grad_weight);
    }
}

/// A sum of products in f64, and what bounds its error in f32.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
    terms: usize,
}

impl Sum {
    fn add(&mut self, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.value += product;
        self.magnitude += product.abs();
        self.terms += 1;
    }

    /// Of a sum in any order (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1): 0 where there is nothing
    /// to add.
    fn bound(&self) -> f64 {
        let unit = f64::from(f32::EPSILON) / 2.0;
        1.01 * unit * (self.terms + 1) as f64 * self.magnitude
    }
}

/// Whether values are the expected ones to rounding.
#[track_caller]
fn assert_close(name: &str, found: &[f32], expected: &[Sum]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected.value).abs();
        assert!(
            error <= expected.bound(),
            "{name} at {i}: {found}, expected {}",
            expected.value
        );
    }
}

/// The side of an image of which `windows` windows see all but `left` rows, or what comes nearest.
fn side(layer: &Layer, windows: usize, left: usize) -> usize {
    let padded = layer.stride * (windows - 1) + layer.span() + left % layer.stride;
    padded.saturating_sub(2 * layer.padding).max(1)
}

/// Images as small as one window, odd and not square, with outputs whose rows are whole vectors (16), whose images are
/// but not their rows (4 × 8, 4 × 4), and neither; and with such inputs, which decide how the adjoint reads.
fn with_images(layer: Layer) -> impl Iterator<Item = Layer> {
    let smallest = layer.span().saturating_sub(2 * layer.padding).max(1);
    let outputs = [[1, 1], [3, 2], [5, 7], [2, 16], [4, 8], [4, 4], [12, 4]];
    let of_outputs = outputs
        .into_iter()
        .enumerate()
        .map(move |(i, [rows, columns])| [side(&layer, rows, i), side(&layer, columns, i / 2)]);
    let inputs = [[8, 2], [2, 6], [4, 12], [3, 16], [6, 8], [15, 31]];
    let inputs = inputs.map(|[height, width]: [usize; 2]| [height.max(smallest), width.max(smallest)]);
    of_outputs
        .chain(inputs)
        .enumerate()
        .map(move |(i, [height, width])| Layer {
            batch: [1, 3, 0, 2, 1][i % 5],
            height,
            width,
            ..layer
        })
}

#[test]
fn every_window_and_placement_is_that_of_the_definition() {
    let mut checked = 0;
    for kernel in 1..=7 {
        for stride in 1..=3 {
            for padding in 0..=6 {
                for dilation in 1..=6 {
                    let layer = Layer {
                        batch: 1,
                        channels: 1 + kernel % 2,
                        height: 1,
                        width: 1,
                        atoms: 1 + (padding + dilation) % 3,
                        kernel,
                        stride,
                        padding,
                        dilation,
                    };
                    with_images(layer).for_each(|layer| check(&layer));
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 7 * 3 * 7 * 6);
}

/// Channels and filters that fill several blocks and do not, and groups of many images.
#[test]
fn layers_of_published_networks_are_those_of_the_definition() {
    let layer = |batch, [channels, side, atoms]: [usize; 3], [kernel, stride, padding, dilation]: [usize; 4]| Layer {
        batch,
        channels,
        height: side,
        width: side,
        atoms,
        kernel,
        stride,
        padding,
        dilation,
    };
    check(&layer(2, [3, 32, 32], [4, 2, 1, 1]));
    check(&layer(3, [17, 16, 19], [4, 2, 1, 1]));
    check(&layer(9, [20, 8, 24], [4, 2, 1, 1]));
    check(&layer(2, [1, 28, 18], [6, 2, 0, 1]));
    check(&layer(5, [18, 12, 20], [6, 2, 0, 1]));
    check(&layer(70, [12, 4, 10], [4, 1, 0, 1]));
    for dilation in 1..=6 {
        check(&layer(1, [16, 32, 12], [3, 1, dilation, dilation]));
        check(&layer(3, [5, 8, 12], [3, 1, dilation, dilation]));
        check(&layer(2, [5, 7, 12], [3, 1, dilation, dilation]));
    }
}

/// Strides beyond the image, of which some are beyond what could be allocated, and pixels between windows.
#[test]
fn strides_beyond_the_window_skip_pixels() {
    for stride in [2, 4, 5, 9, 1 << 20, 1 << 40] {
        for (kernel, dilation, padding) in [(1, 1, 0), (2, 1, 0), (2, 3, 1), (3, 2, 2), (3, 4, 4)] {
            for [height, width] in [[9, 31], [15, 16], [10, 33]] {
                check(&Layer {
                    batch: 2,
                    channels: 2,
                    height,
                    width,
                    atoms: 3,
                    kernel,
                    stride,
                    padding,
                    dilation,
                });
            }
        }
    }
}
