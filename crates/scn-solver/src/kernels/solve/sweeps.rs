//! Sweeps over a tile of pixels that set one value after the other to what its own equation says, given all others:
//! coordinate descent where values are kept at 0 or above, Gauss–Seidel where a mask fixes which are 0.
//!
//! The equations are divided by their diagonal: row j of a sweep is `uⱼ = b̃ⱼ − Σ_{k≠j} Q̃ⱼₖ αₖ`, `αⱼ ← project(uⱼ)`
//! with `Q̃ⱼₖ = Qⱼₖ/Qⱼⱼ`. A sweep is made of two halves. The lower one goes through the atoms in order, with the sums
//! over k < j, which need the new values, block by block; inside a block of `R` atoms each new value is passed on at
//! once, so that the result is that of the plain one-atom-at-a-time sweep. The upper one forms the sums over k > j,
//! which the next sweep needs; together with those over k < j they are all of `Q̃α`, and so the exact residual of the
//! values comes without a product of its own.

use pulp::Simd;

use super::quadratic::Quadratic;
use super::stopping::{Norms, Stopping};
use crate::kernels::aligned::Aligned;
use crate::kernels::product::{Packed, product};
use crate::kernels::simd::{TileShape, all_within, for_each_row, mul_add, rows, rows_mut};

/// The divided equations of `n` atoms, padded to whole blocks with atoms that stay 0.
pub(crate) struct System {
    /// `−Q̃` without its diagonal, in blocks of rows.
    coupling: Packed,
    /// `Qⱼⱼ`.
    diagonal: Vec<f32>,
    /// `1/Qⱼⱼ`, 0 for zero atoms and for the padding: their values stay 0.
    inverse_diagonal: Vec<f32>,
}

impl System {
    pub(crate) fn new(quadratic: &Quadratic, shape: TileShape) -> Self {
        let n = quadratic.atoms();
        let padded = n.next_multiple_of(shape.block);
        let mut diagonal: Vec<f32> = (0..n).map(|j| quadratic.at(j, j)).collect();
        diagonal.resize(padded, 0.0);
        let inverse_diagonal: Vec<f32> = diagonal.iter().map(|&q| if q > 0.0 { 1.0 / q } else { 0.0 }).collect();
        Self {
            coupling: Packed::new(padded, padded, shape.block, |j, k| {
                let apart = j < n && k < n && j != k;
                if apart {
                    -quadratic.at(j, k) * inverse_diagonal[j]
                } else {
                    0.0
                }
            }),
            diagonal,
            inverse_diagonal,
        }
    }

    /// Atoms, padded.
    pub(crate) fn atoms(&self) -> usize {
        self.diagonal.len()
    }

    /// What row j of the right-hand side is to be multiplied by.
    pub(crate) fn scale(&self, j: usize) -> f32 {
        self.inverse_diagonal[j]
    }

    /// `Qⱼⱼ`.
    pub(crate) fn diagonal(&self, j: usize) -> f32 {
        self.diagonal[j]
    }
}

/// Which of the two problems a sweep solves.
pub(crate) trait Rule<S: Simd>: Copy {
    /// The new value for the unconstrained minimiser `u`; `at` indexes vectors of the tile.
    fn project(self, simd: S, at: usize, u: S::f32s) -> S::f32s;
    /// The component of the residual by which the iteration stops, where the minimiser given all other values is `u`.
    fn residual(self, simd: S, at: usize, value: S::f32s, u: S::f32s, diagonal: f32) -> S::f32s;
}

/// The residual is looked at from this sweep on: none converges before, unless all values are 0.
const FIRST_JUDGED: usize = 3;

#[inline(always)]
fn is_zero<S: Simd, const V: usize>(simd: S, values: &[f32]) -> bool {
    let mut largest = [simd.splat_f32s(0.0); V];
    for values in rows::<S, V>(values) {
        for v in 0..V {
            largest[v] = simd.max_f32s(largest[v], simd.abs_f32s(values[v]));
        }
    }
    all_within(simd, largest, [simd.splat_f32s(0.0); V])
}

/// What the halves of a sweep hand to each other, `[atoms][pixels]`: after the upper half `b̃ⱼ − Σ_{k>j} Q̃ⱼₖ αₖ`, after
/// the lower one `−Σ_{k<j} Q̃ⱼₖ αₖ`.
pub(crate) struct Halves {
    sums: Aligned,
}

