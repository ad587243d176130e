//! Coordinate descent for the forward problem: each sweep sets one code after the other to its minimiser (Friedman, Hastie
//! & Tibshirani, J. Stat. Softw. 33(1), 2010, eq. 5).

use pulp::Simd;

use super::sweeps::Rule;

/// `min ½αᵀQα − bᵀα` over α ≥ 0, stopped on the natural residual `α − max(0, α − ∇/L)`.
#[derive(Clone, Copy)]
pub(crate) struct NonNegative {
    pub(crate) inverse_lipschitz: f32,
}

impl<S: Simd> Rule<S> for NonNegative {
    #[inline(always)]
    fn project(self, simd: S, _: usize, u: S::f32s) -> S::f32s {
        simd.max_f32s(u, simd.splat_f32s(0.0))
    }

    #[inline(always)]
    fn residual(self, simd: S, _: usize, value: S::f32s, u: S::f32s, diagonal: f32) -> S::f32s {
        let step = simd.splat_f32s(diagonal * self.inverse_lipschitz);
        // For α ≥ 0 it is min(α, ∇/L), without the cancellation.
        simd.min_f32s(simd.mul_f32s(simd.sub_f32s(value, u), step), value)
    }
}
