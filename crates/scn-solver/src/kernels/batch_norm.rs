//! Batch normalisation of `[b, c, pixels]` (Ioffe & Szegedy, arXiv:1502.03167): `x̂ = (x − mean)·scale` with
//! `scale = 1/√(variance + ε)` for each channel, and its gradient where mean and variance are those of the batch.
//!
//! Sums over a plane are taken in f32 by vector lanes, sums of planes in f64 in the order of the images: results do
//! not depend on the number of threads.

use pulp::Simd;
use rayon::prelude::*;

use super::output::{Unwritten, all_written, unwritten};
use super::simd::{SimdLevel, TileTask};
use crate::profile::{Part, Stopwatch, timed};

/// Partial sums of a plane.
const LANES: usize = 16;

/// Mean and biased variance of each channel of `x [b, c, pixels]`; zero for a batch without values.
///
/// # Panics
/// Where x is not made of whole images.
pub fn moments(x: &[f32], channels: usize, pixels: usize, level: SimdLevel) -> (Vec<f32>, Vec<f32>) {
    check_images(x, channels, pixels);
    let of_channel = |channel| {
        level.run(Moments {
            x,
            channel,
            channels,
            pixels,
        })
    };
    timed(Part::BatchNorm, || {
        (0..channels).into_par_iter().map(of_channel).unzip()
    })
}

/// `(x − mean)·scale·weight + bias` of `x [b, c, pixels]`, with one value of each for a channel.
///
/// # Panics
/// Where x is not made of whole images.
pub fn normalize(
    x: &[f32],
    pixels: usize,
    mean: &[f32],
    scale: &[f32],
    weight: &[f32],
    bias: &[f32],
    level: SimdLevel,
) -> Vec<f32> {
    let channels = mean.len();
    check_images(x, channels, pixels);
    let mut stopwatch = Stopwatch::start();
    let mut output = unwritten(x.len());
    let image = (channels * pixels).max(1);
    x.par_chunks(image)
        .zip(output.par_chunks_mut(image))
        .for_each(|(x, output)| {
            level.run(Planes {
                x,
                output,
                pixels,
                affine: |channel| Affine {
                    mean: mean[channel],
                    slope: scale[channel] * weight[channel],
                    shift: bias[channel],
                },
            })
        });
    stopwatch.lap_all(Part::BatchNorm);
    // SAFETY: whole images have whole planes.
    unsafe { all_written(output) }
}

/// Gradients of x, weight and bias of [`normalize`] given that of its output, where mean and scale are those of the
/// batch.
///
/// # Panics
/// Where x is not made of whole images, or `grad` has not its length.
pub fn normalize_backward(
    x: &[f32],
    pixels: usize,
    mean: &[f32],
    scale: &[f32],
    weight: &[f32],
    grad: &[f32],
    level: SimdLevel,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let channels = mean.len();
    check_images(x, channels, pixels);
    assert_eq!(grad.len(), x.len(), "values of grad (left) are not those of x (right)");
    let mut stopwatch = Stopwatch::start();
    let mut sums = ChannelSums::zeros(channels);
    let image = (channels * pixels).max(1);
    let partial: Vec<ChannelSums> = x
        .par_chunks(image)
        .zip(grad.par_chunks(image))
        .map(|(x, grad)| {
            let mut sums = ChannelSums::zeros(channels);
            level.run(AddImage {
                sums: &mut sums,
                grad,
                x,
                mean,
                scale,
                pixels,
            });
            sums
        })
        .collect();
    partial.iter().for_each(|partial| sums.add(partial));
    let slope: Vec<f32> = scale.iter().zip(weight).map(|(scale, weight)| scale * weight).collect();
    let mut grad_x = grad.to_vec();
    sums.center(&mut grad_x, x, pixels, mean, scale, &slope, level);
    stopwatch.lap_all(Part::BatchNorm);
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    (grad_x, single(&sums.grad_normalized), single(&sums.grad))
}

fn check_images(x: &[f32], channels: usize, pixels: usize) {
    let image = channels * pixels;
    assert!(
        x.is_empty() || (image > 0 && x.len().is_multiple_of(image)),
        "{} values are not whole images of {channels} planes of {pixels} pixels",
        x.len()
    );
}

/// Sums over batch and pixels, per channel, of a gradient and of its product with x̂.
#[derive(Clone)]
pub(super) struct ChannelSums {
    grad: Vec<f64>,
    grad_normalized: Vec<f64>,
    /// Values of a channel.
    count: usize,
}

impl ChannelSums {
    pub(super) fn zeros(channels: usize) -> Self {
        Self {
            grad: vec![0.0; channels],
            grad_normalized: vec![0.0; channels],
            count: 0,
        }
    }

