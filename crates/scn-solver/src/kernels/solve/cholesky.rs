//! The masked backward system `Q_ΛΛ γ_Λ = g_Λ`, solved pixel by pixel through a Cholesky factorisation of `Q_ΛΛ`.
//!
//! Codes are sparse: with k of n atoms active a factorisation costs about k³/6 multiply-adds where one masked
//! Gauss–Seidel sweep costs n², and nothing is left of the residual but rounding. Every lane of a vector factorises the
//! system of its own pixel. Of many atoms the active ones are gathered, and lanes with fewer of them than their
//! neighbours carry rows of the identity; few atoms are all taken, the inactive ones as rows of the identity.

use pulp::{Simd, bytemuck};

use super::quadratic::Quadratic;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::{TileShape, all_within, for_each_row, masked, rows, rows_mut, subtract};

/// Up to so many atoms none are gathered: that takes longer than to factorise them all.
const FEW: usize = 32;
/// More active atoms in a pixel than this are left to sweeps: the factor would outgrow the second-level cache.
const MAX_ACTIVE: usize = 96;
/// Rows and columns that are eliminated together: their products stay in registers.
const PANEL: usize = 4;
/// Atoms whose activity fits one word.
const WORD: usize = 32;
/// A pivot is taken for zero below this share of its diagonal entry.
const SINGULAR: f32 = 1e-6;

/// `Q` bordered by an atom that is orthogonal to all others and stands where a pixel has no further active one.
pub(crate) struct Bordered {
    /// Q without its diagonal, `[stride][stride]`.
    coupling: Vec<f32>,
    /// `Qⱼⱼ`, 1 for the border.
    diagonal: Vec<f32>,
    stride: usize,
}

impl Bordered {
    pub(crate) fn new(quadratic: &Quadratic) -> Self {
        let n = quadratic.atoms();
        let stride = n + 1;
        let mut coupling = vec![0.0; stride * stride];
        let mut diagonal = vec![1.0; stride];
        for j in 0..n {
            for k in (0..n).filter(|&k| k != j) {
                coupling[j * stride + k] = quadratic.at(j, k);
            }
            diagonal[j] = quadratic.at(j, j);
        }
        Self {
            coupling,
            diagonal,
            stride,
        }
    }

    fn atoms(&self) -> usize {
        self.stride - 1
    }

    /// The couplings of an atom, 0 for those beyond the last.
    fn row(&self, atom: usize) -> &[f32] {
        &self.coupling[atom.min(self.atoms()) * self.stride..][..self.stride]
    }
}

/// Those of a system with k active atoms: k³/6 for the factor, k² for the two triangular systems.
fn multiply_adds(k: usize) -> usize {
    k * k * (k + 6) / 6
}

/// A square block of a factor, `[columns][rows]`, one vector of pixels for each entry.
type Block<V> = [[V; PANEL]; PANEL];

/// Blocks in the panels before panel `i` of a lower triangle.
fn blocks_before(i: usize) -> usize {
    i * (i + 1) / 2
}

/// What the systems of one vector of pixels need.
pub(crate) struct Cholesky {
    /// Each lane's active atoms in ascending order, then the border: `[lanes][capacity]`.
    lists: Vec<u32>,
    capacity: usize,
    /// How many atoms are active, `[lanes]`.
    counts: Vec<usize>,
    /// The lower triangle by panels of rows; panel i has i + 1 blocks.
    factor: Aligned,
    /// Inverse square roots of the pivots, `[slots]`.
    inverse_pivots: Aligned,
    /// The right-hand side, and after it the solution, `[slots]`.
    values: Aligned,
}

impl Cholesky {
    pub(crate) fn new(atoms: usize, shape: TileShape) -> Self {
        let panels = atoms.min(MAX_ACTIVE).div_ceil(PANEL);
        let (slots, lanes) = (panels * PANEL, shape.lanes);
        let capacity = atoms.next_multiple_of(PANEL);
        Self {
            lists: vec![0; lanes * capacity],
            capacity,
            counts: vec![0; lanes],
            factor: Aligned::zeros(blocks_before(panels) * PANEL * PANEL * lanes),
            inverse_pivots: Aligned::zeros(slots * lanes),
            values: Aligned::zeros(slots * lanes),
        }
    }

