//! The two matrix products that everything is made of, with their accumulators in registers.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::simd::{mul_add, rows, rows_mut};

/// A matrix `[rows, columns]` stored as blocks of `R` rows, `[rows/R][columns][R]`; missing rows are zero.
pub(super) struct Packed {
    values: Aligned,
    block: usize,
}

impl Packed {
    /// Packs `value(row, column)` in blocks of `r` rows.
    pub(super) fn new(rows: usize, columns: usize, r: usize, value: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let mut values = Aligned::zeros(rows.div_ceil(r) * r * columns);
        let block = r * columns;
        values.par_chunks_mut(block.max(1)).enumerate().for_each(|(i, block)| {
            // Column by column: what the rows of a block take from a weight lies together.
            for (column, packed) in block.chunks_exact_mut(r).enumerate() {
                for (row, packed) in (i * r..rows.min((i + 1) * r)).zip(packed) {
                    *packed = value(row, column);
                }
            }
        });
        Self { values, block }
    }

    /// Block `i`: for every column the `R` values of its rows.
    #[inline(always)]
    pub(super) fn block<const R: usize>(&self, i: usize) -> &[[f32; R]] {
        self.values[i * self.block..(i + 1) * self.block].as_chunks::<R>().0
    }
}

/// Rows of pixels that lie anywhere in one slice: the vector of row `i` that starts at `base` is at
/// `base + offsets[i]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) offsets: &'a [usize],
    /// The largest offset.
    pub(super) reach: usize,
}

impl Rows<'_> {
    /// # Panics
    /// Where a row of `lanes` values from one of the bases would end beyond the slice.
    #[inline(always)]
    fn check(&self, bases: &[usize], lanes: usize) {
        debug_assert!(self.offsets.iter().all(|&offset| offset <= self.reach));
        assert!(bases.iter().all(|base| base + self.reach + lanes <= self.values.len()));
    }
}

/// The rows of a tile.
#[derive(Clone, Copy)]
pub(super) struct View<'a, const V: usize> {
    values: &'a [f32],
    bases: [usize; V],
    offsets: &'a [usize],
}

impl<'a, const V: usize> View<'a, V> {
    /// # Panics
    /// Where a row of `lanes` values would end beyond the slice.
    #[inline(always)]
    pub(super) fn new(rows: Rows<'a>, bases: [usize; V], lanes: usize) -> Self {
        rows.check(&bases, lanes);
        let Rows { values, offsets, .. } = rows;
        Self { values, bases, offsets }
    }

    /// The vectors of the row at `offset`, one of `self.offsets`.
    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, offset: usize) -> [S::f32s; V] {
        let mut row = [simd.splat_f32s(0.0); V];
        for v in 0..V {
            // SAFETY: `new` checked that a vector at any base and any of the offsets lies within the slice.
            row[v] = unsafe {
                let at = self.values.as_ptr().add(self.bases[v] + offset);
                at.cast::<S::f32s>().read_unaligned()
            };
        }
        row
    }
}

/// `acc[r] + Σ_k left[k][r]·right[k]` for `R` rows and the `V` vectors of a tile's row.
#[inline(always)]
pub(super) fn product<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: &[[f32; R]],
    right: &[[S::f32s; V]],
    mut acc: [[S::f32s; V]; R],
) -> [[S::f32s; V]; R] {
    for (a, b) in left.iter().zip(right) {
        accumulate(simd, a, b, &mut acc);
    }
    acc
}

/// [`product`] with the rows of a view.
#[inline(always)]
pub(super) fn view_product<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: &[[f32; R]],
    right: View<V>,
    mut acc: [[S::f32s; V]; R],
) -> [[S::f32s; V]; R] {
    for (a, &offset) in left.iter().zip(right.offsets) {
        accumulate(simd, a, &right.row(simd, offset), &mut acc);
    }
    acc
}

