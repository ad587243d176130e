//! The masked backward systems `Q_ΛΛ γ_Λ = g_Λ` of a tile's pixels, each with the matrix of its own active atoms Λ.
//!
//! Codes are sparse: with k of n atoms active a Cholesky factorisation costs about k³/6 multiply-adds where one masked
//! Gauss–Seidel sweep costs n². Every lane of a vector factorises the system of its own pixel. Of many atoms the active
//! ones are gathered, and lanes with fewer of them than their neighbours carry rows of the identity; few atoms are all
//! taken, the inactive ones as rows of the identity. Pixels are solved or left to sweeps one by one.
//!
//! Where a pixel has too many active atoms its tile is swept in any case, and its neighbours in the vector with it at no
//! cost. They are factorised only if the sweeps do not reach the tolerance.

use pulp::{Simd, bytemuck};

use super::cholesky::{Block, Cholesky, Lanes, Matrices, PANEL, blocks_before};
use super::quadratic::Quadratic;
use crate::kernels::aligned::Aligned;
use crate::kernels::product::{Packed, product};
use crate::kernels::simd::{TileShape, masked, rows, rows_mut, subtract};
use crate::profile::{Part, Stopwatch};

/// Up to so many atoms none are gathered: that takes longer than to factorise them all.
const FEW: usize = 32;
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

/// What the systems of one vector of pixels need.
pub(crate) struct ActiveSets {
    /// Each lane's active atoms in ascending order, then the border: `[lanes][capacity]`.
    lists: Vec<u32>,
    capacity: usize,
    /// How many atoms are listed, `[lanes]`.
    counts: Vec<usize>,
    /// Which lanes have too many active atoms to be listed.
    excess: Vec<bool>,
    /// Which vectors of the tile have such a lane, one bit for each.
    postponed: usize,
    /// The lower triangle of gathered matrices by panels of rows; panel i has i + 1 blocks.
    matrix: Aligned,
    cholesky: Cholesky,
}

impl ActiveSets {
    pub(crate) fn new(atoms: usize, shape: TileShape) -> Self {
        let lanes = shape.lanes;
        let panels = atoms.min(MAX_ACTIVE).div_ceil(PANEL);
        let capacity = atoms.next_multiple_of(PANEL);
        let gathered = if atoms <= FEW { 0 } else { blocks_before(panels) };
        Self {
            lists: vec![0; lanes * capacity],
            capacity,
            counts: vec![0; lanes],
            excess: vec![false; lanes],
            postponed: 0,
            matrix: Aligned::unspecified(gathered * PANEL * PANEL * lanes),
            cholesky: Cholesky::new(panels, lanes),
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
        self.postponed = 0;
        gamma.fill(0.0);
        for v in 0..V {
            let lanes = match &systems.matrix.negated {
                Some(negated) => {
                    stopwatch.lap(Part::Gathering, 0);
                    let (lanes, spent) = self.solve_few::<S, R, V>(simd, systems, negated, gamma, v);
                    stopwatch.lap(Part::Factorising, 2 * spent as u64);
                    lanes
                }
                None => {
                    let panels = self.list_active::<S, V>(simd, systems, v);
                    if self.excess.contains(&true) {
                        self.postponed |= 1 << v;
                        Lanes::unsolved(simd)
                    } else {
                        let lanes = self.factorise::<S, R, V>(simd, systems, panels, v, stopwatch);
                        self.scatter::<S, V>(gamma, v, |_| true);
                        stopwatch.lap(Part::Factorising, 2 * self.multiply_adds());
                        lanes
                    }
                }
            };
            rows_mut::<S, V>(&mut outcome.refinements)[0][v] = lanes.refinements;
            rows_mut::<S, V>(&mut outcome.residual)[0][v] = lanes.residual;
            rows_mut::<S, V>(&mut outcome.unsolved)[0][v] = lanes.unsolved;
        }
        stopwatch.lap(Part::Gathering, 0);
    }

    /// Those of the systems that are listed.
    fn multiply_adds(&self) -> u64 {
        let mut total = 0;
        for &count in &self.counts {
            total += multiply_adds(count);
        }
        total as u64
    }

    /// Whether any vector of the last tile is left to [`Self::solve_postponed`].
    pub(crate) fn has_postponed(&self) -> bool {
        self.postponed != 0
    }

    /// Factorises what sweeps did not solve though it has not too many active atoms, and takes the solutions with a smaller
    /// residual.
    #[inline(always)]
    pub(crate) fn solve_postponed<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        systems: Systems,
        gamma: &mut [f32],
        outcome: &mut Outcome,
        stopwatch: &mut Stopwatch,
    ) {
        let postponed = self.postponed;
        for v in (0..V).filter(|v| postponed >> v & 1 == 1) {
            let reached = &mut outcome.residual[v * S::F32_LANES..][..S::F32_LANES];
            let panels = self.list_active::<S, V>(simd, systems, v);
            let missed = |lane: usize, reached: &[f32]| reached[lane] > systems.tolerance;
            if !(0..S::F32_LANES).any(|lane| missed(lane, reached) && !self.excess[lane]) {
                continue;
            }
            let found = [self.factorise::<S, R, V>(simd, systems, panels, v, stopwatch).residual];
            let found = bytemuck::cast_slice::<S::f32s, f32>(&found);
            let better = |lane: usize, reached: &[f32]| {
                missed(lane, reached) && !self.excess[lane] && found[lane] < reached[lane]
            };
            self.scatter::<S, V>(gamma, v, |lane| better(lane, reached));
            for lane in 0..S::F32_LANES {
                if better(lane, reached) {
                    reached[lane] = found[lane];
                }
            }
            stopwatch.lap(Part::Factorising, 2 * self.multiply_adds());
        }
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
        let counts = bytemuck::cast_slice::<S::f32s, f32>(std::slice::from_ref(&counts));
        let operations = counts.iter().map(|&count| multiply_adds(count as usize)).sum();
        (lanes, operations)
    }

