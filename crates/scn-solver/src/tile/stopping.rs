//! When a tile's iteration stops: every pixel's relative residual is at most the tolerance.

use pulp::Simd;

use super::aligned::Aligned;
use super::gauss_seidel::Norms;
use super::simd::rows_mut;

/// An estimate that promised convergence too early must shrink by this factor before it is believed again.
const DISTRUST: f32 = 0.5;

/// Judges a tile from squared norms per pixel.
pub(super) struct Stopping {
    tolerance: f32,
    /// How much smaller than the tolerance an estimate must be before the true residual is computed.
    trust: f32,
    residual: Aligned,
    reference: Aligned,
    /// Pixels that are judged; the others are idle.
    pixels: usize,
}

impl Stopping {
    pub(super) fn new(tolerance: f64, width: usize) -> Self {
        Self {
            tolerance: tolerance as f32,
            trust: 1.0,
            residual: Aligned::zeros(width),
            reference: Aligned::zeros(width),
            pixels: 0,
        }
    }

    /// Starts over for a tile with `pixels` pixels.
    pub(super) fn reset(&mut self, pixels: usize) {
        self.trust = 1.0;
        self.pixels = pixels;
    }

    /// Whether the estimates say that the true residual is worth its price.
    #[inline(always)]
    pub(super) fn promises<S: Simd, const V: usize>(&mut self, norms: &Norms<S, V>, fixed: Option<&[f32]>) -> bool {
        self.take(norms, fixed);
        self.all_within(self.trust * self.tolerance)
    }

    /// Whether the true residuals end the iteration; if not, later promises are believed less.
    #[inline(always)]
    pub(super) fn confirms<S: Simd, const V: usize>(&mut self, norms: &Norms<S, V>, fixed: Option<&[f32]>) -> bool {
        self.take(norms, fixed);
        self.trust *= DISTRUST;
        self.all_within(self.tolerance)
    }

    /// The relative residual of one pixel, as last taken.
    pub(super) fn relative(&self, pixel: usize) -> f32 {
        match (self.residual[pixel], self.reference[pixel]) {
            (0.0, _) => 0.0,
            (residual, reference) => (residual / reference).sqrt(),
        }
    }

    /// Whether every pixel's relative residual is at most `limit`; NaN is not.
    #[inline(always)]
    fn all_within(&self, limit: f32) -> bool {
        let pixels = self.residual.iter().zip(self.reference.iter()).take(self.pixels);
        // Without an early exit the comparison is done with vectors.
        pixels.fold(true, |all, (residual, reference)| {
            all & (*residual <= limit * limit * reference)
        })
    }

    /// Takes squared norms; residuals are relative to the values' or to `fixed` squared norms.
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, norms: &Norms<S, V>, fixed: Option<&[f32]>) {
        rows_mut::<S, V>(&mut self.residual)[0] = norms.residual;
        match fixed {
            Some(reference) => self.reference.copy_from_slice(reference),
            None => rows_mut::<S, V>(&mut self.reference)[0] = norms.values,
        }
    }
}
