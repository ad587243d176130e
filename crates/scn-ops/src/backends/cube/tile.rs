//! What every solve does with the tile of a workgroup: which pixels and atoms are a unit's, how their numbers come and
//! go, and how units publish changes, apply Q to them, sum over atoms and agree to stop. See [`TilePlan`].
//!
//! Barriers stand in uniform control flow only: every decision to go on is a [vote](Tile::any).

use cubecl::prelude::*;

use super::numbers::Four;
use crate::workgroup::{ATOMS_PER_UNIT, PIXELS_PER_UNIT, TilePlan};

/// The sizes of a layer. They are numbers that the kernels read, not constants of theirs: drivers that see short loops
/// of known length unroll them, for seconds.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Extent {
    /// Pixels of the batch.
    pub problems: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Atoms `n`.
    pub atoms: usize,
    /// Blocks of atoms, the last one padded: Q is `[8·blocks, 8·blocks]`.
    pub blocks: usize,
}

/// A unit's numbers, `[atoms of the unit]` vectors of its pixels, in registers.
pub(super) type Registers = Array<Four>;

/// Zeros.
#[cube]
pub(super) fn registers() -> Registers {
    Array::<Four>::new(ATOMS_PER_UNIT)
}

/// A unit's view of its workgroup's tile.
#[derive(CubeType)]
pub(super) struct Tile {
    /// The block whose atoms the unit owns.
    pub block: usize,
    /// Which pixels of the tile it owns: `group + i·groups` for `i` below [`PIXELS_PER_UNIT`], so that neighbouring
    /// units touch neighbouring pixels.
    group: usize,
    unit: usize,
    /// The tile's first pixel.
    first_pixel: usize,
    /// Rows of Q, `[slab_rows, n]`, twice where they are not resident.
    slabs: Shared<[Four]>,
    /// Published changes `[2, ATOMS_PER_UNIT, groups]`.
    changes: Shared<[Four]>,
    /// Sums over atoms `[SUMS, groups]`.
    sums: Shared<[Four]>,
    /// The last vote that passed.
    passed: Shared<[Atomic<u32>]>,
    /// Votes held.
    votes: u32,
    /// Which half of the changes (and of the slabs, where one is a block) is in use.
    half: usize,
    #[cube(comptime)]
    plan: TilePlan,
}

#[cube]
impl Tile {
    /// The tile of this workgroup, the first rows of Q on their way.
    pub(super) fn new(quadratic: &[Four], extent: &Extent, #[comptime] plan: TilePlan) -> Tile {
        let unit = UNIT_POS as usize;
        let passed = Shared::<[Atomic<u32>]>::new_slice(1usize);
        if unit == 0 {
            passed[0].store(0u32);
        }
        let mut tile = Tile {
            block: unit / plan.pixel_groups,
            group: unit % plan.pixel_groups,
            unit,
            first_pixel: CUBE_POS * comptime!(plan.pixels()),
            slabs: Shared::<[Four]>::new_slice(comptime!(plan.slab_length() / PIXELS_PER_UNIT)),
            changes: Shared::<[Four]>::new_slice(comptime!(plan.changes_length() / PIXELS_PER_UNIT)),
            sums: Shared::<[Four]>::new_slice(comptime!(plan.sums_length() / PIXELS_PER_UNIT)),
            passed,
            votes: 0u32,
            half: 0usize,
            plan,
        };
        tile.bring(quadratic, 0usize, 0usize, extent);
        tile
    }

    /// Brings the rows of Q from `row` on into half `half` of the slabs.
    fn bring(&mut self, quadratic: &[Four], row: usize, half: usize, extent: &Extent) {
        let fours = extent.blocks * comptime!(ATOMS_PER_UNIT / 4);
        let length = fours * comptime!(self.plan.slab_rows);
        let mut at = self.unit;
        while at < length {
            self.slabs[half * length + at] = quadratic[row * fours + at];
            at += comptime!(self.plan.units());
        }
    }

    /// Publishes the change of the unit's atom `within`, for the [`apply`](Self::apply) that follows.
    pub(super) fn publish(&mut self, #[comptime] within: usize, change: Four) {
        let groups = comptime!(self.plan.pixel_groups);
        self.changes[(self.half * ATOMS_PER_UNIT + within) * groups + self.group] = change;
    }

