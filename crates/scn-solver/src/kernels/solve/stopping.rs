//! When a tile's iteration stops: every pixel's relative residual is at most the tolerance.

use pulp::Simd;

use crate::kernels::simd::all_within;

/// Tolerances beyond this accept as much as this.
const LARGEST_TOLERANCE: f32 = 1e9;

/// Squared norms per pixel of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Norms<S: Simd, const V: usize> {
    /// Of the residual by which the iteration stops.
    pub(crate) residual: [S::f32s; V],
    /// Of the values.
    pub(crate) values: [S::f32s; V],
}

impl<S: Simd, const V: usize> Norms<S, V> {
    #[inline(always)]
    pub(crate) fn zero(simd: S) -> Self {
        Self {
            residual: [simd.splat_f32s(0.0); V],
            values: [simd.splat_f32s(0.0); V],
        }
    }
}

/// What ends the iteration of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Stopping<S: Simd, const V: usize> {
    pub(crate) tolerance: f32,
    pub(crate) max_iterations: usize,
    /// Squared norms that residuals are relative to; where there are none, those of the values.
    pub(crate) reference: Option<[S::f32s; V]>,
}

impl<S: Simd, const V: usize> Stopping<S, V> {
    /// Whether the residuals after so many iterations are small enough, or the cap is reached.
    #[inline(always)]
    pub(crate) fn ends(&self, simd: S, iterations: usize, norms: &Norms<S, V>) -> bool {
        // At most, so that zero times it is not NaN.
        let tolerance = self.tolerance.min(LARGEST_TOLERANCE);
        let factor = simd.splat_f32s(tolerance * tolerance);
        let mut limits = self.reference.unwrap_or(norms.values);
        for limit in &mut limits {
            *limit = simd.mul_f32s(factor, *limit);
        }
        iterations == self.max_iterations || all_within(simd, norms.residual, limits)
    }

    /// The relative residual of each pixel; 0 where the residual is, whatever it is relative to.
    #[inline(always)]
    pub(crate) fn relative(&self, simd: S, norms: &Norms<S, V>) -> [S::f32s; V] {
        let zero = simd.splat_f32s(0.0);
        let sizes = self.reference.unwrap_or(norms.values);
        let mut relative = norms.residual;
        for v in 0..V {
            let ratio = simd.sqrt_f32s(simd.div_f32s(relative[v], sizes[v]));
            relative[v] = simd.select_f32s(simd.equal_f32s(relative[v], zero), zero, ratio);
        }
        relative
    }
}
