//! The vector–Jacobian product of the non-negative elastic net by implicit differentiation of its optimality
//! conditions on the active set `Λ = {j : αⱼ > 0}` (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix B). With γ from
//!
//! `(Q_ΛΛ + ridge·I) γ_Λ = (∂L/∂α)_Λ`, `γ = 0` elsewhere,
//!
//! `∂L/∂x = Dγ` (eq. 17), `∂L/∂D = Σ (x − Dα)γᵀ − Dγαᵀ = Σ xγᵀ − D(γαᵀ + αγᵀ)` (eq. 11), `∂L/∂λ₁ = −Σ γ` (eq. 13,
//! per atom), and, differentiating eq. 7 by λ₂ in the same way, `∂L/∂λ₂ = −Σ αᵀγ`.

use super::vector::{add_scaled, dot, multiply, norm, scale, to_unit};
use super::{Dictionary, Scalar, Scratch};
use crate::{BackwardOptions, SolveInfo, SolverError, validation};

/// The gradients of a loss with respect to all that the codes of a batch depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct ImplicitGradients<T> {
    /// `∂L/∂x [p, m]`.
    pub x: Vec<T>,
    /// `∂L/∂D [m, n]`, summed over the problems.
    pub dictionary: Vec<T>,
    /// `∂L/∂λ₁ [n]`, summed over the problems; its sum is the gradient of one λ₁ for all atoms.
    pub lambda1: Vec<T>,
    /// `∂L/∂λ₂`, summed over the problems.
    pub lambda2: T,
}

/// The gradients for `x [p, m]`, the optimal `codes [p, n]` and `grad_codes = ∂L/∂α [p, n]`, with the sweeps and the
/// relative residual of each problem's linear system (SCN eqs. 11, 13 and 17).
///
/// Where `Q_ΛΛ + ridge·I` is singular the codes have no derivative; the sweeps then end at the cap, which the
/// residual shows.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in any argument; [`SolverError::Negative`] for codes, a ridge or a
/// tolerance below 0.
///
/// # Panics
/// Where the lengths do not fit the dictionary or one another.
pub fn implicit_gradients<T: Scalar>(
    dictionary: &Dictionary<T>,
    x: &[T],
    codes: &[T],
    grad_codes: &[T],
    options: &BackwardOptions,
    scratch: &mut Scratch<T>,
) -> Result<(ImplicitGradients<T>, Vec<SolveInfo>), SolverError> {
    let (m, n) = (dictionary.signal_length(), dictionary.atoms());
    let p = validation::problems(x.len(), codes.len(), m, n);
    dictionary.assert_length("grad_codes", grad_codes.len(), p * n);
    validate(x, codes, grad_codes, options)?;
    let mut gradients = Accumulator::new(dictionary);
    let mut grad_x = vec![T::ZERO; p * m];
    let infos = (0..p)
        .map(|problem| {
            let (signal, atoms) = (problem * m..(problem + 1) * m, problem * n..(problem + 1) * n);
            let (codes, grad_codes) = (&codes[atoms.clone()], &grad_codes[atoms]);
            gradients.add(
                &x[signal.clone()],
                codes,
                grad_codes,
                options,
                &mut grad_x[signal],
                scratch,
            )
        })
        .collect();
    let Accumulator {
        grad_dictionary,
        grad_lambda1,
        grad_lambda2,
        ..
    } = gradients;
    let gradients = ImplicitGradients {
        x: grad_x,
        dictionary: grad_dictionary,
        lambda1: grad_lambda1,
        lambda2: grad_lambda2,
    };
    Ok((gradients, infos))
}

/// The checks of [`implicit_gradients`] on values.
pub(crate) fn validate<T: Scalar>(
    x: &[T],
    codes: &[T],
    grad_codes: &[T],
    options: &BackwardOptions,
) -> Result<(), SolverError> {
    options.validate()?;
    validation::finite("ridge", &[T::from_f64(options.ridge)])?;
    validation::finite("x", x)?;
    validation::finite_and_nonnegative("codes", codes)?;
    validation::finite("grad_codes", grad_codes)
}

