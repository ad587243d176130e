//! How a workgroup solves a tile of pixels within a GPU's limits: which unit owns what, and what lies in shared memory.
//!
//! The codes α of a tile and the residuals `r = b − Qα` lie in registers, [`ATOMS_PER_UNIT`] atoms by
//! [`PIXELS_PER_UNIT`] pixels a unit. A sweep goes over the atoms in blocks: the units that own a block change its
//! codes and publish the changes δ in shared memory, and all units then apply `r ← r − Q·δ`, so that every number read
//! from shared memory serves several multiply-adds. The rows of Q that this takes lie in shared memory as well: all of
//! them where they fit, else a slab at a time.

/// Atoms that a unit owns, which are also the block that a sweep changes before the residuals are corrected.
pub const ATOMS_PER_UNIT: usize = 8;

/// Pixels that a unit owns: the widest vector of WGSL.
pub const PIXELS_PER_UNIT: usize = 4;

/// Most units of a workgroup: what every WebGPU adapter offers. Larger ones wait longer at their barriers.
const MAX_UNITS: usize = 256;

/// Most units side by side along the pixels: the units that own a block are then one subgroup of most GPUs.
const MAX_PIXEL_GROUPS: usize = 32;

/// Sums over the atoms of a pixel that the units keep in shared memory: at most three a sweep.
const SUMS: usize = 3;

/// Bytes of the word by which the units of a workgroup agree to stop, with its alignment.
const VOTE_BYTES: usize = 16;

/// What a GPU lends to one workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceLimits {
    /// Bytes of shared memory: at least 16,384 on every WebGPU adapter.
    pub shared_bytes: usize,
    /// Units (invocations): at least 256 on every WebGPU adapter.
    pub units: usize,
}

/// One workgroup's share of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePlan {
    /// Blocks of [`ATOMS_PER_UNIT`] atoms, the last one padded with zero atoms.
    pub blocks: usize,
    /// Units side by side along the pixels, each with [`PIXELS_PER_UNIT`] of them; a power of two.
    pub pixel_groups: usize,
    /// Rows of Q that are brought into shared memory at a time: all of them where [`resident`](Self::resident), else
    /// at most a block, held twice, as the next slab is on its way while one is used.
    pub slab_rows: usize,
    /// Whether all of Q stays in shared memory.
    pub resident: bool,
}

impl TilePlan {
    /// The plan for `atoms` atoms, or `None` where the limits are too small for any.
    pub fn new(atoms: usize, limits: DeviceLimits) -> Option<Self> {
        let blocks = atoms.div_ceil(ATOMS_PER_UNIT);
        let widest = limits.units.min(MAX_UNITS).checked_div(blocks)?.min(MAX_PIXEL_GROUPS);
        let pixel_groups = std::iter::successors(widest.checked_ilog2().map(|log| 1 << log), |groups| Some(groups / 2))
            .take_while(|&groups| groups > 0);
        let slabs = |pixel_groups| {
            let plan = move |slab_rows, resident| Self {
                blocks,
                pixel_groups,
                slab_rows,
                resident,
            };
            let streamed = [ATOMS_PER_UNIT, ATOMS_PER_UNIT / 2, ATOMS_PER_UNIT / 4, 1];
            std::iter::once(plan(blocks * ATOMS_PER_UNIT, true)).chain(streamed.map(|rows| plan(rows, false)))
        };
        pixel_groups
            .flat_map(slabs)
            .find(|plan| plan.shared_bytes() <= limits.shared_bytes)
    }

    /// Atoms, those of the padding included.
    pub fn padded_atoms(&self) -> usize {
        self.blocks * ATOMS_PER_UNIT
    }

    /// Pixels of the tile.
    pub fn pixels(&self) -> usize {
        self.pixel_groups * PIXELS_PER_UNIT
    }

    /// Units of the workgroup.
    pub fn units(&self) -> usize {
        self.blocks * self.pixel_groups
    }

    /// Rows of Q that are used between two barriers.
    pub fn rows_per_barrier(&self) -> usize {
        self.slab_rows.min(ATOMS_PER_UNIT)
    }

