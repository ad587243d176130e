//! The masked backward systems `Q_ΛΛ γ_Λ = g_Λ` of a tile's pixels, each with the matrix of its own active atoms Λ.
//!
//! Codes are sparse: with k of n atoms active a Cholesky factorisation costs about k³/6 multiply-adds where one masked
//! Gauss–Seidel sweep costs n². Every lane of a vector factorises the system of its own pixel. Of many atoms the active
//! ones are gathered. The pixels of a tile are put in order of how many they have, so that the lanes of a vector have
//! about as many; those with fewer carry rows of the identity. Few atoms are all taken, the inactive ones as rows of the
//! identity. Pixels are solved or left to sweeps one by one.

use std::slice::from_ref;

use pulp::{Simd, bytemuck};

use super::cholesky::{Block, Cholesky, Lanes, Matrices, PANEL, blocks_before};
use super::quadratic::Quadratic;
use crate::kernels::aligned::Aligned;
use crate::kernels::gather::gather;
use crate::kernels::product::{Packed, product};
use crate::kernels::simd::{TileShape, masked, rows, rows_mut, subtract};
use crate::profile::{Part, Stopwatch};

/// Up to so many atoms none are gathered: that takes longer than to factorise them all.
const FEW: usize = 16;
/// More active atoms in a pixel than this are left to sweeps: matrix and factor would outgrow the second-level cache by so much
/// that they cost no less.
const MAX_ACTIVE: usize = 160;
/// The most lanes that a vector has at any SIMD level.
const LANES: usize = 16;
/// Atoms whose activity fits one word.
const WORD: usize = 32;

/// `Q` bordered by an atom that is orthogonal to all others and stands where a pixel has no further active one.
pub(crate) struct Bordered {
    /// Q without its diagonal, `[stride][stride]`.
    coupling: Vec<f32>,
    /// `Qⱼⱼ`, 1 for the border.
    diagonal: Vec<f32>,
    stride: usize,
    /// −Q in blocks of rows, where the atoms are few.
    negated: Option<Packed>,
}

impl Bordered {
    pub(crate) fn new(quadratic: &Quadratic, shape: TileShape) -> Self {
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
            negated: (n <= FEW).then(|| Packed::new(n, n, shape.block, |j, k| -quadratic.at(j, k))),
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

/// Q with rows and columns of the identity in the place of inactive atoms.
struct Masked<'a, S: Simd> {
    system: &'a Bordered,
    negated: &'a Packed,
    /// Of each atom: all bits where it is active, none elsewhere.
    masks: [[S::f32s; PANEL]; FEW / PANEL],
    active: [[S::m32s; PANEL]; FEW / PANEL],
}

impl<S: Simd> Matrices<S> for Masked<'_, S> {
    #[inline(always)]
    fn block(&self, simd: S, i: usize, j: usize) -> Block<S::f32s> {
        let n = self.system.atoms();
        let mut block = [[simd.splat_f32s(0.0); PANEL]; PANEL];
        for c in 0..PANEL {
            let column = self.system.row(j * PANEL + c);
            for r in 0..PANEL {
                let coupling = simd.splat_f32s(column[(i * PANEL + r).min(n)]);
                block[c][r] = masked(simd, self.masks[i][r], masked(simd, self.masks[j][c], coupling));
            }
        }
        if i == j {
            let one = simd.splat_f32s(1.0);
            for r in 0..PANEL {
                let diagonal = simd.splat_f32s(self.system.diagonal[(i * PANEL + r).min(n)]);
                block[r][r] = simd.select_f32s(self.active[i][r], diagonal, one);
            }
        }
        block
    }

    #[inline(always)]
    fn subtract_product<const R: usize>(&self, simd: S, rhs: &[S::f32s], values: &[S::f32s], residual: &mut [S::f32s]) {
        let (values, _) = values.as_chunks::<1>();
        let (rhs, residual) = (rhs.as_chunks::<R>().0, residual.as_chunks_mut::<R>().0);
        let blocks = self.system.atoms().div_ceil(R);
        for (i, (rhs, residual)) in rhs.iter().zip(residual).take(blocks).enumerate() {
            let mut start = [[rhs[0]]; R];
            for r in 1..R {
                start[r] = [rhs[r]];
            }
            let products = product(simd, self.negated.block::<R>(i), values, start);
            for r in 0..R {
                let atom = i * R + r;
                residual[r] = masked(simd, self.masks[atom / PANEL][atom % PANEL], products[r][0]);
            }
        }
    }
}

/// The gathered couplings of active atoms.
struct Gathered<'a, S: Simd> {
    /// The lower triangle by panels of rows.
    blocks: &'a [Block<S::f32s>],
    panels: usize,
}