    /// Solves vector v of a tile with the listed atoms of each lane.
    #[inline(always)]
    fn factorise<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        systems: Systems,
        panels: usize,
        v: usize,
        stopwatch: &mut Stopwatch,
    ) -> Lanes<S> {
        let (lanes, width) = (S::F32_LANES, V * S::F32_LANES);
        self.gather::<S>(systems.matrix, &systems.rhs[v * lanes..], width, panels);
        stopwatch.lap(Part::Gathering, 0);
        let matrices = Gathered::<S> {
            blocks: rows::<S, PANEL>(&self.matrix).as_chunks::<PANEL>().0,
            panels,
        };
        let mut counts = [simd.splat_f32s(0.0)];
        let numbers = bytemuck::cast_slice_mut::<S::f32s, f32>(&mut counts);
        for (number, &count) in numbers.iter_mut().zip(&self.counts) {
            *number = count as f32;
        }
        self.cholesky
            .solve::<S, _, R>(simd, &matrices, panels, counts[0], systems.tolerance)
    }

    /// Writes the solutions of some lanes to vector v of a tile's γ.
    #[inline(always)]
    fn scatter<S: Simd, const V: usize>(&self, gamma: &mut [f32], v: usize, wanted: impl Fn(usize) -> bool) {
        let lanes = S::F32_LANES;
        let lists = self.lists.chunks_exact(self.capacity).zip(&self.counts).enumerate();
        for (lane, (list, &count)) in lists.filter(|&(lane, _)| wanted(lane)) {
            let values = self.cholesky.values.chunks_exact(lanes);
            for (&atom, values) in list[..count].iter().zip(values) {
                gamma[(atom as usize * V + v) * lanes + lane] = values[lane];
            }
        }
    }

    /// Lists the active atoms of the lanes that have not too many; returns how many panels they fill.
    #[inline(always)]
    fn list_active<S: Simd, const V: usize>(&mut self, simd: S, systems: Systems, v: usize) -> usize {
        let n = systems.matrix.atoms();
        let codes = rows::<S, V>(systems.codes);
        let (zero, none) = (simd.splat_f32s(0.0), simd.splat_u32s(0));
        self.counts.fill(0);
        for first in (0..n).step_by(WORD) {
            // One bit for each of the atoms from `first` on.
            let mut active = none;
            for (bit, codes) in codes[first..n.min(first + WORD)].iter().enumerate() {
                let bit = simd.splat_u32s(1 << bit);
                let bit = simd.select_u32s(simd.greater_than_f32s(codes[v], zero), bit, none);
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
        for (count, excess) in self.counts.iter_mut().zip(&mut self.excess) {
            *excess = *count > MAX_ACTIVE;
            if *excess {
                *count = 0;
            }
        }
        let panels = self.counts.iter().copied().max().unwrap_or(0).div_ceil(PANEL);
        for (list, &count) in self.lists.chunks_exact_mut(self.capacity).zip(&self.counts) {
            list[count..panels * PANEL].fill(n as u32);
        }
        panels
    }

    /// Copies the lanes' matrices and right-hand sides.
    #[inline(always)]
    fn gather<S: Simd>(&mut self, system: &Bordered, rhs: &[f32], width: usize, panels: usize) {
        let (lanes, stride) = (S::F32_LANES, system.stride);
        for (lane, list) in self.lists.chunks_exact(self.capacity).enumerate() {
            let count = self.counts[lane];
            let values = self.cholesky.rhs.chunks_exact_mut(lanes);
            for (slot, (&atom, values)) in list[..panels * PANEL].iter().zip(values).enumerate() {
                values[lane] = if slot < count {
                    rhs[atom as usize * width + lane]
                } else {
                    0.0
                };
            }
        }
        assert!(system.coupling.len() == stride * stride && system.diagonal.len() == stride);
        assert!(lanes <= LANES && panels * PANEL <= self.capacity);
        for list in self.lists.chunks_exact(self.capacity) {
            assert!(list[..panels * PANEL].iter().all(|&atom| (atom as usize) < stride));
        }
        let mut blocks = self.matrix.chunks_exact_mut(PANEL * PANEL * lanes);
        for i in 0..panels {
            let mut rows = [[0; PANEL]; LANES];
            for (rows, list) in rows.iter_mut().zip(self.lists.chunks_exact(self.capacity)) {
                for r in 0..PANEL {
                    rows[r] = list[i * PANEL + r] as usize * stride;
                }
            }
            for (j, block) in blocks.by_ref().take(i + 1).enumerate() {
                let block = &mut block[..PANEL * PANEL * lanes];
                for (lane, rows) in rows[..lanes].iter().enumerate() {
                    for c in 0..PANEL {
                        // SAFETY: atoms are below the stride, lists hold that many panels, and lanes lie within the block.
                        unsafe {
                            let column = *self.lists.get_unchecked(lane * self.capacity + j * PANEL + c) as usize;
                            for r in 0..PANEL {
                                *block.get_unchecked_mut((c * PANEL + r) * lanes + lane) =
                                    *system.coupling.get_unchecked(rows[r] + column);
                            }
                        }
                    }
                }
                if i == j {
                    for (lane, list) in self.lists.chunks_exact(self.capacity).enumerate() {
                        for r in 0..PANEL {
                            block[r * (PANEL + 1) * lanes + lane] = system.diagonal[list[i * PANEL + r] as usize];
                        }
                    }
                }
            }
        }
    }
}
