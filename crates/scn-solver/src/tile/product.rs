//! The two matrix products that everything is made of, with their accumulators in registers.

use pulp::Simd;

use super::aligned::Aligned;
use super::simd::{mul_add, rows};

/// A matrix `[rows, columns]` stored as blocks of `R` rows, `[rows/R][columns][R]`; missing rows are zero.
pub(super) struct Packed {
    values: Aligned,
    block: usize,
}

impl Packed {
    /// Packs `value(row, column)` in blocks of `r` rows.
    pub(super) fn new(rows: usize, columns: usize, r: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Aligned::zeros(rows.div_ceil(r) * r * columns);
        for row in 0..rows {
            let block = &mut values[row / r * r * columns..];
            for column in 0..columns {
                block[column * r + row % r] = value(row, column);
            }
        }
        Self {
            values,
            block: r * columns,
        }
    }

    /// Block `i`: for every column the `R` values of its rows.
    #[inline(always)]
    pub(super) fn block<const R: usize>(&self, i: usize) -> &[[f32; R]] {
        self.values[i * self.block..(i + 1) * self.block].as_chunks::<R>().0
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
        for r in 0..R {
            let a = simd.splat_f32s(a[r]);
            for v in 0..V {
                acc[r][v] = mul_add(simd, a, b[v], acc[r][v]);
            }
        }
    }
    acc
}

/// `sum[i, :] += Σ_p left[i, p]·right[p, :]` for `left [count, pixels]` and `right [pixels, width]`, `width` being a
/// multiple of the vector: the weight gradient of a tile.
#[inline(always)]
pub(super) fn outer_product<S: Simd, const R: usize>(
    simd: S,
    left: &[f32],
    right: &[f32],
    sum: &mut [f32],
    pixels: usize,
    width: usize,
) {
    let vectors = width / S::F32_LANES;
    let mut done = 0;
    while done < vectors {
        let columns = done * S::F32_LANES;
        done += match vectors - done {
            1 => outer_columns::<S, R, 1>(simd, left, right, sum, pixels, width, columns),
            2 => outer_columns::<S, R, 2>(simd, left, right, sum, pixels, width, columns),
            4 => outer_columns::<S, R, 2>(simd, left, right, sum, pixels, width, columns),
            _ => outer_columns::<S, R, 3>(simd, left, right, sum, pixels, width, columns),
        };
    }
}

/// `W` vectors of columns of [`outer_product`], from column `first`; returns `W`.
#[inline(always)]
fn outer_columns<S: Simd, const R: usize, const W: usize>(
    simd: S,
    left: &[f32],
    right: &[f32],
    sum: &mut [f32],
    pixels: usize,
    width: usize,
    first: usize,
) -> usize {
    let panel = W * S::F32_LANES;
    for (left, sum) in left.chunks_exact(R * pixels).zip(sum.chunks_exact_mut(R * width)) {
        let left: [&[f32]; R] = std::array::from_fn(|r| &left[r * pixels..(r + 1) * pixels]);
        let mut acc: [[S::f32s; W]; R] = std::array::from_fn(|r| rows::<S, W>(&sum[r * width + first..][..panel])[0]);
        for (p, right) in right.chunks_exact(width).enumerate().take(pixels) {
            let b = rows::<S, W>(&right[first..first + panel])[0];
            for r in 0..R {
                let a = simd.splat_f32s(left[r][p]);
                for w in 0..W {
                    acc[r][w] = mul_add(simd, a, b[w], acc[r][w]);
                }
            }
        }
        for r in 0..R {
            super::simd::rows_mut::<S, W>(&mut sum[r * width + first..][..panel])[0] = acc[r];
        }
    }
    W
}