impl Halves {
    pub(crate) fn new(atoms: usize, width: usize) -> Self {
        Self {
            sums: Aligned::zeros(atoms * width),
        }
    }

    /// Iterates from 0 until `stopping` ends it; returns the number of sweeps and the norms at the values.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, U: Rule<S>, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        system: &System,
        rhs: &[f32],
        values: &mut [f32],
        rule: U,
        stopping: &Stopping<S, V>,
    ) -> (usize, Norms<S, V>) {
        if stopping.max_iterations == 0 {
            values.fill(0.0);
            self.sums.fill(0.0);
            return (0, self.ascend::<S, U, R, V, true>(simd, system, rhs, values, rule));
        }
        self.sums.copy_from_slice(rhs);
        let mut sweeps = 0;
        loop {
            self.descend::<S, U, R, V>(simd, system, values, rule);
            sweeps += 1;
            let early = sweeps < FIRST_JUDGED.min(stopping.max_iterations);
            if early && !(sweeps == 1 && is_zero::<S, V>(simd, values)) {
                self.ascend::<S, U, R, V, false>(simd, system, rhs, values, rule);
                continue;
            }
            let norms = self.ascend::<S, U, R, V, true>(simd, system, rhs, values, rule);
            if stopping.ends(simd, sweeps, &norms) {
                return (sweeps, norms);
            }
        }
    }

    /// The lower half of a sweep: new values from the upper sums of the old ones.
    #[inline(always)]
    fn descend<S: Simd, U: Rule<S>, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        system: &System,
        values: &mut [f32],
        rule: U,
    ) {
        let (sums, values) = (rows_mut::<S, V>(&mut self.sums), rows_mut::<S, V>(values));
        for (block, sums) in sums.as_chunks_mut::<R>().0.iter_mut().enumerate() {
            let (known, values) = values.split_at_mut(block * R);
            let (coupling, corner) = system.coupling.block::<R>(block).split_at(block * R);
            let (values, corner) = (&mut values[..R], &corner[..R]);
            let mut acc = product(simd, coupling, known, *sums);
            for_each_row!(R, r, {
                let mut new = acc[r];
                for v in 0..V {
                    new[v] = rule.project(simd, (block * R + r) * V + v, acc[r][v]);
                    sums[r][v] = simd.sub_f32s(acc[r][v], sums[r][v]);
                }
                values[r] = new;
                for below in r + 1..R {
                    let coefficient = simd.splat_f32s(corner[r][below]);
                    for v in 0..V {
                        acc[below][v] = mul_add(simd, coefficient, new[v], acc[below][v]);
                    }
                }
            });
        }
    }

    /// The upper half: the sums that the next sweep needs, and the norms at the values if `JUDGE` is set.
    #[inline(always)]
    fn ascend<S: Simd, U: Rule<S>, const R: usize, const V: usize, const JUDGE: bool>(
        &mut self,
        simd: S,
        system: &System,
        rhs: &[f32],
        values: &[f32],
        rule: U,
    ) -> Norms<S, V> {
        let mut norms = Norms::zero(simd);
        let (rhs, values) = (rows::<S, V>(rhs).as_chunks::<R>().0, rows::<S, V>(values));
        let sums = rows_mut::<S, V>(&mut self.sums).as_chunks_mut::<R>().0;
        for (block, (sums, rhs)) in sums.iter_mut().zip(rhs).enumerate() {
            let first = block * R;
            let (corner, coupling) = system.coupling.block::<R>(block)[first..].split_at(R);
            let (own, later) = values[first..].split_at(R);
            let mut acc = product(simd, coupling, later, *rhs);
            for_each_row!(R, k, {
                for (acc, &coefficient) in acc.iter_mut().zip(&corner[k][..k]) {
                    let coefficient = simd.splat_f32s(coefficient);
                    for v in 0..V {
                        acc[v] = mul_add(simd, coefficient, own[k][v], acc[v]);
                    }
                }
            });
            for_each_row!(R, r, {
                if JUDGE {
                    let diagonal = system.diagonal(first + r);
                    for v in 0..V {
                        let (value, u) = (own[r][v], simd.add_f32s(sums[r][v], acc[r][v]));
                        let residual = rule.residual(simd, (first + r) * V + v, value, u, diagonal);
                        norms.residual[v] = mul_add(simd, residual, residual, norms.residual[v]);
                        norms.values[v] = mul_add(simd, value, value, norms.values[v]);
                    }
                }
                sums[r] = acc[r];
            });
        }
        norms
    }
}
