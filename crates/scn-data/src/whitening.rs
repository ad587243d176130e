//! Whitening of patches: their mean subtracted, their covariance brought to about the identity.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::error::DataError;

scn_keys::names! {
    /// How patches are whitened.
    pub enum WhiteningKind {
        /// Not: their mean is subtracted.
        None = "none",
        /// By the symmetric inverse root of their covariance: whitened patches look like patches (Bell & Sejnowski, 1997).
        Zca = "zca",
        /// By projection onto their principal components, each divided by its standard deviation.
        Pca = "pca",
        /// By filtering whole images with `f·exp(−(f/f₀)⁴)`, f₀ = 0.39 cycles a pixel (Olshausen & Field, 1997).
        Olshausen = "olshausen",
    }
}

/// QL iterations of all eigenvalues together; 30 for each are known to suffice by far.
const MAX_ITERATIONS: usize = 100_000;

/// The map `W(x − mean)` from patches of `m` values to whitened ones of `p`.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// `[m]`.
    pub mean: Vec<f32>,
    /// `W [p, m]`.
    pub matrix: Vec<f32>,
    /// `[m, p]`, with orthonormal columns: how whitened patches, and atoms, become images.
    pub basis: Vec<f32>,
}

impl Whitening {
    /// Fits `kind` to a sample of patches `[count, m]`. `epsilon` times the mean variance is added to each variance before
    /// it is divided by; `components` are the dimensions that [`WhiteningKind::Pca`] keeps, at most m.
    ///
    /// # Errors
    /// [`DataError::NoVariance`] where all patches are the same, [`DataError::Eigenvalues`].
    ///
    /// # Panics
    /// Where the sample is empty or has not whole patches.
    pub fn fit(
        kind: WhiteningKind,
        sample: &[f32],
        m: usize,
        epsilon: f64,
        components: Option<usize>,
    ) -> Result<Self, DataError> {
        assert!(
            m > 0 && !sample.is_empty() && sample.len().is_multiple_of(m),
            "a sample of patches"
        );
        let mean = mean(sample, m);
        let covariance = covariance(sample, &mean);
        let variance = covariance.trace() / m as f64;
        if !(variance > 0.0 && variance.is_finite()) {
            return Err(DataError::NoVariance { values: m });
        }
        let identity = DMatrix::<f64>::identity(m, m);
        let (matrix, basis) = match kind {
            WhiteningKind::None => (identity.clone(), identity),
            WhiteningKind::Olshausen => (&identity / variance.sqrt(), identity),
            WhiteningKind::Zca | WhiteningKind::Pca => {
                let (values, vectors) = principal_components(covariance)?;
                let kept = match kind {
                    WhiteningKind::Pca => components.unwrap_or(m).min(m),
                    WhiteningKind::Zca | WhiteningKind::None | WhiteningKind::Olshausen => m,
                };
                let vectors = vectors.columns(0, kept).into_owned();
                let inverse_root = |column: usize| 1.0 / (values[column].max(0.0) + epsilon * variance).sqrt();
                let divided = DMatrix::from_fn(m, kept, |row, column| vectors[(row, column)] * inverse_root(column));
                match kind {
                    WhiteningKind::Pca => (divided.transpose(), vectors),
                    WhiteningKind::Zca | WhiteningKind::None | WhiteningKind::Olshausen => {
                        (divided * vectors.transpose(), identity)
                    }
                }
            }
        };
        Ok(Self {
            mean: mean.iter().map(|&value| value as f32).collect(),
            matrix: row_major(&matrix),
            basis: row_major(&basis),
        })
    }

    /// Values `p` of a whitened patch.
    pub fn dimension(&self) -> usize {
        self.matrix.len() / self.mean.len()
    }
}

fn mean(sample: &[f32], m: usize) -> Vec<f64> {
    let mut mean = vec![0.0; m];
    for patch in sample.chunks_exact(m) {
        mean.iter_mut()
            .zip(patch)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let count = (sample.len() / m) as f64;
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}

fn covariance(sample: &[f32], mean: &[f64]) -> DMatrix<f64> {
    let m = mean.len();
    let mut sums = vec![0.0; m * m];
    let mut centred = vec![0.0; m];
    for patch in sample.chunks_exact(m) {
        for i in 0..m {
            centred[i] = f64::from(patch[i]) - mean[i];
        }
        for i in 0..m {
            let factor = centred[i];
            let row = &mut sums[i * m + i..(i + 1) * m];
            row.iter_mut()
                .zip(&centred[i..])
                .for_each(|(sum, value)| *sum += factor * value);
        }
    }
    let count = (sample.len() / m) as f64;
    DMatrix::from_fn(m, m, |row, column| sums[row.min(column) * m + row.max(column)] / count)
}

/// Variances and directions, the largest first.
fn principal_components(covariance: DMatrix<f64>) -> Result<(Vec<f64>, DMatrix<f64>), DataError> {
    let m = covariance.nrows();
    let decomposed = SymmetricEigen::try_new(covariance, f64::EPSILON, MAX_ITERATIONS);
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = decomposed.ok_or(DataError::Eigenvalues { values: m })?;
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    let values = order.iter().map(|&index| eigenvalues[index]).collect();
    Ok((values, eigenvectors.select_columns(&order)))
}

fn row_major(matrix: &DMatrix<f64>) -> Vec<f32> {
    matrix.transpose().iter().map(|&value| value as f32).collect()
}
