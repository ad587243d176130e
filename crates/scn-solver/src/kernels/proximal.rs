//! Steps of the proximal gradient method for convolutional sparse codes (ISTA: Daubechies, Defrise & De Mol, 2004): what is
//! done beside a step's two convolutions is done to results that are still in the cache.

use pulp::Simd;
use rayon::prelude::*;

use super::convolution::{Finish, finished_adjoint, finished_convolution};
use super::output::{Unwritten, all_written, unwritten};
use super::point::{Momentum, Point};
use super::simd::{SimdLevel, TileTask};
use crate::ConvGeometry;

/// Thresholds `[rows, columns]`: one row or one for each image, of one value or one for each atom.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds<'a> {
    /// Row by row.
    pub values: &'a [f32],
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl Thresholds<'_> {
    fn of(&self, image: usize, atom: usize) -> f32 {
        self.values[(image % self.rows) * self.columns + atom % self.columns]
    }
}

/// `S(γ + t·Dᵀr)`, the codes `[b, n, h', w']` after a step of size t from a point γ of the same shape, or from 0, for a residual
/// `r [b, c, h, w]` and a dictionary `weight [n, c, k, k]`. S moves codes towards 0 by the threshold;
/// with `non_negative` down, and what is below 0 is 0.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn proximal_ascent(
    geometry: &ConvGeometry,
    residual: &[f32],
    point: Option<Point>,
    weight: &[f32],
    step: f32,
    thresholds: Thresholds,
    non_negative: bool,
    level: SimdLevel,
) -> Vec<f32> {
    if let Some(point) = point {
        geometry.check("codes", point.codes, geometry.codes_shape().iter().product());
        point.check();
    }
    let Thresholds { values, rows, columns } = thresholds;
    assert!(
        values.len() == rows * columns && [1, geometry.batch].contains(&rows) && [1, geometry.atoms].contains(&columns),
        "thresholds [{rows}, {columns}] of {} values",
        values.len()
    );
    let finish = Proximal {
        point,
        step,
        thresholds,
        atoms: geometry.atoms,
        pixels: geometry.pixels(),
    };
    match non_negative {
        true => finished_convolution(geometry, residual, weight, level, &finish),
        false => finished_convolution(geometry, residual, weight, level, &Signed(finish)),
    }
}

/// `x − D∗γ [b, c, h, w]` of a point γ `[b, n, h', w']` and `weight [n, c, k, k]`.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn signal_residual(geometry: &ConvGeometry, x: &[f32], point: Point, weight: &[f32], level: SimdLevel) -> Vec<f32> {
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("x", x, geometry.batch * image);
    finished_adjoint(geometry, point, weight, level, &Minuend { x, image })
}

/// A gradient `[b·n, pixels]` where the codes that it is of are not 0, and of each row of pixels the sum of it times the
/// sign of the codes, `[b·n]`; nothing where there are no values.
///
/// # Panics
/// Where the lengths differ.
pub fn proximal_gate(grad: &[f32], codes: &[f32], pixels: usize, level: SimdLevel) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(
        grad.len(),
        codes.len(),
        "values of the gradient (left) and of the codes (right)"
    );
    if grad.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut gated = vec![0.0; grad.len()];
    let sums = grad
        .par_chunks(pixels)
        .zip(codes.par_chunks(pixels))
        .zip(gated.par_chunks_mut(pixels))
        .with_min_len((1 << 14) / pixels.min(1 << 14))
        .map(|((grad, codes), gated)| level.run(Gate { grad, codes, gated }))
        .collect();
    (gated, sums)
}

/// A point as values of its own, for what reads it more often than a step does.
///
/// # Panics
/// Where the codes before the last are not as many.
pub fn extrapolated(point: Point, level: SimdLevel) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    point.check();
    let Some(momentum) = point.momentum else {
        return point.codes.to_vec();
    };
    let mut values = unwritten(point.codes.len());
    values
        .par_chunks_mut(CHUNK)
        .zip(point.codes.par_chunks(CHUNK))
        .zip(momentum.previous.par_chunks(CHUNK))
        .for_each(|((values, codes), previous)| {
            level.run(Extrapolate {
                values,
                codes,
                momentum: Momentum { previous, ..momentum },
            })
        });
    // SAFETY: the chunks are all of it, and each is written in full.
    unsafe { all_written(values) }
}

