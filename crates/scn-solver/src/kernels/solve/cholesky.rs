//! Cholesky factorisation of small symmetric systems, one in each lane of a vector, with one step of iterative refinement.
//!
//! A pivot counts as zero where rounding alone could have made it: up to k·ε of its diagonal entry for a system of k
//! equations (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 10.3). Each solution is checked by
//! its residual, and improved once where that is too large.

use pulp::Simd;

use super::scaling::lanes_to_unit;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::{for_each_row, mul_add, rows, rows_mut, subtract};

/// Rows and columns that are eliminated together: their products stay in registers.
pub(crate) const PANEL: usize = 4;
/// The most rows that a block of a product has at any SIMD level.
const LARGEST_BLOCK: usize = 8;

/// A square block of a matrix, `[columns][rows]`, one vector of pixels for each entry.
pub(crate) type Block<V> = [[V; PANEL]; PANEL];

/// Blocks in the panels before panel `i` of a lower triangle.
pub(crate) fn blocks_before(i: usize) -> usize {
    i * (i + 1) / 2
}

/// The matrices of one vector of systems.
pub(crate) trait Matrices<S: Simd> {
    /// Block `(i, j)`, j ≤ i, of the lower triangle.
    fn block(&self, simd: S, i: usize, j: usize) -> Block<S::f32s>;

    /// `residual = rhs − matrix·values`, each `[slots]`.
    fn subtract_product<const R: usize>(&self, simd: S, rhs: &[S::f32s], values: &[S::f32s], residual: &mut [S::f32s]);
}

/// What the solves of one vector of systems say.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<S: Simd> {
    /// Steps of refinement: 0 or 1.
    pub(crate) refinements: S::f32s,
    /// `‖rhs − matrix·values‖/‖rhs‖`: infinite where the matrix is singular to working precision, NaN where the right-hand
    /// side is not finite.
    pub(crate) residual: S::f32s,
    /// 1 where the matrix is singular or the residual too large, 0 elsewhere.
    pub(crate) unsolved: S::f32s,
}

/// What the systems of one vector need; `[slots]` are equations, in whole blocks.
pub(crate) struct Cholesky {
    /// The lower triangle by panels of rows; panel i has i + 1 blocks.
    factor: Aligned,
    /// Inverse square roots of the pivots, `[slots]`.
    inverse_pivots: Aligned,
    /// The right-hand side, `[slots]`: set before [`Self::solve`].
    pub(crate) rhs: Aligned,
    /// The solution, `[slots]`.
    pub(crate) values: Aligned,
    /// What it leaves of the right-hand side, `[slots]`.
    residual: Aligned,
    /// A better solution, `[slots]`.
    refined: Aligned,
}

impl Cholesky {
    /// For systems of at most so many panels of equations.
    pub(crate) fn new(panels: usize, lanes: usize) -> Self {
        let slots = || Aligned::zeros((panels * PANEL).next_multiple_of(LARGEST_BLOCK) * lanes);
        Self {
            factor: Aligned::unspecified(blocks_before(panels) * PANEL * PANEL * lanes),
            inverse_pivots: slots(),
            rhs: slots(),
            values: slots(),
            residual: slots(),
            refined: slots(),
        }
    }

