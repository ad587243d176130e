//! Vector operations `aᵀb`, `y ← y + a·x`, `‖a‖` and the products `Aa`, `Aᵀa` of row-major matrices.

use super::Scalar;

/// `aᵀb`.
pub(crate) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::ZERO, |sum, (&a, &b)| sum + a * b)
}

/// `y ← y + scale·x`.
pub(crate) fn add_scaled<T: Scalar>(y: &mut [T], scale: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += scale * x;
    }
}

/// The Euclidean norm, scaled so that squares neither overflow nor vanish; NaN stays NaN.
pub(crate) fn norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(0.0f64, |largest, value| largest.max(value.abs()));
    // An all-zero vector has nothing to scale by.
    let scale = if largest == 0.0 { 1.0 } else { largest };
    scale * values.map(|value| (value / scale).powi(2)).sum::<f64>().sqrt()
}

/// `result = A·a` for `A [rows, a.len()]`.
pub(crate) fn multiply<T: Scalar>(matrix: &[T], a: &[T], result: &mut [T]) {
    let columns = a.len();
    for (row, result) in result.iter_mut().enumerate() {
        *result = dot(&matrix[row * columns..(row + 1) * columns], a);
    }
}

/// `result = Aᵀ·a` for `A [a.len(), result.len()]`; rows of zero weight are skipped.
pub(crate) fn multiply_transposed<T: Scalar>(matrix: &[T], a: &[T], result: &mut [T]) {
    let columns = result.len();
    result.fill(T::ZERO);
    for (row, &a) in a.iter().enumerate() {
        if a != T::ZERO {
            add_scaled(result, a, &matrix[row * columns..(row + 1) * columns]);
        }
    }
}

/// Powers of two that take the largest of `sizes` to about 1 and back; both are 1 where it is 0. Multiplying by them
/// rounds nothing: a problem and its multiple by a power of two are solved by the same digits, and squares neither
/// overflow nor vanish.
pub(crate) fn to_unit<T: Scalar>(sizes: impl Iterator<Item = T>) -> [T; 2] {
    let largest = sizes.map(T::to_f64).fold(0.0, f64::max);
    if largest == 0.0 {
        return [T::from_f64(1.0); 2];
    }
    let exponent = (largest.log2().floor() as i32).clamp(-T::LARGEST_EXPONENT, T::LARGEST_EXPONENT);
    [-exponent, exponent].map(|exponent| T::from_f64(2.0f64.powi(exponent)))
}

/// `values ← factor·values`.
pub(crate) fn scale<T: Scalar>(values: &mut [T], factor: T) {
    for value in values {
        *value = factor * *value;
    }
}
