//! Solves a batch of non-negative elastic nets that share a dictionary (SCN eq. 1) by the method asked for.

use super::coordinate_descent::coordinate_descent;
use super::fista::fista;
use super::vector::{scale, to_unit};
use super::{Dictionary, Scalar, Scratch};
use crate::{ForwardOptions, Method, SolveInfo, SolverError, validation};

/// Minimises `½‖x − Dα‖² + λ₁ᵀα + ½λ₂‖α‖²` over `α ≥ 0` (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1) for each
/// row of `x [p, m]`, writing `codes [p, n]`; `lambda1 [n]` holds one λ₁ per atom. Every problem starts at `α = 0`,
/// whatever `codes` held, and stops at `ρ ≤ options.tolerance` ([`Dictionary::kkt_residual`]) or at the cap.
///
/// Returns iterations and final ρ of each problem; `p` may be 0. A ρ of NaN reports that codes overflowed.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in `x`, `lambda1` or the tolerance, or in `b = Dᵀx − λ₁` where
/// finite numbers overflow; [`SolverError::Negative`] for λ₁ or a tolerance below 0.
///
/// # Panics
/// Where the lengths do not fit the dictionary.
pub fn solve<T: Scalar>(
    dictionary: &Dictionary<T>,
    lambda1: &[T],
    x: &[T],
    options: &ForwardOptions,
    codes: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<Vec<SolveInfo>, SolverError> {
    let (m, n) = (dictionary.signal_length(), dictionary.atoms());
    let p = validation::problems(x.len(), codes.len(), m, n);
    dictionary.assert_length("lambda1", lambda1.len(), n);
    validate(lambda1, x, options)?;
    (0..p)
        .map(|problem| {
            let codes = &mut codes[problem * n..(problem + 1) * n];
            solve_validated(
                dictionary,
                lambda1,
                &x[problem * m..(problem + 1) * m],
                options,
                codes,
                scratch,
            )
        })
        .collect()
}

/// The checks of [`solve`] on values.
pub(crate) fn validate<T: Scalar>(lambda1: &[T], x: &[T], options: &ForwardOptions) -> Result<(), SolverError> {
    validation::finite_and_nonnegative("lambda1", lambda1)?;
    options.validate()?;
    validation::finite("x", x)
}

/// One problem of [`solve`], `x [m]`, after [`validate`].
pub(crate) fn solve_validated<T: Scalar>(
    dictionary: &Dictionary<T>,
    lambda1: &[T],
    x: &[T],
    options: &ForwardOptions,
    codes: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<SolveInfo, SolverError> {
    dictionary.assert_length("scratch", scratch.linear.len(), dictionary.atoms());
    dictionary.linear_term(x, lambda1, &mut scratch.linear);
    validation::finite("linear term", &scratch.linear)?;
    // Codes are proportional to b, of which the positive values make them.
    let [to_unit, back] = to_unit(scratch.linear.iter().map(|b| b.positive_part()));
    scale(&mut scratch.linear, to_unit);
    let info = match options.method {
        Method::Fista => fista(dictionary, options, false, codes, scratch),
        Method::FistaRestart => fista(dictionary, options, true, codes, scratch),
        Method::CoordinateDescent => coordinate_descent(dictionary, options, codes, scratch),
    };
    scale(codes, back);
    Ok(info)
}