    /// Adds images `[images, c, pixels]` of x̂'s gradient.
    #[inline(always)]
    pub(super) fn add_images(&mut self, grad: &[f32], x: &[f32], mean: &[f32], scale: &[f32], pixels: usize) {
        let channels = self.grad.len();
        for (i, (grad, x)) in grad.chunks_exact(pixels).zip(x.chunks_exact(pixels)).enumerate() {
            let channel = i % channels;
            let sum: f32 = fold(grad, x, |sum, grad, _| sum + grad);
            let product: f32 = fold(grad, x, |sum, grad, x| sum + grad * (x - mean[channel]));
            self.grad[channel] += f64::from(sum);
            self.grad_normalized[channel] += f64::from(product * scale[channel]);
        }
        self.count += grad.len() / channels;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, other) in self.grad.iter_mut().zip(&other.grad) {
            *sum += other;
        }
        for (sum, other) in self.grad_normalized.iter_mut().zip(&other.grad_normalized) {
            *sum += other;
        }
        self.count += other.count;
    }

    /// Turns the gradient of x̂ into that of x, where mean and scale depend on x: with means over batch and pixels,
    /// `slope·(g − mean(g) − x̂·mean(g·x̂))`.
    pub(super) fn center(
        &self,
        grad: &mut [f32],
        x: &[f32],
        pixels: usize,
        mean: &[f32],
        scale: &[f32],
        slope: &[f32],
        level: SimdLevel,
    ) {
        let image = (mean.len() * pixels).max(1);
        let count = self.count.max(1) as f64;
        grad.par_chunks_mut(image)
            .zip(x.par_chunks(image))
            .for_each(|(grad, x)| {
                level.run(CenterImage {
                    grad,
                    x,
                    pixels,
                    terms: |channel| Terms {
                        slope: slope[channel],
                        grad: (self.grad[channel] / count) as f32,
                        product: (self.grad_normalized[channel] / count) as f32 * scale[channel],
                        mean: mean[channel],
                    },
                })
            });
    }
}

/// Folds pairs of values in interleaved partial results, which the compiler turns into vectors.
#[inline(always)]
fn fold(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] = step(lanes[i], a[i], b[i]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (&a, &b)| step(sum, a, b));
    lanes.iter().sum::<f32>() + rest
}

struct Moments<'a> {
    x: &'a [f32],
    channel: usize,
    channels: usize,
    pixels: usize,
}

impl TileTask for Moments<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) -> (f32, f32) {
        let planes = || {
            let planes = self.x.chunks_exact(self.pixels.max(1));
            planes.skip(self.channel).step_by(self.channels)
        };
        // Sums of squares around each plane's own mean do not cancel; means of planes join them (Chan et al., 1979).
        let (mut count, mut mean, mut squares) = (0.0f64, 0.0f64, 0.0f64);
        for plane in planes() {
            let size = plane.len() as f64;
            let own = f64::from(fold(plane, plane, |sum, x, _| sum + x)) / size;
            let center = own as f32;
            let around = f64::from(fold(plane, plane, |sum, x, _| sum + (x - center) * (x - center)));
            let apart = own - mean;
            squares += around + apart * apart * count * size / (count + size);
            count += size;
            mean += apart * size / count;
        }
        (mean as f32, (squares / count.max(1.0)) as f32)
    }
}

/// `(x − mean)·slope + shift`.
struct Affine {
    mean: f32,
    slope: f32,
    shift: f32,
}

struct Planes<'a, F> {
    x: &'a [f32],
    output: &'a mut Unwritten,
    pixels: usize,
    affine: F,
}

impl<F: Fn(usize) -> Affine> TileTask for Planes<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) {
        let planes = self
            .x
            .chunks_exact(self.pixels)
            .zip(self.output.chunks_exact_mut(self.pixels));
        for (channel, (x, output)) in planes.enumerate() {
            let Affine { mean, slope, shift } = (self.affine)(channel);
            for (output, x) in output.iter_mut().zip(x) {
                output.write((x - mean) * slope + shift);
            }
        }
    }
}

struct AddImage<'a> {
    sums: &'a mut ChannelSums,
    grad: &'a [f32],
    x: &'a [f32],
    mean: &'a [f32],
    scale: &'a [f32],
    pixels: usize,
}

impl TileTask for AddImage<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) {
        self.sums
            .add_images(self.grad, self.x, self.mean, self.scale, self.pixels);
    }
}

/// The gradient of x is `slope·(g − grad − (x − mean)·product)`.
struct Terms {
    slope: f32,
    grad: f32,
    product: f32,
    mean: f32,
}

struct CenterImage<'a, F> {
    grad: &'a mut [f32],
    x: &'a [f32],
    pixels: usize,
    terms: F,
}

impl<F: Fn(usize) -> Terms> TileTask for CenterImage<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) {
        let planes = self
            .grad
            .chunks_exact_mut(self.pixels)
            .zip(self.x.chunks_exact(self.pixels));
        for (channel, (grad, x)) in planes.enumerate() {
            let terms = (self.terms)(channel);
            for (grad, x) in grad.iter_mut().zip(x) {
                let projected = (x - terms.mean) * terms.product;
                *grad = terms.slope * (*grad - terms.grad - projected);
            }
        }
    }
}