    /// Subtracts `Q·δ` from `residual` for the changes δ that the owners of `block` have published, at the owners' only
    /// if `owners_too`. Blocks come in order, 0 to the last, and again.
    pub(super) fn apply(
        &mut self,
        quadratic: &[Four],
        residual: &mut Registers,
        block: usize,
        extent: &Extent,
        #[comptime] owners_too: bool,
    ) {
        let groups = comptime!(self.plan.pixel_groups);
        let rows = comptime!(self.plan.rows_per_barrier());
        let slabs = comptime!(ATOMS_PER_UNIT / rows);
        let fours = extent.blocks * comptime!(ATOMS_PER_UNIT / 4);
        #[unroll]
        for slab in 0..slabs {
            // The changes and this slab are complete, and nobody uses the slab before it any more.
            sync_cube();
            let mut first_row = block * ATOMS_PER_UNIT;
            if comptime!(!self.plan.resident) {
                let half = if comptime!(slabs == 1) {
                    self.half
                } else {
                    comptime!(slab % 2).runtime()
                };
                let mut next = block * ATOMS_PER_UNIT + comptime!((slab + 1) * rows);
                if next == extent.blocks * ATOMS_PER_UNIT {
                    next = 0usize;
                }
                self.bring(quadratic, next, 1 - half, extent);
                first_row = half * rows;
            }
            if comptime!(owners_too) || self.block != block {
                #[unroll]
                for row in 0..rows {
                    let change =
                        self.changes[(self.half * ATOMS_PER_UNIT + comptime!(slab * rows + row)) * groups + self.group];
                    let at = (first_row + row) * fours + self.block * comptime!(ATOMS_PER_UNIT / 4);
                    #[unroll]
                    for four in 0..ATOMS_PER_UNIT / 4 {
                        let quadratic = self.slabs[at + four];
                        #[unroll]
                        for lane in 0..4usize {
                            residual[comptime!(4 * four + lane)] -= Four::broadcast(quadratic.extract(lane)) * change;
                        }
                    }
                }
            }
        }
        self.half = 1 - self.half;
    }

    /// Subtracts `Q·v` from `residual` for the units' `values` v.
    pub(super) fn apply_to_all(
        &mut self,
        quadratic: &[Four],
        values: &Registers,
        residual: &mut Registers,
        extent: &Extent,
    ) {
        for block in 0..extent.blocks {
            if self.block == block {
                #[unroll]
                for j in 0..ATOMS_PER_UNIT {
                    self.publish(j, values[j]);
                }
            }
            self.apply(quadratic, residual, block, extent, true);
        }
    }

    /// Adds `value` to sum `which` of the unit's pixels, which the owners of the first block start. Only the owners of
    /// one block may be here between two barriers, so that the order of the additions is fixed; and a vote must lie
    /// between reading sums and starting them again.
    pub(super) fn accumulate(&mut self, #[comptime] which: usize, value: Four) {
        let at = comptime!(which * self.plan.pixel_groups) + self.group;
        if self.block == 0 {
            self.sums[at] = value;
        } else {
            self.sums[at] += value;
        }
    }

    /// Sum `which` of the unit's pixels.
    pub(super) fn accumulated(&self, #[comptime] which: usize) -> Four {
        self.sums[comptime!(which * self.plan.pixel_groups) + self.group]
    }

    /// Sums three numbers over all atoms, for every pixel, as the [accumulated](Self::accumulated) 0 to 2.
    pub(super) fn sum(&mut self, first: Four, second: Four, third: Four, extent: &Extent) {
        for block in 0..extent.blocks {
            if self.block == block {
                self.accumulate(0usize, first);
                self.accumulate(1usize, second);
                self.accumulate(2usize, third);
            }
            sync_cube();
        }
    }

    /// Whether any unit votes yes; all learn the same.
    pub(super) fn any(&mut self, yes: bool) -> bool {
        self.votes += 1u32;
        if yes {
            self.passed[0].fetch_max(self.votes);
        }
        workgroup_uniform_load_atomic(&self.passed[0]) >= self.votes
    }

    /// The pixel of the batch behind `lane`.
    pub(super) fn pixel(&self, #[comptime] lane: usize) -> usize {
        self.first_pixel + self.group + comptime!(lane * self.plan.pixel_groups)
    }