    /// Solves the systems of `panels` panels, of which `counts` equations of each lane are not those of the identity. A
    /// solution is accepted where its relative residual is at most `tolerance`, or k·ε, below which residuals are
    /// rounding. The values of singular systems are 0.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, M: Matrices<S>, const R: usize>(
        &mut self,
        simd: S,
        matrices: &M,
        panels: usize,
        counts: S::f32s,
        tolerance: f32,
    ) -> Lanes<S> {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let rounding = simd.mul_f32s(counts, simd.splat_f32s(f32::EPSILON));
        let singular = self.factorise(simd, matrices, panels, rounding);
        substitute_back(simd, &self.factor, &self.inverse_pivots, &mut self.values, panels);

        let [scale, _] = lanes_to_unit(simd, largest(simd, &self.rhs, panels));
        let size = squares(simd, &self.rhs, panels, scale);
        let finite = simd.less_than_or_equal_f32s(size, simd.splat_f32s(f32::MAX));
        let limit = simd.max_f32s(simd.splat_f32s(tolerance), rounding);
        let limit = simd.mul_f32s(simd.mul_f32s(limit, limit), size);
        let mut left = self.check::<S, M, R>(simd, matrices, panels, scale, false);
        let regular = simd.equal_f32s(singular, zero);
        let checked = simd.and_m32s(regular, finite);
        let mut unsolved = simd.select_f32s(simd.less_than_or_equal_f32s(left, limit), zero, one);
        unsolved = simd.select_f32s(checked, unsolved, zero);
        let refinements = unsolved;
        if simd.reduce_max_f32s(unsolved) > 0.0 {
            left = self.refine::<S, M, R>(simd, matrices, panels, scale, left, refinements);
            unsolved = simd.select_f32s(simd.less_than_or_equal_f32s(left, limit), zero, one);
            unsolved = simd.select_f32s(checked, unsolved, zero);
        }
        if simd.reduce_max_f32s(singular) > 0.0 {
            let without = simd.select_f32s(finite, singular, zero);
            let regular = simd.equal_f32s(without, zero);
            for values in &mut rows_mut::<S, 1>(&mut self.values)[..panels * PANEL] {
                values[0] = simd.select_f32s(regular, values[0], zero);
            }
            unsolved = simd.max_f32s(unsolved, without);
        }
        let residual = simd.sqrt_f32s(simd.div_f32s(left, size));
        let residual = simd.select_f32s(simd.equal_f32s(left, zero), zero, residual);
        let residual = simd.select_f32s(regular, residual, simd.splat_f32s(f32::INFINITY));
        Lanes {
            refinements,
            residual: simd.select_f32s(finite, residual, simd.splat_f32s(f32::NAN)),
            unsolved,
        }
    }

    /// The square of the norm, at this scale, of what the values, or the refined ones, leave of the right-hand side.
    #[inline(always)]
    fn check<S: Simd, M: Matrices<S>, const R: usize>(
        &mut self,
        simd: S,
        matrices: &M,
        panels: usize,
        scale: S::f32s,
        refined: bool,
    ) -> S::f32s {
        let values = if refined { &self.refined } else { &self.values };
        matrices.subtract_product::<R>(
            simd,
            lanes::<S>(&self.rhs),
            lanes::<S>(values),
            lanes_mut::<S>(&mut self.residual),
        );
        squares(simd, &self.residual, panels, scale)
    }

    /// One step of iterative refinement in the lanes of `wanted`, kept where it makes the residual smaller; returns the
    /// squares of the residuals' norms. It is rare, and compiled apart.
    #[inline(always)]
    fn refine<S: Simd, M: Matrices<S>, const R: usize>(
        &mut self,
        simd: S,
        matrices: &M,
        panels: usize,
        scale: S::f32s,
        left: S::f32s,
        wanted: S::f32s,
    ) -> S::f32s {
        self.refined.copy_from_slice(&self.residual);
        substitute(simd, &self.factor, &self.inverse_pivots, &mut self.refined, panels);
        substitute_back(simd, &self.factor, &self.inverse_pivots, &mut self.refined, panels);
        let values = rows::<S, 1>(&self.values);
        for (refined, values) in rows_mut::<S, 1>(&mut self.refined).iter_mut().zip(values) {
            refined[0] = simd.add_f32s(refined[0], values[0]);
        }
        let after = self.check::<S, M, R>(simd, matrices, panels, scale, true);
        let zero = simd.splat_f32s(0.0);
        let better = simd.and_m32s(simd.less_than_f32s(after, left), simd.greater_than_f32s(wanted, zero));
        let refined = rows::<S, 1>(&self.refined);
        for (values, refined) in rows_mut::<S, 1>(&mut self.values).iter_mut().zip(refined) {
            values[0] = simd.select_f32s(better, refined[0], values[0]);
        }
        simd.select_f32s(better, after, left)
    }

    /// Factorises the matrices into `LLᵀ` and sets the values to `L⁻¹rhs`; returns 1 in lanes with a pivot that is at most
    /// `rounding` of its diagonal entry, 0 elsewhere.
    #[inline(always)]
    fn factorise<S: Simd, M: Matrices<S>>(
        &mut self,
        simd: S,
        matrices: &M,
        panels: usize,
        rounding: S::f32s,
    ) -> S::f32s {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let mut singular = zero;
        let factor = rows_mut::<S, PANEL>(&mut self.factor).as_chunks_mut::<PANEL>().0;
        let inverse_pivots = rows_mut::<S, PANEL>(&mut self.inverse_pivots);
        let rhs = rows::<S, PANEL>(&self.rhs);
        let values = rows_mut::<S, PANEL>(&mut self.values);
        for j in 0..panels {
            let (done, rest) = factor.split_at_mut(blocks_before(j) + j);
            let left = &done[blocks_before(j)..];
            let (own, below) = rest.split_at_mut(1);
            let (known, value) = values.split_at_mut(j);
            let (corner, value) = (&mut own[0], &mut value[0]);
            *corner = matrices.block(simd, j, j);
            *value = rhs[j];
            let mut diagonal = [zero; PANEL];
            for c in 0..PANEL {
                diagonal[c] = corner[c][c];
            }
            for (block, known) in left.iter().zip(known) {
                for (column, &known) in block.iter().zip(known.iter()) {
                    for r in 0..PANEL {
                        value[r] = subtract(simd, column[r], known, value[r]);
                        for c in 0..=r {
                            corner[c][r] = subtract(simd, column[c], column[r], corner[c][r]);
                        }
                    }
                }
            }
            let (pivots, inverse) = factorise_corner(simd, corner, value);
            for c in 0..PANEL {
                let regular = simd.greater_than_f32s(pivots[c], simd.mul_f32s(rounding, diagonal[c]));
                singular = simd.select_f32s(regular, singular, one);
            }
            inverse_pivots[j] = inverse;
            let corner = *corner;
            for i in j + 1..panels {
                let row = &mut below[blocks_before(i) - blocks_before(j + 1)..];
                let (row, own) = row.split_at_mut(j);
                let mut acc = eliminate(simd, row, left, matrices.block(simd, i, j));
                divide(simd, &mut acc, &corner, inverse);
                own[0] = acc;
            }
        }
        singular
    }
}