/// `target[i] = bias[i] + Σ_k matrix[i, k]·view[k]`; rows beyond the bias start from 0.
#[inline(always)]
pub(super) fn correlate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    matrix: &Packed,
    view: View<V>,
    bias: &[f32],
    target: &mut [f32],
) {
    for (i, target) in rows_mut::<S, V>(target).as_chunks_mut::<R>().0.iter_mut().enumerate() {
        let mut start = [[simd.splat_f32s(0.0); V]; R];
        for (start, &bias) in start.iter_mut().zip(bias.iter().skip(i * R)) {
            *start = [simd.splat_f32s(bias); V];
        }
        *target = view_product(simd, matrix.block::<R>(i), view, start);
    }
}

#[inline(always)]
fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: &[f32; R],
    b: &[S::f32s; V],
    acc: &mut [[S::f32s; V]; R],
) {
    for r in 0..R {
        let a = simd.splat_f32s(a[r]);
        for v in 0..V {
            acc[r][v] = mul_add(simd, a, b[v], acc[r][v]);
        }
    }
}

/// `sum[i, :] += Σ_p left[i, p]·right[p, :]` over the pixels of the vectors that start at `bases`, for
/// `right [pixels, width]`, `width` being a multiple of the vector: the gradient of weights.
#[inline(always)]
pub(super) fn outer_product<S: Simd, const R: usize>(
    simd: S,
    left: Rows,
    bases: &[usize],
    right: &[f32],
    sum: &mut [f32],
    width: usize,
) {
    left.check(bases, S::F32_LANES);
    let columns = width / S::F32_LANES;
    let mut done = 0;
    while done < columns {
        let first = done * S::F32_LANES;
        done += match columns - done {
            1 => outer_columns::<S, R, 1>(simd, left, bases, right, sum, width, first),
            2 | 4 => outer_columns::<S, R, 2>(simd, left, bases, right, sum, width, first),
            _ => outer_columns::<S, R, 3>(simd, left, bases, right, sum, width, first),
        };
    }
}

/// `W` vectors of columns of [`outer_product`], from column `first`; returns `W`.
#[inline(always)]
fn outer_columns<S: Simd, const R: usize, const W: usize>(
    simd: S,
    left: Rows,
    bases: &[usize],
    right: &[f32],
    sum: &mut [f32],
    width: usize,
    first: usize,
) -> usize {
    let panel = W * S::F32_LANES;
    assert!(bases.len() * S::F32_LANES * width <= right.len() && first + panel <= width);
    let (offsets, rest) = left.offsets.as_chunks::<R>();
    assert!(rest.is_empty(), "offsets come in whole blocks");
    for (offsets, sum) in offsets.iter().zip(sum.chunks_exact_mut(R * width)) {
        let mut acc = [[simd.splat_f32s(0.0); W]; R];
        for r in 0..R {
            acc[r] = rows::<S, W>(&sum[r * width + first..][..panel])[0];
        }
        for (v, base) in bases.iter().enumerate() {
            let mut rows = [left.values.as_ptr(); R];
            for r in 0..R {
                // SAFETY: `check` made sure that a vector at any base and any of the offsets lies within the slice.
                rows[r] = unsafe { rows[r].add(base + offsets[r]) };
            }
            for p in 0..S::F32_LANES {
                // SAFETY: pixel v·LANES + p and columns first..first + panel lie within `right`, as asserted.
                let b: [S::f32s; W] = unsafe {
                    right
                        .as_ptr()
                        .add((v * S::F32_LANES + p) * width + first)
                        .cast::<[S::f32s; W]>()
                        .read_unaligned()
                };
                for r in 0..R {
                    // SAFETY: a vector starts at each of the rows, and p is one of its lanes.
                    let a = simd.splat_f32s(unsafe { *rows[r].add(p) });
                    for w in 0..W {
                        acc[r][w] = mul_add(simd, a, b[w], acc[r][w]);
                    }
                }
            }
        }
        for r in 0..R {
            rows_mut::<S, W>(&mut sum[r * width + first..][..panel])[0] = acc[r];
        }
    }
    W
}
