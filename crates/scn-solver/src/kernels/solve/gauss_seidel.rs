//! Gauss–Seidel for the masked backward system.

use pulp::Simd;

use super::sweeps::Rule;
use crate::kernels::simd::masked;

/// `Q_ΛΛ γ_Λ = g_Λ`, γ = 0 elsewhere, for the mask of Λ, all bits of a value set or none; stopped on `g_Λ − Q_ΛΛ γ_Λ`.
#[derive(Clone, Copy)]
pub(crate) struct Masked<'a, S: Simd, const V: usize> {
    pub(crate) mask: &'a [[S::f32s; V]],
}

impl<S: Simd, const V: usize> Rule<S> for Masked<'_, S, V> {
    #[inline(always)]
    fn project(self, simd: S, at: usize, u: S::f32s) -> S::f32s {
        masked(simd, self.mask[at / V][at % V], u)
    }

    #[inline(always)]
    fn residual(self, simd: S, at: usize, value: S::f32s, u: S::f32s, diagonal: f32) -> S::f32s {
        let residual = simd.mul_f32s(simd.sub_f32s(u, value), simd.splat_f32s(diagonal));
        masked(simd, self.mask[at / V][at % V], residual)
    }
}