    /// Solves `Q_ΛΛ γ_Λ = g_Λ`, γ = 0 elsewhere, for the pixels of a tile with codes, g and γ `[atoms][pixels]`.
    /// Returns the multiply-adds that this took, or none where a pixel has too many active atoms or its matrix is
    /// singular to working precision: γ is not set then.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        system: &Bordered,
        codes: &[f32],
        rhs: &[f32],
        gamma: &mut [f32],
    ) -> Option<usize> {
        let (lanes, width) = (S::F32_LANES, V * S::F32_LANES);
        let mut operations = 0;
        gamma.fill(0.0);
        if system.atoms() <= FEW {
            return self.solve_few::<S, V>(simd, system, codes, rhs, gamma);
        }
        for first in (0..width).step_by(lanes) {
            let panels = self.list_active(simd, system.atoms(), &codes[first..], width)?;
            self.gather::<S>(system, &rhs[first..], width, panels);
            if !self.factorise(simd, panels) {
                return None;
            }
            self.substitute(simd, panels);
            for (lane, (list, &count)) in self.lists.chunks_exact(self.capacity).zip(&self.counts).enumerate() {
                let values = self.values.chunks_exact(lanes);
                for (&atom, values) in list[..count].iter().zip(values) {
                    gamma[atom as usize * width + first + lane] = values[lane];
                }
                operations += multiply_adds(count);
            }
        }
        Some(operations)
    }

    /// [`Self::solve`] with every atom in the place of its number.
    #[inline(always)]
    fn solve_few<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        system: &Bordered,
        codes: &[f32],
        rhs: &[f32],
        gamma: &mut [f32],
    ) -> Option<usize> {
        let n = system.atoms();
        let panels = n.div_ceil(PANEL);
        let (codes, rhs) = (rows::<S, V>(codes), rows::<S, V>(rhs));
        let gamma = rows_mut::<S, V>(gamma);
        let mut operations = 0;
        for v in 0..V {
            operations += self.mask(simd, system, panels, |j| codes[j][v], |j| rhs[j][v]);
            if !self.factorise(simd, panels) {
                return None;
            }
            self.substitute(simd, panels);
            let values = rows::<S, 1>(&self.values);
            for (gamma, value) in gamma.iter_mut().zip(&values[..n]) {
                gamma[v] = value[0];
            }
        }
        Some(operations)
    }

    /// Sets the lanes' matrices and right-hand sides; inactive atoms have a row of the identity and 0. Returns the
    /// multiply-adds that the active ones take.
    #[inline(always)]
    fn mask<S: Simd>(
        &mut self,
        simd: S,
        system: &Bordered,
        panels: usize,
        codes: impl Fn(usize) -> S::f32s,
        rhs: impl Fn(usize) -> S::f32s,
    ) -> usize {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let ones = simd.transmute_f32s_u32s(simd.splat_u32s(u32::MAX));
        let mut masks = [[zero; PANEL]; FEW / PANEL];
        let mut counts = zero;
        let values = rows_mut::<S, PANEL>(&mut self.values);
        let n = system.atoms();
        for j in 0..n {
            let active = simd.greater_than_f32s(codes(j), zero);
            masks[j / PANEL][j % PANEL] = simd.select_f32s(active, ones, zero);
            counts = simd.add_f32s(counts, simd.select_f32s(active, one, zero));
            values[j / PANEL][j % PANEL] = simd.select_f32s(active, rhs(j), zero);
        }
        for j in n..panels * PANEL {
            values[j / PANEL][j % PANEL] = zero;
        }
        let mut blocks = rows_mut::<S, PANEL>(&mut self.factor)
            .as_chunks_mut::<PANEL>()
            .0
            .iter_mut();
        for i in 0..panels {
            for (j, block) in blocks.by_ref().take(i + 1).enumerate() {
                for c in 0..PANEL {
                    let column = system.row(j * PANEL + c);
                    for r in 0..PANEL {
                        let coupling = simd.splat_f32s(column[(i * PANEL + r).min(n)]);
                        block[c][r] = masked(simd, masks[i][r], masked(simd, masks[j][c], coupling));
                    }
                }
                if i == j {
                    for r in 0..PANEL {
                        let atom = i * PANEL + r;
                        block[r][r] = one;
                        if atom < n {
                            let active = simd.greater_than_f32s(codes(atom), zero);
                            block[r][r] = simd.select_f32s(active, simd.splat_f32s(system.diagonal[atom]), one);
                        }
                    }
                }
            }
        }
        let counts = bytemuck::cast_slice::<S::f32s, f32>(std::slice::from_ref(&counts));
        counts.iter().map(|&count| multiply_adds(count as usize)).sum()
    }

    /// Lists the active atoms of the lanes; returns how many panels they fill, or none where they are too many.
    #[inline(always)]
    fn list_active<S: Simd>(&mut self, simd: S, n: usize, codes: &[f32], width: usize) -> Option<usize> {
        let (zero, none) = (simd.splat_f32s(0.0), simd.splat_u32s(0));
        self.counts.fill(0);
        for first in (0..n).step_by(WORD) {
            // One bit for each of the atoms from `first` on.
            let mut active = none;
            for (bit, codes) in codes.chunks(width).skip(first).take(WORD.min(n - first)).enumerate() {
                let codes = rows::<S, 1>(codes)[0][0];
                let bit = simd.splat_u32s(1 << bit);
                let bit = simd.select_u32s(simd.greater_than_f32s(codes, zero), bit, none);
                active = simd.or_u32s(active, bit);
            }
            let words: &[u32] = bytemuck::cast_slice(std::slice::from_ref(&active));
            let lists = self.lists.chunks_exact_mut(self.capacity);
            for ((list, count), &word) in lists.zip(&mut self.counts).zip(words) {
                let mut word = word;
                let mut slot = *count;
                while word != 0 {
                    list[slot] = first as u32 + word.trailing_zeros();
                    slot += 1;
                    word &= word - 1;
                }
                *count = slot;
            }
        }
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let panels = most.div_ceil(PANEL);
        for (list, &count) in self.lists.chunks_exact_mut(self.capacity).zip(&self.counts) {
            list[count..panels * PANEL].fill(n as u32);
        }
        (most <= MAX_ACTIVE).then_some(panels)
    }

    /// Copies the lanes' matrices and right-hand sides.
    #[inline(always)]
    fn gather<S: Simd>(&mut self, system: &Bordered, rhs: &[f32], width: usize, panels: usize) {
        let (lanes, stride) = (S::F32_LANES, system.stride);
        for (lane, list) in self.lists.chunks_exact(self.capacity).enumerate() {
            let count = self.counts[lane];
            let values = self.values.chunks_exact_mut(lanes);
            for (slot, (&atom, values)) in list[..panels * PANEL].iter().zip(values).enumerate() {
                values[lane] = if slot < count {
                    rhs[atom as usize * width + lane]
                } else {
                    0.0
                };
            }
        }
        let mut blocks = self.factor.chunks_exact_mut(PANEL * PANEL * lanes);
        for i in 0..panels {
            for (j, block) in blocks.by_ref().take(i + 1).enumerate() {
                for (lane, list) in self.lists.chunks_exact(self.capacity).enumerate() {
                    let (rows, columns) = (&list.as_chunks::<PANEL>().0[i], &list.as_chunks::<PANEL>().0[j]);
                    for r in 0..PANEL {
                        let row = rows[r] as usize * stride;
                        for c in 0..PANEL {
                            block[(c * PANEL + r) * lanes + lane] = system.coupling[row + columns[c] as usize];
                        }
                        if i == j {
                            block[(r * PANEL + r) * lanes + lane] = system.diagonal[rows[r] as usize];
                        }
                    }
                }
            }
        }
    }

    /// Replaces the matrices by their Cholesky factors L and the right-hand sides g by `L⁻¹g`; whether all matrices are
    /// regular.
    #[inline(always)]
    fn factorise<S: Simd>(&mut self, simd: S, panels: usize) -> bool {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let smallest = simd.splat_f32s(SINGULAR);
        let mut singular = zero;
        let factor = rows_mut::<S, PANEL>(&mut self.factor).as_chunks_mut::<PANEL>().0;
        let inverse_pivots = rows_mut::<S, PANEL>(&mut self.inverse_pivots);
        let values = rows_mut::<S, PANEL>(&mut self.values);
        for j in 0..panels {
            let (done, rest) = factor.split_at_mut(blocks_before(j) + j);
            let left = &done[blocks_before(j)..];
            let (corner, below) = rest.split_at_mut(1);
            let (known, value) = values.split_at_mut(j);
            let (corner, value) = (&mut corner[0], &mut value[0]);
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
                let regular = simd.greater_than_f32s(pivots[c], simd.mul_f32s(smallest, diagonal[c]));
                singular = simd.select_f32s(regular, singular, one);
            }
            inverse_pivots[j] = inverse;
            let corner = *corner;
            for i in j + 1..panels {
                let row = &mut below[blocks_before(i) - blocks_before(j + 1)..];
                let (row, own) = row.split_at_mut(j);
                let mut acc = eliminate(simd, row, left, own[0]);
                divide(simd, &mut acc, &corner, inverse);
                own[0] = acc;
            }
        }
        all_within(simd, [singular], [zero])
    }

    /// Replaces `L⁻¹g` by `L⁻ᵀL⁻¹g`.
    #[inline(always)]
    fn substitute<S: Simd>(&mut self, simd: S, panels: usize) {
        let factor = rows::<S, PANEL>(&self.factor).as_chunks::<PANEL>().0;
        let inverse_pivots = rows::<S, PANEL>(&self.inverse_pivots);
        let values = rows_mut::<S, PANEL>(&mut self.values);
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
