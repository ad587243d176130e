//! Sums over pixels of products between windows and gradients, `Σ xγᵀ`: the gradient of a dictionary or of a
//! convolution's weight.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::layout::TileShape;
use super::product::{View, outer_product};

/// At most this many partial sums over the batch exist at once; they are added in order.
const PARTIAL_SUMS: usize = 32;
/// At most this many values in all partial sums together (256 MiB), unless a single one is larger.
const PARTIAL_VALUES: usize = 1 << 26;
/// Values that one thread adds at once.
const SUM_CHUNK: usize = 1 << 12;

/// How many partial sums of `values` values there are. It depends on the layer alone, and so do the results.
pub(super) fn partial_sums(values: usize) -> usize {
    (PARTIAL_VALUES / values.max(1)).clamp(1, PARTIAL_SUMS)
}

/// A tile's `[atoms][pixels]` as `[pixels][atoms]`, with the atoms padded to whole vectors by zeros.
pub(super) struct Transposed {
    values: Aligned,
    columns: usize,
    shape: TileShape,
}

impl Transposed {
    pub(super) fn new(atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(shape.width * columns),
            columns,
            shape,
        }
    }

    #[inline(always)]
    pub(super) fn fill(&mut self, tile: &[f32]) {
        let width = self.shape.width;
        for (j, row) in tile.chunks_exact(width).take(self.columns).enumerate() {
            for (target, &value) in self.values.chunks_exact_mut(self.columns).zip(row) {
                target[j] = value;
            }
        }
    }
}

/// `Σ xγᵀ [values, atoms]` of some pixels, with the atoms padded to whole vectors.
pub(super) struct PatchSums {
    values: Aligned,
    columns: usize,
    lanes: usize,
}

impl PatchSums {
    /// Zero, for windows of so many values.
    pub(super) fn new(values: usize, atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(values.next_multiple_of(shape.block) * columns),
            columns,
            lanes: shape.lanes,
        }
    }

    /// Adds the first `pixels` pixels of a tile.
    #[inline(always)]
    pub(super) fn add<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        windows: View<V>,
        gradients: &Transposed,
        pixels: usize,
    ) {
        let vectors = pixels.div_ceil(self.lanes);
        outer_product::<S, R, V>(
            simd,
            windows,
            &gradients.values,
            &mut self.values,
            vectors,
            self.columns,
        );
    }

    /// The sum for window value `i` and atom `j`.
    pub(super) fn at(&self, i: usize, j: usize) -> f32 {
        self.values[i * self.columns + j]
    }
}

/// The total of partial sums, each value added in their order.
pub(super) fn sum_in_order(partial: Vec<PatchSums>) -> PatchSums {
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