fn lanes<S: Simd>(values: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(values).0
}

fn lanes_mut<S: Simd>(values: &mut [f32]) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(values).0
}

/// The largest magnitude of each lane.
#[inline(always)]
fn largest<S: Simd>(simd: S, values: &[f32], panels: usize) -> S::f32s {
    let mut largest = [simd.splat_f32s(0.0); PANEL];
    for values in &rows::<S, PANEL>(values)[..panels] {
        for r in 0..PANEL {
            largest[r] = simd.max_f32s(simd.abs_f32s(values[r]), largest[r]);
        }
    }
    // A closure would be compiled without the instructions of the level.
    for r in 1..PANEL {
        largest[0] = simd.max_f32s(largest[0], largest[r]);
    }
    largest[0]
}

/// The square of the norm of each lane's scaled values.
#[inline(always)]
fn squares<S: Simd>(simd: S, values: &[f32], panels: usize, scale: S::f32s) -> S::f32s {
    let mut sums = [simd.splat_f32s(0.0); PANEL];
    for values in &rows::<S, PANEL>(values)[..panels] {
        for r in 0..PANEL {
            let value = simd.mul_f32s(scale, values[r]);
            sums[r] = mul_add(simd, value, value, sums[r]);
        }
    }
    for r in 1..PANEL {
        sums[0] = simd.add_f32s(sums[0], sums[r]);
    }
    sums[0]
}

