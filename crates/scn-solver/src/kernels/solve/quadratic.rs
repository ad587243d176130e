//! `Q = DᵀD + diagonal·I` of a dictionary, and its largest eigenvalue.

use pulp::Simd;
use rayon::prelude::*;

use super::scaling::to_unit;
use crate::{SolverError, validation};

use crate::kernels::aligned::Aligned;
use crate::kernels::product::{Packed, product};
use crate::kernels::simd::{SimdLevel, TileTask, rows, rows_mut};

/// Steps of the power iteration for `λ_max(Q)`.
const POWER_ITERATIONS: usize = 40;
/// The power iteration approaches `λ_max` from below; FISTA's step needs an upper bound.
const LIPSCHITZ_MARGIN: f32 = 1.01;

/// `Q [n, n]`.
///
/// An atom whose squared norm, with the diagonal, is no normal f32 counts as zero: its row and column are, and its code
/// stays 0.
pub(crate) struct Quadratic {
    values: Vec<f32>,
    atoms: usize,
}

impl Quadratic {
    /// Of `weight [n, m]`, one atom a row; `diagonal` is λ₂ or the backward ridge on top of it.
    ///
    /// # Errors
    /// [`SolverError::NotFinite`] for NaN or infinity in `weight`, or in Q where finite atoms overflow.
    pub(crate) fn new(
        weight: &[f32],
        n: usize,
        m: usize,
        diagonal: f32,
        level: SimdLevel,
    ) -> Result<Self, SolverError> {
        let mut values = gram(weight, n, m, level);
        for j in 0..n {
            values[j * n + j] += diagonal;
        }
        if let Err(overflow) = validation::finite("quadratic", &values) {
            validation::finite("weight", weight)?;
            return Err(overflow);
        }
        for j in 0..n {
            if !values[j * n + j].is_normal() {
                for k in 0..n {
                    values[j * n + k] = 0.0;
                    values[k * n + j] = 0.0;
                }
            }
        }
        Ok(Self { values, atoms: n })
    }

    /// Atoms `n`.
    pub(crate) fn atoms(&self) -> usize {
        self.atoms
    }

    /// `Q_jk`.
    pub(crate) fn at(&self, j: usize, k: usize) -> f32 {
        self.values[j * self.atoms + k]
    }

    /// An upper estimate of `λ_max(Q)`, 1 for the zero matrix.
    ///
    /// # Errors
    /// [`SolverError::NotFinite`] where it overflows.
    pub(crate) fn lipschitz(&self) -> Result<f32, SolverError> {
        let largest = lipschitz(&self.values, self.atoms);
        validation::finite("largest eigenvalue", &[largest])?;
        Ok(largest)
    }
}

/// `DᵀD [n, n]` of a dictionary `weight [n, m]`: the tile product with atoms in the place of pixels.
fn gram(weight: &[f32], n: usize, m: usize, level: SimdLevel) -> Vec<f32> {
    let shape = level.shape();
    let packed = Packed::new(n, m, shape.block, |j, i| weight[j * m + i]);
    let mut gram = vec![0.0; n * n];
    // G is symmetric: a tile's columns are rows as well.
    gram.par_chunks_mut(shape.width * n.max(1))
        .enumerate()
        .for_each(|(tile, rows)| {
            level.run(GramRows {
                weight,
                packed: &packed,
                first: tile * shape.width,
                n,
                m,
                rows,
            })
        });
    gram
}

struct GramRows<'a> {
    weight: &'a [f32],
    packed: &'a Packed,
    first: usize,
    n: usize,
    m: usize,
    rows: &'a mut [f32],
}

impl TileTask for GramRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Self {
            weight,
            packed,
            first,
            n,
            m,
            rows: target,
        } = self;
        let width = V * S::F32_LANES;
        let atoms = target.len() / n;
        let mut transposed = Aligned::zeros(m * width);
        let mut block = Aligned::zeros(R * width);
        for j in 0..atoms {
            for i in 0..m {
                transposed[i * width + j] = weight[(first + j) * m + i];
            }
        }
        for top in (0..n).step_by(R) {
            let zero = [[simd.splat_f32s(0.0); V]; R];
            let sums = product(simd, packed.block::<R>(top / R), rows::<S, V>(&transposed), zero);
            rows_mut::<S, V>(&mut block).copy_from_slice(&sums);
            for (r, sums) in block.chunks_exact(width).enumerate().take(n - top) {
                for (row, &sum) in target.chunks_exact_mut(n).zip(sums) {
                    row[top + r] = sum;
                }
            }
        }
    }
}

/// An upper estimate of the largest eigenvalue of the symmetric, positive semidefinite `q [n, n]`; infinite where it
/// overflows.
fn lipschitz(q: &[f32], n: usize) -> f32 {
    // Scaled by a power of two, which changes no digit, so that no square overflows or vanishes.
    let largest = q.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    let [scale, inverse] = to_unit(largest);
    let q: Vec<f32> = q.iter().map(|value| scale * value).collect();
    let row_sums = || {
        q.chunks_exact(n.max(1))
            .map(|row| row.iter().map(|v| v.abs()).sum::<f32>())
    };
    let bound = row_sums().fold(0.0, f32::max);
    // Row sums favour the leading eigenvector, and are never orthogonal to it where Q ≥ 0.
    let mut vector: Vec<f32> = row_sums().collect();
    let mut largest = 0.0;
    for _ in 0..POWER_ITERATIONS {
        let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|v| *v /= norm);
        vector = q.chunks_exact(n).map(|row| dot(row, &vector)).collect();
        largest = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    }
    inverse * (LIPSCHITZ_MARGIN * largest).min(bound)
}

/// A dot product with independent partial sums, which the compiler turns into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