    /// Numbers of Q in shared memory.
    pub fn slab_length(&self) -> usize {
        let copies = if self.resident { 1 } else { 2 };
        copies * self.slab_rows * self.padded_atoms()
    }

    /// Numbers of the published changes: two blocks of the tile, one in use and one being written.
    pub fn changes_length(&self) -> usize {
        2 * ATOMS_PER_UNIT * self.pixels()
    }

    /// Numbers of the sums over atoms.
    pub fn sums_length(&self) -> usize {
        SUMS * self.pixels()
    }

    /// Bytes of shared memory that the workgroup takes.
    pub fn shared_bytes(&self) -> usize {
        (self.slab_length() + self.changes_length() + self.sums_length()) * size_of::<f32>() + VOTE_BYTES
    }

    /// Barriers of a coordinate-descent sweep: one a slab, or a block where Q is resident, and the two of the vote on
    /// whether to go on.
    pub fn barriers_per_sweep(&self) -> usize {
        self.padded_atoms() / self.rows_per_barrier() + 2
    }

    /// Trips through loops that a unit makes to apply Q once to the tile: over the blocks, and to bring in slabs.
    #[cfg(feature = "wgpu")]
    pub(crate) fn trips_per_product(&self) -> usize {
        let slabs = if self.resident {
            0
        } else {
            ATOMS_PER_UNIT / self.slab_rows
        };
        self.blocks * (1 + slabs * (self.trips_per_slab() + 1))
    }

    /// Trips in which the units bring in one slab, four numbers each.
    #[cfg(feature = "wgpu")]
    pub(crate) fn trips_per_slab(&self) -> usize {
        (self.slab_rows * self.padded_atoms() / 4).div_ceil(self.units())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn plan(atoms: usize, shared: usize, units: usize) -> TilePlan {
        let limits = DeviceLimits {
            shared_bytes: shared * KIB,
            units,
        };
        TilePlan::new(atoms, limits).unwrap_or_else(|| panic!("no plan for {atoms} atoms and {limits:?}"))
    }

    #[test]
    fn every_layer_fits_every_adapter() {
        for atoms in 1..=512 {
            for shared in [16, 32, 48] {
                for units in [256, 1024] {
                    let plan = plan(atoms, shared, units);
                    assert!(plan.shared_bytes() <= shared * KIB, "{atoms} atoms: {plan:?}");
                    assert!(plan.units() <= 256, "{atoms} atoms: {plan:?}");
                    assert!((atoms..atoms + ATOMS_PER_UNIT).contains(&plan.padded_atoms()));
                    assert!(plan.pixel_groups.is_power_of_two());
                    assert_eq!(plan.padded_atoms() % plan.rows_per_barrier(), 0);
                    assert_eq!(
                        plan.resident,
                        plan.slab_rows == plan.padded_atoms() && plan.slab_length() == plan.slab_rows.pow(2)
                    );
                    // Half the units that a workgroup may have own something, or the tile is as wide as it gets.
                    assert!(
                        2 * plan.units() > 256 || plan.pixel_groups == MAX_PIXEL_GROUPS,
                        "{atoms} atoms: {plan:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn more_shared_memory_holds_more_of_q() {
        let rows = |atoms| [16, 32, 48].map(|shared| plan(atoms, shared, 256).slab_rows);
        assert_eq!(rows(32), [32, 32, 32]);
        assert_eq!(rows(64), [8, 64, 64]);
        assert_eq!(rows(128), [8, 8, 8]);
        assert_eq!(rows(256), [4, 8, 8]);
        assert_eq!(rows(512), [2, 4, 8]);
        assert_eq!(
            [64, 128, 256, 512].map(|atoms| plan(atoms, 16, 256).pixels()),
            [128, 64, 32, 16]
        );
    }

    #[test]
    fn limits_that_are_too_small_have_no_plan() {
        for (atoms, shared_bytes, units) in [
            (64, 16 * KIB, 7),
            (8, 256, 256),
            (4096, 16 * KIB, 1024),
            (0, 16 * KIB, 256),
        ] {
            assert_eq!(
                TilePlan::new(atoms, DeviceLimits { shared_bytes, units }),
                None,
                "{atoms} atoms"
            );
        }
    }
}