/// Non-negative codes.
struct Proximal<'a> {
    point: Option<Point<'a>>,
    step: f32,
    thresholds: Thresholds<'a>,
    atoms: usize,
    pixels: usize,
}

/// Signed codes.
struct Signed<'a>(Proximal<'a>);

impl Proximal<'_> {
    #[inline(always)]
    fn each(&self, first: usize, results: &mut [f32], shrink: impl Fn(f32, f32) -> f32) {
        // Without pixels there is nothing.
        let planes = results.chunks_exact_mut(self.pixels.max(1)).enumerate();
        for (plane, results) in planes {
            let plane = first * self.atoms + plane;
            let threshold = self.thresholds.of(plane / self.atoms, plane % self.atoms);
            let places = plane * self.pixels..(plane + 1) * self.pixels;
            match &self.point {
                None => results
                    .iter_mut()
                    .for_each(|value| *value = shrink(self.step * *value, threshold)),
                Some(Point { codes, momentum: None }) => {
                    for (value, code) in results.iter_mut().zip(&codes[places]) {
                        *value = shrink(code + self.step * *value, threshold);
                    }
                }
                Some(Point {
                    codes,
                    momentum: Some(momentum),
                }) => {
                    let pairs = codes[places.clone()].iter().zip(&momentum.previous[places]);
                    for (value, (&code, &previous)) in results.iter_mut().zip(pairs) {
                        *value = shrink(momentum.beyond(code, previous) + self.step * *value, threshold);
                    }
                }
            }
        }
    }
}

/// 0 for what is below; unlike `max`, it keeps what is not a number.
#[inline(always)]
fn rectified(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

impl Finish for Proximal<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&self, _: S, first: usize, results: &mut [f32]) {
        self.each(first, results, |value, threshold| rectified(value - threshold));
    }
}

impl Finish for Signed<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&self, _: S, first: usize, results: &mut [f32]) {
        self.0.each(first, results, |value, threshold| {
            rectified(value - threshold) - rectified(-value - threshold)
        });
    }
}

/// What a signal is subtracted from.
struct Minuend<'a> {
    x: &'a [f32],
    image: usize,
}

impl Finish for Minuend<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&self, _: S, first: usize, results: &mut [f32]) {
        let x = &self.x[first * self.image..][..results.len()];
        results.iter_mut().zip(x).for_each(|(value, x)| *value = x - *value);
    }
}

struct Gate<'a> {
    grad: &'a [f32],
    codes: &'a [f32],
    gated: &'a mut [f32],
}

/// Partial sums of a row, so that additions do not wait for each other.
const LANES: usize = 16;

impl TileTask for Gate<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) -> f32 {
        let mut sums = [0.0f32; LANES];
        let chunks = self.grad.chunks(LANES).zip(self.codes.chunks(LANES));
        for ((grad, codes), gated) in chunks.zip(self.gated.chunks_mut(LANES)) {
            for (((sum, &grad), &code), gated) in sums.iter_mut().zip(grad).zip(codes).zip(gated) {
                *gated = if code == 0.0 { 0.0 } else { grad };
                *sum += if code < 0.0 { -*gated } else { *gated };
            }
        }
        sums.iter().sum()
    }
}

struct Extrapolate<'a> {
    values: &'a mut Unwritten,
    codes: &'a [f32],
    momentum: Momentum<'a>,
}

impl TileTask for Extrapolate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) {
        let pairs = self.codes.iter().zip(self.momentum.previous);
        for (value, (&code, &previous)) in self.values.iter_mut().zip(pairs) {
            value.write(self.momentum.beyond(code, previous));
        }
    }
}