    /// The unit's atom `within`, of those of the layer or of the padding.
    pub(super) fn atom(&self, #[comptime] within: usize) -> usize {
        self.block * ATOMS_PER_UNIT + within
    }

    /// The unit's numbers of `[b, n, h', w']`, which begin at `start`. They are 0 for the atoms of the padding; pixels
    /// beyond the batch repeat its last, and so keep nobody waiting.
    pub(super) fn load(&self, planes: &[f32], start: usize, extent: &Extent) -> Registers {
        let mut numbers = registers();
        let first = self.first_atoms(start, extent);
        #[unroll]
        for within in 0..ATOMS_PER_UNIT {
            let j = self.atom(within);
            if j < extent.atoms {
                let mut number = Four::broadcast(0.0f32);
                #[unroll]
                for lane in 0..PIXELS_PER_UNIT {
                    number.insert(lane, planes[first[lane] + j * extent.pixels]);
                }
                numbers[within] = number;
            }
        }
        numbers
    }

    /// [`load`](Self::load), times a factor of each pixel.
    pub(super) fn load_times(&self, planes: &[f32], start: usize, factor: Four, extent: &Extent) -> Registers {
        let mut numbers = self.load(planes, start, extent);
        #[unroll]
        for within in 0..ATOMS_PER_UNIT {
            numbers[within] *= factor;
        }
        numbers
    }

    /// Writes the unit's numbers to `[b, n, h', w']`, which begins at `start`.
    pub(super) fn store(&self, numbers: &Registers, planes: &mut [f32], start: usize, extent: &Extent) {
        let first = self.first_atoms(start, extent);
        #[unroll]
        for lane in 0..PIXELS_PER_UNIT {
            if self.pixel(lane) < extent.problems {
                #[unroll]
                for within in 0..ATOMS_PER_UNIT {
                    let j = self.atom(within);
                    if j < extent.atoms {
                        planes[first[lane] + j * extent.pixels] = numbers[within].extract(lane);
                    }
                }
            }
        }
    }

    /// Where in `[b, n, h', w']`, which begins at `start`, the first atom of each of the unit's pixels lies, or of the
    /// last of the batch instead of those beyond it; a pixel's atoms lie `pixels` apart.
    fn first_atoms(&self, start: usize, extent: &Extent) -> Array<usize> {
        let mut first = Array::<usize>::new(PIXELS_PER_UNIT);
        #[unroll]
        for lane in 0..PIXELS_PER_UNIT {
            let pixel = min(self.pixel(lane), extent.problems - 1);
            let image = pixel / extent.pixels;
            first[lane] = start + image * (extent.pixels * extent.atoms) + (pixel - image * extent.pixels);
        }
        first
    }

    /// Whether the unit speaks for the pixel behind `lane`, so that every pixel has one that does.
    pub(super) fn speaks_for(&self, #[comptime] lane: usize, extent: &Extent) -> bool {
        self.block == 0 && self.pixel(lane) < extent.problems
    }

    /// Four of the numbers of Q in the row of the unit's atom `within` and the columns of its own block.
    fn corner(&self, quadratic: &[Four], #[comptime] within: usize, #[comptime] four: usize, extent: &Extent) -> Four {
        let fours = comptime!(ATOMS_PER_UNIT / 4);
        quadratic[((self.block * ATOMS_PER_UNIT + within) * extent.blocks + self.block) * fours + four]
    }

    /// `Qⱼⱼ` of the unit's atom `within`.
    pub(super) fn diagonal(&self, quadratic: &[Four], #[comptime] within: usize, extent: &Extent) -> f32 {
        let four = self.corner(quadratic, within, comptime!(within / 4), extent);
        four.extract(comptime!(within % 4))
    }

    /// Subtracts from the residuals of the unit's own block what the change of its atom `within` makes.
    pub(super) fn correct(
        &self,
        quadratic: &[Four],
        residual: &mut Registers,
        #[comptime] within: usize,
        change: Four,
        extent: &Extent,
    ) {
        #[unroll]
        for four in 0..ATOMS_PER_UNIT / 4 {
            let quadratic = self.corner(quadratic, within, four, extent);
            #[unroll]
            for lane in 0..4usize {
                residual[comptime!(4 * four + lane)] -= Four::broadcast(quadratic.extract(lane)) * change;
            }
        }
    }
}