/// Sums over problems of the gradients with respect to what the problems share.
pub(crate) struct Accumulator<'a, T> {
    dictionary: &'a Dictionary<T>,
    misfit: Vec<T>,
    pub(crate) grad_dictionary: Vec<T>,
    pub(crate) grad_lambda1: Vec<T>,
    pub(crate) grad_lambda2: T,
}

impl<'a, T: Scalar> Accumulator<'a, T> {
    pub(crate) fn new(dictionary: &'a Dictionary<T>) -> Self {
        Self {
            dictionary,
            misfit: vec![T::ZERO; dictionary.signal_length()],
            grad_dictionary: vec![T::ZERO; dictionary.values().len()],
            grad_lambda1: vec![T::ZERO; dictionary.atoms()],
            grad_lambda2: T::ZERO,
        }
    }

    /// Adds the problem of `x [m]`, `codes [n]` and `grad_codes [n]` and writes its `grad_x [m]`.
    pub(crate) fn add(
        &mut self,
        x: &[T],
        codes: &[T],
        grad_codes: &[T],
        options: &BackwardOptions,
        grad_x: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> SolveInfo {
        let n = self.dictionary.atoms();
        self.dictionary.assert_length("scratch", scratch.next.len(), n);
        let Scratch {
            product: residual,
            next: gamma,
            ..
        } = scratch;
        let info = masked_gauss_seidel(self.dictionary, codes, grad_codes, options, gamma, residual);
        multiply(self.dictionary.values(), gamma, grad_x);
        multiply(self.dictionary.values(), codes, &mut self.misfit);
        for i in 0..x.len() {
            let row = &mut self.grad_dictionary[i * n..(i + 1) * n];
            add_scaled(row, x[i] - self.misfit[i], gamma);
            add_scaled(row, T::ZERO - grad_x[i], codes);
        }
        for (sum, &gamma) in self.grad_lambda1.iter_mut().zip(&*gamma) {
            *sum = *sum - gamma;
        }
        self.grad_lambda2 = self.grad_lambda2 - dot(codes, gamma);
        info
    }
}

/// Solves `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ`, `γ = 0` elsewhere, by Gauss–Seidel sweeps over `Λ = {j : codesⱼ > 0}` from
/// `γ = 0`, the right-hand side scaled to about 1; `residual` is working memory. A zero right-hand side takes no sweep.
fn masked_gauss_seidel<T: Scalar>(
    dictionary: &Dictionary<T>,
    codes: &[T],
    grad_codes: &[T],
    options: &BackwardOptions,
    gamma: &mut [T],
    residual: &mut [T],
) -> SolveInfo {
    let n = dictionary.atoms();
    let ridge = T::from_f64(options.ridge);
    let active = |j: usize| codes[j] > T::ZERO;
    let absolute = |value: T| if value < T::ZERO { T::ZERO - value } else { value };
    let [to_unit, back] = to_unit((0..n).filter(|&j| active(j)).map(|j| absolute(grad_codes[j])));
    let mask = |j: usize| if active(j) { to_unit * grad_codes[j] } else { T::ZERO };
    gamma.fill(T::ZERO);
    for j in 0..n {
        residual[j] = mask(j);
    }
    let right_side = norm(residual.iter().map(|value| value.to_f64()));
    if right_side == 0.0 {
        return SolveInfo {
            iterations: 0,
            residual: 0.0,
        };
    }
    let mut info = SolveInfo {
        iterations: 0,
        residual: 1.0,
    };
    while info.residual > options.tolerance && info.iterations < options.max_iterations {
        for j in (0..n).filter(|&j| active(j)) {
            let row = dictionary.quadratic_row(j);
            let diagonal = row[j] + ridge;
            if diagonal > T::ZERO {
                let change = residual[j] / diagonal;
                gamma[j] += change;
                add_scaled(residual, T::ZERO - change, row);
            }
        }
        // Afresh: the updates leave out the ridge, which no other row sees, and round.
        dictionary.multiply_quadratic(gamma, residual);
        for j in 0..n {
            residual[j] = if active(j) {
                mask(j) - residual[j] - ridge * gamma[j]
            } else {
                T::ZERO
            };
        }
        info.iterations += 1;
        info.residual = norm(residual.iter().map(|value| value.to_f64())) / right_side;
    }
    scale(gamma, back);
    info
}
