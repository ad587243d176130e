//! The nearest matrix with orthonormal rows: the polar factor `(XXᵀ)^(−½) X`, which is `ΦVΣ⁻¹Vᵀ` for the dictionary
//! `Φ = Xᵀ = UΣVᵀ` with atoms as columns. Without the last factor (Bowren, eq. 18) atoms are rotated into each other.
//!
//! By the Newton–Schulz iteration `X ← 3/2·X − 1/2·XXᵀX` (Björck & Bowie, 1971), which takes every singular value σ ≤ 1
//! monotonically to 1 and leaves the singular vectors: products alone, on any device. A step of training leaves a matrix
//! that a few rounds bring back, each of two products of the size of the dictionary, where an eigendecomposition
//! would be made on the host and lose small singular values to the squares in `XXᵀ`; those take a round for each factor
//! 3/2 that they are below 1 here.

use burn::tensor::Tensor;

/// Rounds go on until one began with `‖XXᵀ − I‖` (Frobenius) at most this: it ends with the square of it.
const SETTLED: f64 = 2e-3;
/// Enough for singular values as far apart as f32 tells.
const ROUNDS: usize = 60;

/// Of `value [n, …]`, a slice of the first dimension being a row, with no more rows than values in each. A value of lower
/// rank has no nearest one: what is missing of its rank stays 0; one that is 0 or not finite is returned as it is.
pub(crate) fn orthonormal_rows<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    let shape = value.dims();
    let largest = number(value.clone().abs().max());
    if largest == 0.0 || !largest.is_finite() {
        return value;
    }
    let rows: Tensor<2> = value.div_scalar(largest).reshape([shape[0] as i32, -1]);
    let gram = |rows: &Tensor<2>| rows.clone().matmul(rows.clone().transpose());
    // ‖X‖² is at most the largest row sum of |XXᵀ|.
    let bound = number(gram(&rows).abs().sum_dim(1).max());
    let mut rows = rows.div_scalar(bound.sqrt());
    let identity = Tensor::eye(shape[0], &rows.device());
    for _ in 0..ROUNDS {
        let gram = gram(&rows);
        let defect = number((gram.clone() - identity.clone()).powi_scalar(2).sum()).sqrt();
        rows = rows.clone() * 1.5 - gram.matmul(rows) * 0.5;
        if defect <= SETTLED || defect.is_nan() {
            break;
        }
    }
    rows.reshape(shape)
}

fn number(value: Tensor<1>) -> f64 {
    value.into_data().iter::<f64>().next().unwrap_or_default()
}
