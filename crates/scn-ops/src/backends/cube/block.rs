//! The products with Q on which every solve spends its time, a block of atoms at once: one read of a code serves the
//! whole block, and the sweep that follows corrects the block's products as it changes the codes in it, so that the
//! result is that of one atom after the other.

use cubecl::prelude::*;

/// Atoms of a block. Q is padded with zero atoms, whose codes stay 0, to a multiple of it.
pub(super) const BLOCK: usize = 8;

/// Loads that a block takes of one row of Q.
const FOURS: usize = BLOCK / 4;

/// Four numbers, the most that one load of WGSL reads.
pub(super) type Four = Vector<f32, Const<4>>;

/// The numbers of the atoms of one block.
#[derive(CubeType)]
pub(super) struct Block {
    low: Four,
    high: Four,
}

#[cube]
impl Block {
    /// `(Qv)` for the atoms of a block and the column `v` of this unit in the shared memory `[8·blocks, units]`.
    pub(super) fn product(
        quadratic: &[Four],
        column: &Shared<[f32]>,
        block: usize,
        blocks: usize,
        unit: usize,
        #[comptime] units: usize,
    ) -> Block {
        let mut low = Four::broadcast(0.0f32);
        let mut high = Four::broadcast(0.0f32);
        for group in 0..blocks {
            #[unroll]
            for within in 0..BLOCK {
                let k = group * BLOCK + within;
                let code = Four::broadcast(column[k * units + unit]);
                // Q is symmetric: its rows k, read along the block, are its columns.
                let row = (k * blocks + block) * FOURS;
                low += quadratic[row] * code;
                high += quadratic[row + 1] * code;
            }
        }
        Block { low, high }
    }

    /// Adds `change` times the part of row `j` of Q that belongs to this block.
    pub(super) fn correct(&mut self, quadratic: &[Four], j: usize, block: usize, blocks: usize, change: f32) {
        let row = (j * blocks + block) * FOURS;
        self.low += quadratic[row] * Four::broadcast(change);
        self.high += quadratic[row + 1] * Four::broadcast(change);
    }

    /// The number of the block's atom `within`.
    pub(super) fn at(&self, #[comptime] within: usize) -> f32 {
        if comptime!(within < 4) {
            self.low.extract(within)
        } else {
            self.high.extract(comptime!(within - 4))
        }
    }
}

/// `Qⱼⱼ` of the block's atom `within`.
#[cube]
pub(super) fn diagonal(quadratic: &[Four], block: usize, blocks: usize, #[comptime] within: usize) -> f32 {
    let row = ((block * BLOCK + within) * blocks + block) * FOURS;
    quadratic[row + comptime!(within / 4)].extract(comptime!(within % 4))
}
