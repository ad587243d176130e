//! Orthonormal atoms that lower the surrogate: the orthogonal Procrustes problem.
//!
//! With `DDᵀ = I`, `Σ ‖x − Dᵀα‖² = Σ ‖x‖² + Σ ‖α‖² − 2·tr(D Bᵀ)` for `B = Σ αxᵀ`, which is least where D is the nearest
//! orthogonal matrix to B (Schönemann, Psychometrika 31, 1966). That matrix is the polar factor `U Vᵀ` of `B = U Σ Vᵀ`.
//! Bowren's eq. 18, `ΦVΣ⁻¹` for Φ = Bᵀ, lacks the last factor `Vᵀ`: it gives U, whose columns are not near those of Φ, so
//! that atoms would be rotated into each other at every step.
//!
//! What is orthogonal are the atoms, so that there can be no more of them than dimensions.

use nalgebra::{DMatrix, SymmetricEigen};

use super::surrogate::Surrogate;
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;

/// What the atoms so far count beside B, whose rows have this size on the average: an atom that no code uses stays as near
/// as it can to where it was. It is the minimiser of the surrogate plus so much of `‖D − D₀‖²`.
const PROXIMAL: f64 = 1e-4;
/// Eigenvalues below this part of the largest are rounding.
const SMALLEST: f64 = 1e-14;
const MAX_ITERATIONS: usize = 1_000_000;
/// Steps of Newton and Schulz, each of which squares the error, and where they end.
const POLISHING: usize = 30;
const POLISHED: f64 = 1e-12;

/// One step of the atoms.
///
/// # Errors
/// [`DictionaryError::Orthogonal`].
pub(crate) fn procrustes(dictionary: &mut Dictionary, surrogate: &Surrogate) -> Result<(), DictionaryError> {
    let (n, sums) = (dictionary.count(), &surrogate.signals);
    let size = sums.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / n as f64;
    let kept = PROXIMAL * size.sqrt();
    // Without codes nothing is asked for.
    if kept == 0.0 {
        return Ok(());
    }
    let target: Vec<f64> = sums
        .iter()
        .zip(&dictionary.atoms)
        .map(|(&sum, &atom)| f64::from(sum) + kept * f64::from(atom))
        .collect();
    dictionary.atoms = nearest_orthogonal(&target, n)?;
    Ok(())
}

/// The nearest matrix with orthonormal rows to `rows [n, p]`, `n ≤ p`: `(MMᵀ)^{-1/2} M`. A direction that M lacks is left
/// out, so that the rows of a matrix of lower rank are not all of norm 1.
///
/// # Errors
/// [`DictionaryError::Orthogonal`] for values that are not finite.
///
/// # Panics
/// Where the rows are not whole.
pub fn nearest_orthogonal(rows: &[f64], n: usize) -> Result<Vec<f32>, DictionaryError> {
    let p = rows.len() / n;
    assert_eq!(rows.len(), n * p, "{n} whole rows");
    let largest = rows.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if !largest.is_finite() || rows.iter().any(|value| value.is_nan()) {
        return Err(DictionaryError::Orthogonal(n));
    }
    let matrix = DMatrix::from_row_slice(n, p, rows) / largest.max(f64::MIN_POSITIVE);
    let decomposed = SymmetricEigen::try_new(&matrix * matrix.transpose(), f64::EPSILON, MAX_ITERATIONS);
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = decomposed.ok_or(DictionaryError::Orthogonal(n))?;
    let least = SMALLEST * eigenvalues.max();
    let scaled = DMatrix::from_fn(n, n, |row, column| match eigenvalues[column] {
        value if value > least => eigenvectors[(row, column)] / value.sqrt(),
        _ => 0.0,
    });
    let mut nearest = scaled * (eigenvectors.transpose() * matrix);
    for _ in 0..POLISHING {
        let gram = &nearest * nearest.transpose();
        // A singular value s becomes s·(3 − s²)/2; 0 stays 0.
        let error = (&gram * &gram - &gram).amax();
        if error <= POLISHED {
            break;
        }
        nearest = &nearest * 1.5 - gram * &nearest * 0.5;
    }
    Ok(nearest.transpose().iter().map(|&value| value as f32).collect())
}
