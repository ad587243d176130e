//! Sums over pixels of products between windows and gradients, `Σ xγᵀ`: the gradient of a dictionary or of a
//! convolution's weight.

use pulp::Simd;
use rayon::prelude::*;

use super::planes::Source;
use super::tile::Tile;
use super::window::Window;
use crate::kernels::aligned::Aligned;
use crate::kernels::product::outer_product;
use crate::kernels::simd::TileShape;

/// At most this many partial sums over the batch exist at once; they are added in order.
const PARTIAL_SUMS: usize = 32;
/// At most this many values in all partial sums together (256 MiB), unless a single one is larger.
const PARTIAL_VALUES: usize = 1 << 26;
/// A partial sum has at least this many pixels, so that clearing and adding it costs little beside them.
const PARTIAL_PIXELS: usize = 1 << 10;
/// Values that one thread adds at once.
const SUM_CHUNK: usize = 1 << 12;

/// How many partial sums of `values` values over `pixels` pixels there are. It depends on the layer alone, and so do the
/// results.
pub(crate) fn partial_sums(values: usize, pixels: usize) -> usize {
    let worthwhile = (PARTIAL_VALUES / values.max(1)).min(pixels / PARTIAL_PIXELS);
    worthwhile.clamp(1, PARTIAL_SUMS)
}

/// Vectors of pixels that are added at once: so many stay in the cache while all windows' values pass, and the sums are
/// read and written once for all of them.
const CHUNK: usize = 8;

/// The gradients γ of a group as `[pixels][atoms]`, with the atoms padded to whole vectors by zeros.
pub(crate) struct Transposed {
    values: Aligned,
    columns: usize,
    width: usize,
}

impl Transposed {
    /// With room for `pixels` pixels.
    pub(crate) fn new(pixels: usize, atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(pixels.next_multiple_of(shape.width) * columns),
            columns,
            width: shape.width,
        }
    }

    /// Takes in the tile `[atoms][pixels]` from pixel `first`; its idle lanes are 0.
    #[inline(always)]
    pub(crate) fn fill(&mut self, first: usize, tile: &[f32]) {
        let target = &mut self.values[first * self.columns..][..self.width * self.columns];
        for (j, row) in tile.chunks_exact(self.width).take(self.columns).enumerate() {
            for (target, &value) in target.chunks_exact_mut(self.columns).zip(row) {
                target[j] = value;
            }
        }
    }
}

/// `Σ xγᵀ [values, atoms]` of some pixels, with the atoms padded to whole vectors.
pub(crate) struct PatchSums {
    values: Aligned,
    columns: usize,
}

impl PatchSums {
    /// Zero, for windows of so many values.
    pub(crate) fn new(values: usize, atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(values.next_multiple_of(shape.block) * columns),
            columns,
        }
    }

    /// Adds the `pixels` pixels of a group, those of a `grid` in each image.
    #[inline(always)]
    pub(crate) fn add<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        window: &Window,
        source: Source,
        packed: &mut [f32],
        grid: [usize; 2],
        gradients: &Transposed,
        pixels: usize,
    ) {
        let images = pixels / (grid[0] * grid[1]);
        // Windows are packed for tiles of the usual width.
        let vectors = if window.is_direct() { CHUNK } else { V };
        let shape = TileShape {
            block: R,
            lanes: S::F32_LANES,
            width: vectors * S::F32_LANES,
        };
        let mut tile = Tile::new(grid, shape);
        let mut bases = [0; CHUNK];
        for first in (0..pixels).step_by(shape.width) {
            tile.place(first, images);
            let bases = &mut bases[..tile.pixels().div_ceil(S::F32_LANES)];
            let rows = tile.locate(window, source, packed, bases);
            let gradients = &gradients.values[first * self.columns..];
            outer_product::<S, R>(simd, rows, bases, gradients, &mut self.values, self.columns);
        }
    }

    /// The sum for window value `i` and atom `j`.
    pub(crate) fn at(&self, i: usize, j: usize) -> f32 {
        self.values[i * self.columns + j]
    }
}

/// The total of partial sums, each value added in their order.
pub(crate) fn sum_in_order(partial: Vec<PatchSums>) -> PatchSums {
    let mut partial = partial.into_iter();
    let Some(mut total) = partial.next() else {
        panic!("a batch without images has no sums");
    };
    let rest: Vec<PatchSums> = partial.collect();
    total
        .values
        .par_chunks_mut(SUM_CHUNK)
        .enumerate()
        .for_each(|(i, total)| {
            for sums in &rest {
                let values = &sums.values[i * SUM_CHUNK..][..total.len()];
                total.iter_mut().zip(values).for_each(|(total, value)| *total += value);
            }
        });
    total
}
