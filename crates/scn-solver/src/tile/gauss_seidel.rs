//! Gauss–Seidel sweeps over a tile of pixels: coordinate descent for the forward problem, and the same iteration
//! with a fixed mask for the backward system.
//!
//! For a block of `R` atoms the residuals `r = rhs − Q·values` come from one product against the whole tile; inside
//! the block they are corrected with its corner of Q after each update, so that the result equals the plain
//! one-atom-at-a-time sweep.

use pulp::Simd;

use super::operator::Operator;
use super::product::product;
use super::simd::{mul_add, rows, rows_mut};

/// Which of the two problems a sweep solves.
pub(super) trait Rule<S: Simd>: Copy {
    /// The new value after the unconstrained step `step` from `value`; `at` indexes vectors of the tile.
    fn update(self, simd: S, at: usize, value: S::f32s, step: S::f32s) -> S::f32s;
    /// The component of the residual by which the iteration stops, for the remaining `residual` of the equation.
    fn residual(self, simd: S, at: usize, value: S::f32s, residual: S::f32s) -> S::f32s;
    /// Estimates that component from the change of a value during the sweep.
    fn residual_of_change(self, change: S::f32s, diagonal: S::f32s, simd: S) -> S::f32s;
}

/// `min ½αᵀQα − bᵀα` over α ≥ 0, stopped on the natural residual `α − max(0, α − ∇/L)`.
#[derive(Clone, Copy)]
pub(super) struct NonNegative {
    pub(super) inverse_lipschitz: f32,
}

impl<S: Simd> Rule<S> for NonNegative {
    #[inline(always)]
    fn update(self, simd: S, _: usize, value: S::f32s, step: S::f32s) -> S::f32s {
        simd.max_f32s(simd.add_f32s(value, step), simd.splat_f32s(0.0))
    }

    #[inline(always)]
    fn residual(self, simd: S, at: usize, value: S::f32s, residual: S::f32s) -> S::f32s {
        let step = simd.mul_f32s(residual, simd.splat_f32s(self.inverse_lipschitz));
        simd.sub_f32s(value, self.update(simd, at, value, step))
    }

    #[inline(always)]
    fn residual_of_change(self, change: S::f32s, diagonal: S::f32s, simd: S) -> S::f32s {
        simd.mul_f32s(simd.mul_f32s(change, diagonal), simd.splat_f32s(self.inverse_lipschitz))
    }
}

/// `Q_ΛΛ γ_Λ = g_Λ`, γ = 0 elsewhere, for the 0/1 mask of Λ; stopped on `g_Λ − Q_ΛΛ γ_Λ`.
#[derive(Clone, Copy)]
pub(super) struct Masked<'a, S: Simd, const V: usize> {
    pub(super) mask: &'a [[S::f32s; V]],
}

impl<S: Simd, const V: usize> Rule<S> for Masked<'_, S, V> {
    #[inline(always)]
    fn update(self, simd: S, at: usize, value: S::f32s, step: S::f32s) -> S::f32s {
        mul_add(simd, step, self.mask[at / V][at % V], value)
    }

    #[inline(always)]
    fn residual(self, simd: S, at: usize, _: S::f32s, residual: S::f32s) -> S::f32s {
        simd.mul_f32s(residual, self.mask[at / V][at % V])
    }

    #[inline(always)]
    fn residual_of_change(self, change: S::f32s, diagonal: S::f32s, simd: S) -> S::f32s {
        simd.mul_f32s(change, diagonal)
    }
}

/// Squared norms per lane.
pub(super) struct Norms<S: Simd, const V: usize> {
    /// Of the residual by which the iteration stops.
    pub(super) residual: [S::f32s; V],
    /// Of the values.
    pub(super) values: [S::f32s; V],
}

/// One sweep over all atoms. `values` beyond those of earlier blocks are taken as 0 where `from_zero` is set.
/// Returns estimates of the residual before the sweep, and the norm after it.
#[inline(always)]
pub(super) fn sweep<S: Simd, U: Rule<S>, const R: usize, const V: usize>(
    simd: S,
    operator: &Operator,
    rhs: &[f32],
    values: &mut [f32],
    rule: U,
    from_zero: bool,
) -> Norms<S, V> {
    let zero = simd.splat_f32s(0.0);
    let mut norms = Norms {
        residual: [zero; V],
        values: [zero; V],
    };
    let rhs = rows::<S, V>(rhs);
    let values = rows_mut::<S, V>(values);
    for first in (0..operator.diagonal.len()).step_by(R) {
        let negated = operator.negated.block::<R>(first / R);
        let known = if from_zero { first } else { values.len() };
        let mut acc: [[S::f32s; V]; R] = std::array::from_fn(|r| rhs[first + r]);
        acc = product(simd, &negated[..known], &values[..known], acc);
        let corner = &negated[first..first + R];
        for r in 0..R {
            let j = first + r;
            let inverse = simd.splat_f32s(operator.inverse_diagonal[j]);
            let diagonal = simd.splat_f32s(operator.diagonal[j]);
            for v in 0..V {
                let old = values[j][v];
                let new = rule.update(simd, j * V + v, old, simd.mul_f32s(acc[r][v], inverse));
                let change = simd.sub_f32s(new, old);
                values[j][v] = new;
                let residual = rule.residual_of_change(change, diagonal, simd);
                norms.residual[v] = mul_add(simd, residual, residual, norms.residual[v]);
                norms.values[v] = mul_add(simd, new, new, norms.values[v]);
                for below in r + 1..R {
                    acc[below][v] = mul_add(simd, simd.splat_f32s(corner[r][below]), change, acc[below][v]);
                }
            }
        }
    }
    norms
}

/// The norms of the true residual at `values`.
#[inline(always)]
pub(super) fn residual<S: Simd, U: Rule<S>, const R: usize, const V: usize>(
    simd: S,
    operator: &Operator,
    rhs: &[f32],
    values: &[f32],
    rule: U,
) -> Norms<S, V> {
    let zero = simd.splat_f32s(0.0);
    let mut norms = Norms {
        residual: [zero; V],
        values: [zero; V],
    };
    let (rhs, values) = (rows::<S, V>(rhs), rows::<S, V>(values));
    for first in (0..operator.diagonal.len()).step_by(R) {
        let acc = std::array::from_fn(|r| rhs[first + r]);
        let acc = product(simd, operator.negated.block::<R>(first / R), values, acc);
        for r in 0..R {
            for v in 0..V {
                let value = values[first + r][v];
                let residual = rule.residual(simd, (first + r) * V + v, value, acc[r][v]);
                norms.residual[v] = mul_add(simd, residual, residual, norms.residual[v]);
                norms.values[v] = mul_add(simd, value, value, norms.values[v]);
            }
        }
    }
    norms
}
