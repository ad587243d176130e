//! Checks of what enters a solve: numbers are finite, λ₁, λ₂, ridges, tolerances and codes are at least 0.

use crate::SolverError;
use crate::reference::Scalar;

/// Reports the first NaN or infinity of `values`.
pub(crate) fn finite<T: Scalar>(name: &'static str, values: &[T]) -> Result<(), SolverError> {
    match values.iter().position(|value| !value.to_f64().is_finite()) {
        Some(index) => Err(SolverError::NotFinite {
            name,
            index,
            value: values[index].to_f64(),
        }),
        None => Ok(()),
    }
}

/// Reports the first NaN, infinity or negative number of `values`.
pub(crate) fn finite_and_nonnegative<T: Scalar>(name: &'static str, values: &[T]) -> Result<(), SolverError> {
    finite(name, values)?;
    match values.iter().position(|value| *value < T::ZERO) {
        Some(index) => Err(SolverError::Negative {
            name,
            index,
            value: values[index].to_f64(),
        }),
        None => Ok(()),
    }
}

/// The number `p` of problems in `x [p, m]` and `codes [p, n]`.
///
/// # Panics
/// Where the two lengths belong to no common `p`.
pub(crate) fn problems(x: usize, codes: usize, m: usize, n: usize) -> usize {
    let p = x.checked_div(m).or(codes.checked_div(n)).unwrap_or(0);
    assert!(
        x == p * m && codes == p * n,
        "x has {x} and codes {codes} values, which are no [p, m] = [p, {m}] and [p, n] = [p, {n}] of one p"
    );
    p
}