impl<S: Simd> Matrices<S> for Gathered<'_, S> {
    #[inline(always)]
    fn block(&self, _: S, i: usize, j: usize) -> Block<S::f32s> {
        self.blocks[blocks_before(i) + j]
    }

    #[inline(always)]
    fn subtract_product<const R: usize>(&self, simd: S, rhs: &[S::f32s], values: &[S::f32s], residual: &mut [S::f32s]) {
        let (values, residual) = (values.as_chunks::<PANEL>().0, residual.as_chunks_mut::<PANEL>().0);
        residual.copy_from_slice(rhs.as_chunks::<PANEL>().0);
        let mut blocks = self.blocks.iter();
        for i in 0..self.panels {
            let (before, own) = residual.split_at_mut(i);
            let (own, value) = (&mut own[0], values[i]);
            let mut acc = *own;
            for ((before, value_before), block) in before.iter_mut().zip(values).zip(blocks.by_ref()) {
                // The block stands for its transpose above the diagonal too.
                let mut mirrored = *before;
                for c in 0..PANEL {
                    for r in 0..PANEL {
                        acc[r] = subtract(simd, block[c][r], value_before[c], acc[r]);
                        mirrored[c] = subtract(simd, block[c][r], value[r], mirrored[c]);
                    }
                }
                *before = mirrored;
            }
            if let Some(corner) = blocks.next() {
                for c in 0..PANEL {
                    acc[c] = subtract(simd, corner[c][c], value[c], acc[c]);
                    for r in c + 1..PANEL {
                        acc[r] = subtract(simd, corner[c][r], value[c], acc[r]);
                        acc[c] = subtract(simd, corner[c][r], value[r], acc[c]);
                    }
                }
            }
            *own = acc;
        }
    }
}

/// What the solves of a tile's pixels say, `[pixels of the tile]` each; see [`Lanes`].
pub(crate) struct Outcome {
    /// Steps of refinement: 0 or 1.
    pub(crate) refinements: Aligned,
    /// `‖g_Λ − Q_ΛΛ γ_Λ‖/‖g_Λ‖`, infinite where there is no solution.
    pub(crate) residual: Aligned,
    /// 1 where the pixel is left to sweeps: it has too many active atoms, its matrix is singular to working
    /// precision, or the residual is too large; 0 elsewhere.
    pub(crate) unsolved: Aligned,
}

impl Outcome {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            refinements: Aligned::zeros(width),
            residual: Aligned::zeros(width),
            unsolved: Aligned::zeros(width),
        }
    }
}

/// The systems of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Systems<'a> {
    pub(crate) matrix: &'a Bordered,
    /// `[atoms][pixels]`; atoms with a code above 0 are active.
    pub(crate) codes: &'a [f32],
    /// g, `[atoms][pixels]`.
    pub(crate) rhs: &'a [f32],
    /// The relative residual that a solution may have.
    pub(crate) tolerance: f32,
}

/// What the systems of a tile need.
pub(crate) struct ActiveSets {
    /// Each pixel's active atoms in ascending order, `[pixels + 1][capacity]`. The last list is that of idle lanes.
    lists: Vec<u32>,
    capacity: usize,
    /// How many atoms are listed, `[pixels + 1]`.
    counts: Vec<usize>,
    /// The pixels whose systems are factorised, those with fewer atoms first.
    order: Vec<usize>,
    /// The atoms of one vector of systems, `[slots][lanes]`.
    atoms: Vec<u32>,
    /// The lower triangle of gathered matrices by panels of rows; panel i has i + 1 blocks.
    matrix: Aligned,
    cholesky: Cholesky,
}

impl ActiveSets {
    pub(crate) fn new(atoms: usize, shape: TileShape) -> Self {
        let panels = atoms.min(MAX_ACTIVE).div_ceil(PANEL);
        let capacity = atoms.next_multiple_of(PANEL);
        let gathered = if atoms <= FEW { 0 } else { blocks_before(panels) };
        Self {
            lists: vec![0; (shape.width + 1) * capacity],
            capacity,
            counts: vec![0; shape.width + 1],
            order: Vec::with_capacity(shape.width),
            atoms: vec![0; panels * PANEL * shape.lanes],
            matrix: Aligned::unspecified(gathered * PANEL * PANEL * shape.lanes),
            cholesky: Cholesky::new(panels, shape.lanes),
        }
    }

