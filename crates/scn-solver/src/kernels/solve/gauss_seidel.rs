//! Gauss–Seidel sweeps for the masked backward systems that are not solved by factorisation.

use pulp::Simd;

use super::active_sets::{Outcome, Systems};
use super::scaling::{lanes_to_unit, multiply_rows};
use super::stopping::Stopping;
use super::sweeps::{Halves, Rule, System};
use crate::BackwardOptions;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::{masked, mul_add, rows, rows_mut};

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

/// What the sweeps of a tile need. Rows are `[pixels of the tile]`.
pub(crate) struct Sweeps {
    mask: Aligned,
    /// `g_Λ`, brought to about 1 and divided by the diagonal of Q.
    rhs: Aligned,
    gamma: Aligned,
    /// What each pixel's `g_Λ` is multiplied by, and what its γ is.
    scales: [Aligned; 2],
    halves: Halves,
}

impl Sweeps {
    pub(crate) fn new(atoms: usize, width: usize) -> Self {
        let rows = || Aligned::zeros(atoms * width);
        Self {
            mask: rows(),
            rhs: rows(),
            gamma: rows(),
            scales: [Aligned::zeros(width), Aligned::zeros(width)],
            halves: Halves::new(atoms, width),
        }
    }

    /// Solves the systems of a tile that the outcome calls unsolved, from γ = 0, and notes the number of sweeps, which it
    /// returns. Where a residual becomes smaller than it was, `gamma` and the residual are replaced.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        system: &System,
        options: &BackwardOptions,
        systems: Systems,
        gamma: &mut [f32],
        outcome: &mut Outcome,
    ) -> usize {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let unsolved = rows::<S, V>(&outcome.unsolved)[0];
        let finite = self.select::<S, V>(simd, systems, unsolved);
        let [size, lost] = self.divide::<S, V>(simd, system);
        let stopping = Stopping {
            tolerance: options.tolerance as f32,
            max_iterations: options.max_iterations,
            reference: Some(size),
        };
        let rule = Masked {
            mask: rows::<S, V>(&self.mask),
        };
        let (sweeps, mut norms) =
            self.halves
                .solve::<S, _, R, V>(simd, system, &self.rhs, &mut self.gamma, rule, &stopping);
        multiply_rows::<S, V>(simd, &mut self.gamma, &self.scales[1]);

        for v in 0..V {
            norms.residual[v] = simd.add_f32s(norms.residual[v], lost[v]);
        }
        let reached = stopping.relative(simd, &norms);
        let (number, none) = (simd.splat_f32s(sweeps as f32), simd.splat_f32s(f32::NAN));
        let residual = &mut rows_mut::<S, V>(&mut outcome.residual)[0];
        let spent = &mut rows_mut::<S, V>(&mut outcome.refinements)[0];
        // 1 where the sweeps' γ is taken, and where there is none.
        let (mut taken, mut broken) = ([zero; V], [zero; V]);
        for v in 0..V {
            let swept = simd.greater_than_f32s(unsolved[v], zero);
            broken[v] = simd.select_f32s(swept, simd.sub_f32s(one, finite[v]), zero);
            let better = simd.and_m32s(swept, simd.less_than_f32s(reached[v], residual[v]));
            taken[v] = simd.select_f32s(better, one, zero);
            spent[v] = simd.select_f32s(swept, simd.mul_f32s(finite[v], number), spent[v]);
            residual[v] = simd.select_f32s(better, reached[v], residual[v]);
            residual[v] = simd.select_f32s(simd.greater_than_f32s(broken[v], zero), none, residual[v]);
        }
        let codes = rows::<S, V>(systems.codes);
        let found = rows::<S, V>(&self.gamma);
        for ((gamma, found), codes) in rows_mut::<S, V>(gamma).iter_mut().zip(found).zip(codes) {
            for v in 0..V {
                gamma[v] = simd.select_f32s(simd.greater_than_f32s(taken[v], zero), found[v], gamma[v]);
                let active = simd.greater_than_f32s(codes[v], zero);
                let broken = simd.and_m32s(active, simd.greater_than_f32s(broken[v], zero));
                gamma[v] = simd.select_f32s(broken, none, gamma[v]);
            }
        }
        sweeps
    }

    /// Takes the masks and the scaled right-hand sides of the unsolved pixels; those of the others are 0, and so are those
    /// of pixels whose right-hand side is not finite, which would hold up the tile. Returns 1 where it is finite, else 0.
    #[inline(always)]
    fn select<S: Simd, const V: usize>(&mut self, simd: S, systems: Systems, unsolved: [S::f32s; V]) -> [S::f32s; V] {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let all = simd.transmute_f32s_u32s(simd.splat_u32s(u32::MAX));
        let (mut defect, mut largest) = ([zero; V], [zero; V]);
        let (codes, right) = (rows::<S, V>(systems.codes), rows::<S, V>(systems.rhs));
        let rhs = rows_mut::<S, V>(&mut self.rhs);
        let masks = rows_mut::<S, V>(&mut self.mask);
        for (((rhs, mask), codes), right) in rhs.iter_mut().zip(&mut *masks).zip(codes).zip(right) {
            for v in 0..V {
                let active = simd.greater_than_f32s(codes[v], zero);
                let wanted = simd.and_m32s(active, simd.greater_than_f32s(unsolved[v], zero));
                mask[v] = simd.select_f32s(wanted, all, zero);
                rhs[v] = masked(simd, mask[v], right[v]);
                // Zero times infinity or NaN is NaN.
                defect[v] = mul_add(simd, rhs[v], zero, defect[v]);
                largest[v] = simd.max_f32s(simd.abs_f32s(rhs[v]), largest[v]);
            }
        }
        let [to_unit, back] = &mut self.scales;
        let mut finite = [zero; V];
        for v in 0..V {
            finite[v] = simd.select_f32s(simd.equal_f32s(defect[v], zero), one, zero);
            [rows_mut::<S, V>(to_unit)[0][v], rows_mut::<S, V>(back)[0][v]] = lanes_to_unit(simd, largest[v]);
        }
        let to_unit = rows::<S, V>(to_unit)[0];
        for (rhs, mask) in rhs.iter_mut().zip(masks) {
            for v in 0..V {
                let finite = simd.greater_than_f32s(finite[v], zero);
                mask[v] = simd.select_f32s(finite, mask[v], zero);
                rhs[v] = masked(simd, mask[v], simd.mul_f32s(rhs[v], to_unit[v]));
            }
        }
        finite
    }

    /// Divides the right-hand sides by the diagonal of Q. Returns the squares of their norms before: all of them, and those
    /// of the rows of zero atoms, which no sweep can solve.
    #[inline(always)]
    fn divide<S: Simd, const V: usize>(&mut self, simd: S, system: &System) -> [[S::f32s; V]; 2] {
        let [mut size, mut lost] = [[simd.splat_f32s(0.0); V]; 2];
        for (j, rhs) in rows_mut::<S, V>(&mut self.rhs).iter_mut().enumerate() {
            let scale = simd.splat_f32s(system.scale(j));
            for v in 0..V {
                let square = simd.mul_f32s(rhs[v], rhs[v]);
                size[v] = simd.add_f32s(size[v], square);
                if system.scale(j) == 0.0 {
                    lost[v] = simd.add_f32s(lost[v], square);
                }
                rhs[v] = simd.mul_f32s(rhs[v], scale);
            }
        }
        [size, lost]
    }
}