/// Replaces g by `L⁻¹g`.
#[inline(always)]
fn substitute<S: Simd>(simd: S, factor: &[f32], inverse_pivots: &[f32], values: &mut [f32], panels: usize) {
    let factor = rows::<S, PANEL>(factor).as_chunks::<PANEL>().0;
    let inverse_pivots = rows::<S, PANEL>(inverse_pivots);
    let values = rows_mut::<S, PANEL>(values);
    for j in 0..panels {
        let (known, value) = values.split_at_mut(j);
        let value = &mut value[0];
        for (block, known) in factor[blocks_before(j)..].iter().zip(known) {
            for (column, &known) in block.iter().zip(known.iter()) {
                for r in 0..PANEL {
                    value[r] = subtract(simd, column[r], known, value[r]);
                }
            }
        }
        let corner = &factor[blocks_before(j) + j];
        for c in 0..PANEL {
            value[c] = simd.mul_f32s(value[c], inverse_pivots[j][c]);
            for r in c + 1..PANEL {
                value[r] = subtract(simd, corner[c][r], value[c], value[r]);
            }
        }
    }
}

/// Replaces `L⁻¹g` by `L⁻ᵀL⁻¹g`.
#[inline(always)]
fn substitute_back<S: Simd>(simd: S, factor: &[f32], inverse_pivots: &[f32], values: &mut [f32], panels: usize) {
    let factor = rows::<S, PANEL>(factor).as_chunks::<PANEL>().0;
    let inverse_pivots = rows::<S, PANEL>(inverse_pivots);
    let values = rows_mut::<S, PANEL>(values);
    for j in (0..panels).rev() {
        let mut value = values[j];
        for i in j + 1..panels {
            let block = &factor[blocks_before(i) + j];
            for r in 0..PANEL {
                for c in 0..PANEL {
                    value[c] = subtract(simd, block[c][r], values[i][r], value[c]);
                }
            }
        }
        let corner = &factor[blocks_before(j) + j];
        for c in (0..PANEL).rev() {
            value[c] = simd.mul_f32s(value[c], inverse_pivots[j][c]);
            for k in 0..c {
                value[k] = subtract(simd, corner[k][c], value[c], value[k]);
            }
        }
        values[j] = value;
    }
}

/// `acc − Σ row·leftᵀ`, what the columns before have to do with a block.
#[inline(always)]
fn eliminate<S: Simd>(
    simd: S,
    row: &[Block<S::f32s>],
    left: &[Block<S::f32s>],
    mut acc: Block<S::f32s>,
) -> Block<S::f32s> {
    for (row, left) in row.iter().zip(left) {
        for (row, left) in row.iter().zip(left) {
            for c in 0..PANEL {
                for r in 0..PANEL {
                    acc[c][r] = subtract(simd, left[c], row[r], acc[c][r]);
                }
            }
        }
    }
    acc
}

/// Replaces a symmetric block by its Cholesky factor and `value` by the solution of that triangular system; returns the
/// pivots and their inverse square roots.
#[inline(always)]
fn factorise_corner<S: Simd, const P: usize>(
    simd: S,
    corner: &mut [[S::f32s; P]; P],
    value: &mut [S::f32s; P],
) -> ([S::f32s; P], [S::f32s; P]) {
    let one = simd.splat_f32s(1.0);
    let (mut pivots, mut inverse) = ([one; P], [one; P]);
    for_each_row!(P, c, {
        pivots[c] = corner[c][c];
        inverse[c] = simd.div_f32s(one, simd.sqrt_f32s(pivots[c]));
        value[c] = simd.mul_f32s(value[c], inverse[c]);
        for r in c + 1..P {
            corner[c][r] = simd.mul_f32s(corner[c][r], inverse[c]);
        }
        for k in c + 1..P {
            value[k] = subtract(simd, corner[c][k], value[c], value[k]);
            for r in k..P {
                corner[k][r] = subtract(simd, corner[c][k], corner[c][r], corner[k][r]);
            }
        }
    });
    (pivots, inverse)
}

/// Divides a block by the transpose of the factor above it.
#[inline(always)]
fn divide<S: Simd, const P: usize>(
    simd: S,
    block: &mut [[S::f32s; P]; P],
    corner: &[[S::f32s; P]; P],
    inverse: [S::f32s; P],
) {
    for_each_row!(P, c, {
        for r in 0..P {
            block[c][r] = simd.mul_f32s(block[c][r], inverse[c]);
        }
        for k in c + 1..P {
            for r in 0..P {
                block[k][r] = subtract(simd, corner[c][k], block[c][r], block[k][r]);
            }
        }
    });
}