    /// Solves the systems of a tile, writing γ `[atoms][pixels]`, which is 0 where an atom is inactive, and where a pixel
    /// has no solution.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        systems: Systems,
        gamma: &mut [f32],
        outcome: &mut Outcome,
        stopwatch: &mut Stopwatch,
    ) {
        gamma.fill(0.0);
        if let Some(negated) = &systems.matrix.negated {
            stopwatch.lap(Part::Gathering, 0);
            for v in 0..V {
                let (lanes, spent) = self.solve_few::<S, R, V>(simd, systems, negated, gamma, v);
                rows_mut::<S, V>(&mut outcome.refinements)[0][v] = lanes.refinements;
                rows_mut::<S, V>(&mut outcome.residual)[0][v] = lanes.residual;
                rows_mut::<S, V>(&mut outcome.unsolved)[0][v] = lanes.unsolved;
                stopwatch.lap(Part::Factorising, 2 * spent as u64);
            }
            return;
        }
        for v in 0..V {
            self.list_active::<S, V>(simd, systems, v);
        }
        self.arrange(V * S::F32_LANES, outcome);
        for first in (0..self.order.len()).step_by(S::F32_LANES) {
            let mut pixels = [V * S::F32_LANES; LANES];
            let count = S::F32_LANES.min(self.order.len() - first);
            pixels[..count].copy_from_slice(&self.order[first..first + count]);
            let panels = self.counts[pixels[count - 1]].div_ceil(PANEL);
            let counts = self.gather::<S, V>(simd, systems, &pixels, panels);
            stopwatch.lap(Part::Gathering, 0);
            let matrices = Gathered::<S> {
                blocks: rows::<S, PANEL>(&self.matrix).as_chunks::<PANEL>().0,
                panels,
            };
            let lanes = self
                .cholesky
                .solve::<S, _, R>(simd, &matrices, panels, counts, systems.tolerance);
            self.scatter::<S, V>(&pixels[..count], lanes, gamma, outcome);
            let mut operations = 0;
            for &pixel in &pixels[..count] {
                operations += multiply_adds(self.counts[pixel]);
            }
            stopwatch.lap(Part::Factorising, 2 * operations as u64);
        }
    }

    /// Puts the pixels that have not too many active atoms in order; the others are left to sweeps.
    fn arrange(&mut self, width: usize, outcome: &mut Outcome) {
        self.order.clear();
        for (pixel, &count) in self.counts[..width].iter().enumerate() {
            if count <= MAX_ACTIVE {
                self.order.push(pixel);
            } else {
                outcome.refinements[pixel] = 0.0;
                outcome.residual[pixel] = f32::INFINITY;
                outcome.unsolved[pixel] = 1.0;
            }
        }
        self.order.sort_unstable_by_key(|&pixel| (self.counts[pixel], pixel));
    }

    /// Solves vector v of a tile with every atom in the place of its number.
    #[inline(always)]
    fn solve_few<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        systems: Systems,
        negated: &Packed,
        gamma: &mut [f32],
        v: usize,
    ) -> (Lanes<S>, usize) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let ones = simd.transmute_f32s_u32s(simd.splat_u32s(u32::MAX));
        let n = systems.matrix.atoms();
        let panels = n.div_ceil(PANEL);
        let none = simd.less_than_f32s(zero, zero);
        let mut matrices = Masked {
            system: systems.matrix,
            negated,
            masks: [[zero; PANEL]; FEW / PANEL],
            active: [[none; PANEL]; FEW / PANEL],
        };
        let mut counts = zero;
        let target = rows_mut::<S, PANEL>(&mut self.cholesky.rhs);
        let (codes, rhs) = (rows::<S, V>(systems.codes), rows::<S, V>(systems.rhs));
        for j in 0..n {
            let active = simd.greater_than_f32s(codes[j][v], zero);
            matrices.active[j / PANEL][j % PANEL] = active;
            matrices.masks[j / PANEL][j % PANEL] = simd.select_f32s(active, ones, zero);
            counts = simd.add_f32s(counts, simd.select_f32s(active, one, zero));
            target[j / PANEL][j % PANEL] = simd.select_f32s(active, rhs[j][v], zero);
        }
        let lanes = self
            .cholesky
            .solve::<S, _, R>(simd, &matrices, panels, counts, systems.tolerance);
        let values = rows::<S, 1>(&self.cholesky.values);
        for (gamma, value) in rows_mut::<S, V>(gamma).iter_mut().zip(&values[..n]) {
            gamma[v] = value[0];
        }
        let counts = bytemuck::cast_slice::<S::f32s, f32>(from_ref(&counts));
        let operations = counts.iter().map(|&count| multiply_adds(count as usize)).sum();
        (lanes, operations)
    }

    /// Writes the solutions of one vector of systems to the pixels of its lanes.
    #[inline(always)]
    fn scatter<S: Simd, const V: usize>(
        &self,
        pixels: &[usize],
        lanes: Lanes<S>,
        gamma: &mut [f32],
        outcome: &mut Outcome,
    ) {
        let width = V * S::F32_LANES;
        let vectors = [lanes.refinements, lanes.residual, lanes.unsolved];
        let [refinements, residual, unsolved] = &vectors;
        let of_lane = |vector: &S::f32s, lane: usize| bytemuck::cast_slice::<S::f32s, f32>(from_ref(vector))[lane];
        for (lane, &pixel) in pixels.iter().enumerate() {
            let list = &self.lists[pixel * self.capacity..][..self.counts[pixel]];
            for (&atom, values) in list.iter().zip(self.cholesky.values.chunks_exact(S::F32_LANES)) {
                gamma[atom as usize * width + pixel] = values[lane];
            }
            outcome.refinements[pixel] = of_lane(refinements, lane);
            outcome.residual[pixel] = of_lane(residual, lane);
            outcome.unsolved[pixel] = of_lane(unsolved, lane);
        }
    }

    /// Lists the active atoms of the pixels of vector v.
    #[inline(always)]
    fn list_active<S: Simd, const V: usize>(&mut self, simd: S, systems: Systems, v: usize) {
        let n = systems.matrix.atoms();
        let codes = rows::<S, V>(systems.codes);
        let (zero, none) = (simd.splat_f32s(0.0), simd.splat_u32s(0));
        let counts = &mut self.counts[v * S::F32_LANES..][..S::F32_LANES];
        let lists = &mut self.lists[v * S::F32_LANES * self.capacity..];
        counts.fill(0);
        for first in (0..n).step_by(WORD) {
            // One bit for each of the atoms from `first` on.
            let mut active = none;
            for (bit, codes) in codes[first..n.min(first + WORD)].iter().enumerate() {
                let bit = simd.splat_u32s(1 << bit);
                let bit = simd.select_u32s(simd.greater_than_f32s(codes[v], zero), bit, none);
                active = simd.or_u32s(active, bit);
            }
            let words: &[u32] = bytemuck::cast_slice(from_ref(&active));
            let lists = lists.chunks_exact_mut(self.capacity);
            for ((list, count), &word) in lists.zip(&mut *counts).zip(words) {
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
    }

    /// Copies the matrices and right-hand sides of one vector of systems, those of the `pixels` of its lanes; returns how
    /// many atoms each has.
    #[inline(always)]
    fn gather<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        systems: Systems,
        pixels: &[usize; LANES],
        panels: usize,
    ) -> S::f32s {
        let (lanes, width, system) = (S::F32_LANES, V * S::F32_LANES, systems.matrix);
        let slots = panels * PANEL;
        let border = system.atoms() as u32;
        let mut numbers = [simd.splat_f32s(0.0)];
        for (lane, &pixel) in pixels[..lanes].iter().enumerate() {
            let count = self.counts[pixel];
            let list = &self.lists[pixel * self.capacity..][..count];
            let (listed, rest) = self.cholesky.rhs[..slots * lanes].split_at_mut(count * lanes);
            for (&atom, values) in list.iter().zip(listed.chunks_exact_mut(lanes)) {
                values[lane] = systems.rhs[atom as usize * width + pixel];
            }
            for values in rest.chunks_exact_mut(lanes) {
                values[lane] = 0.0;
            }
            let (listed, rest) = self.atoms[..slots * lanes].split_at_mut(count * lanes);
            for (&atom, atoms) in list.iter().zip(listed.chunks_exact_mut(lanes)) {
                atoms[lane] = atom;
            }
            for atoms in rest.chunks_exact_mut(lanes) {
                atoms[lane] = border;
            }
            bytemuck::cast_slice_mut::<S::f32s, f32>(&mut numbers)[lane] = count as f32;
        }
        let atoms = S::as_simd_u32s(&self.atoms[..slots * lanes]).0.as_chunks::<PANEL>().0;
        let matrix = rows_mut::<S, PANEL>(&mut self.matrix);
        let mut blocks = matrix.as_chunks_mut::<PANEL>().0.iter_mut();
        let stride = simd.splat_u32s(system.stride as u32);
        for i in 0..panels {
            let mut rows = atoms[i];
            for r in 0..PANEL {
                rows[r] = simd.mul_u32s(atoms[i][r], stride);
            }
            for (j, block) in blocks.by_ref().take(i + 1).enumerate() {
                // SAFETY: atoms are below the stride, and the matrices as large as [`Bordered`] makes them.
                unsafe {
                    for c in 0..PANEL {
                        for r in 0..PANEL {
                            let places = simd.add_u32s(rows[r], atoms[j][c]);
                            block[c][r] = gather(simd, &system.coupling, places);
                        }
                    }
                    if i == j {
                        for r in 0..PANEL {
                            block[r][r] = gather(simd, &system.diagonal, atoms[i][r]);
                        }
                    }
                }
            }
        }
        numbers[0]
    }
}
