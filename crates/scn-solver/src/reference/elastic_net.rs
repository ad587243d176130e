//! The non-negative elastic net with a shared dictionary (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1),
//!
//! `α* = argmin_{α ≥ 0} ½‖x − Dα‖² + λ₁ᵀα + ½λ₂‖α‖²`,
//!
//! and its optimality certificate. With `Q = DᵀD + λ₂I` and `b = Dᵀx − λ₁` the gradient is `∇ = Qα − b`, and the
//! optimality conditions (eqs. 3 and 4) read `∇ⱼ = 0` where `αⱼ > 0` and `∇ⱼ ≥ 0` where `αⱼ = 0`, or in one line
//! `α = max(0, α − ∇/L)` with `L = λ_max(Q)`.

use super::Scalar;
use super::vector::{add_scaled, multiply_transposed, norm};
use crate::{SolverError, validation};

/// Squarings of Q in the bound of its largest eigenvalue: the bound is at most `n^(1/2¹¹)·λ_max` (0.3 % at n = 256).
const SQUARINGS: i32 = 10;

/// A dictionary `D [m, n]` and the ridge λ₂ with all that the solvers need of them.
#[derive(Clone, Debug)]
pub struct Dictionary<T> {
    m: usize,
    n: usize,
    atoms: Vec<T>,
    lambda2: T,
    quadratic: Vec<T>,
    lipschitz: T,
}

impl<T: Scalar> Dictionary<T> {
    /// Computes `Q = DᵀD + λ₂I` and `L` for `D [m, n]`, row-major (column `j` is atom `j`).
    ///
    /// # Errors
    /// [`SolverError::NotFinite`] for NaN or infinity in `dictionary` or `lambda2`, or in `Q` or its largest eigenvalue
    /// where finite atoms overflow; [`SolverError::Negative`] for `lambda2 < 0`.
    ///
    /// # Panics
    /// Where `dictionary` does not hold `m·n` values.
    pub fn new(dictionary: &[T], [m, n]: [usize; 2], lambda2: f64) -> Result<Self, SolverError> {
        assert_eq!(
            dictionary.len(),
            m * n,
            "the dictionary has {} values, not [m, n] = [{m}, {n}]",
            dictionary.len()
        );
        validation::finite("dictionary", dictionary)?;
        validation::finite_and_nonnegative("lambda2", &[lambda2])?;
        let lambda2 = T::from_f64(lambda2);
        let mut quadratic = vec![T::ZERO; n * n];
        for i in 0..m {
            let row = &dictionary[i * n..(i + 1) * n];
            for j in 0..n {
                add_scaled(&mut quadratic[j * n..(j + 1) * n], row[j], row);
            }
        }
        for j in 0..n {
            quadratic[j * n + j] += lambda2;
        }
        validation::finite("quadratic", &quadratic)?;
        let lipschitz = largest_eigenvalue(&quadratic, n);
        validation::finite("largest eigenvalue", &[lipschitz])?;
        Ok(Self {
            m,
            n,
            atoms: dictionary.to_vec(),
            lambda2,
            quadratic,
            lipschitz,
        })
    }

    /// Length `m` of a signal.
    pub fn signal_length(&self) -> usize {
        self.m
    }

    /// Number `n` of atoms, the length of a code.
    pub fn atoms(&self) -> usize {
        self.n
    }

    /// `D [m, n]`, row-major.
    pub fn values(&self) -> &[T] {
        &self.atoms
    }

    /// The ridge λ₂.
    pub fn lambda2(&self) -> T {
        self.lambda2
    }

    /// `Q = DᵀD + λ₂I [n, n]`.
    pub fn quadratic(&self) -> &[T] {
        &self.quadratic
    }

    /// `L`: the largest eigenvalue of `Q`, exceeded by at most a factor `n^(1/2¹¹)` and never undercut by more than
    /// rounding; 0 only for `Q = 0`.
    pub fn lipschitz(&self) -> T {
        self.lipschitz
    }

    /// Writes `b = Dᵀx − λ₁ [n]` for `x [m]` and `lambda1 [n]`.
    ///
    /// # Panics
    /// Where a slice has another length.
    pub fn linear_term(&self, x: &[T], lambda1: &[T], b: &mut [T]) {
        self.assert_length("x", x.len(), self.m);
        self.assert_length("lambda1", lambda1.len(), self.n);
        self.assert_length("b", b.len(), self.n);
        multiply_transposed(&self.atoms, x, b);
        for (b, &lambda1) in b.iter_mut().zip(lambda1) {
            *b = *b - lambda1;
        }
    }

    /// The value `½‖x − Dα‖² + λ₁ᵀα + ½λ₂‖α‖²` (SCN eq. 1), summed in double precision, for `x [m]`,
    /// `lambda1 [n]` and `codes [n]`.
    ///
    /// # Panics
    /// Where a slice has another length.
    pub fn objective(&self, x: &[T], lambda1: &[T], codes: &[T]) -> f64 {
        self.assert_length("x", x.len(), self.m);
        self.assert_length("lambda1", lambda1.len(), self.n);
        self.assert_length("codes", codes.len(), self.n);
        let product = |a: &[T], b: &[T]| a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum::<f64>();
        let mut misfit = 0.0;
        for i in 0..self.m {
            misfit += (x[i].to_f64() - product(&self.atoms[i * self.n..(i + 1) * self.n], codes)).powi(2);
        }
        0.5 * misfit + product(lambda1, codes) + 0.5 * self.lambda2.to_f64() * product(codes, codes)
    }

    /// The relative natural residual `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖` of the optimality conditions (SCN eqs. 3
    /// and 4) for `b [n]` and `codes [n]`, `α ≥ 0`.
    ///
    /// ρ is 0 exactly at an optimum, also where the optimum is `α = 0`; at an `α = 0` that is not optimal it is
    /// infinite, so that no tolerance accepts it.
    ///
    /// # Panics
    /// Where a slice has another length.
    pub fn kkt_residual(&self, b: &[T], codes: &[T]) -> f64 {
        self.assert_length("b", b.len(), self.n);
        self.assert_length("codes", codes.len(), self.n);
        let mut quadratic_codes = vec![T::ZERO; self.n];
        self.multiply_quadratic(codes, &mut quadratic_codes);
        self.natural_residual(b, codes, &quadratic_codes)
    }

    /// [`Self::kkt_residual`] where `Qα` is known.
    pub(crate) fn natural_residual(&self, b: &[T], codes: &[T], quadratic_codes: &[T]) -> f64 {
        let lipschitz = self.step_bound().to_f64();
        let gap = norm((0..self.n).map(|j| {
            let alpha = codes[j].to_f64();
            let step = (quadratic_codes[j].to_f64() - b[j].to_f64()) / lipschitz;
            // α − max(0, α − ∇/L) = min(α, ∇/L), here without the cancellation; a NaN step stays NaN.
            if alpha < step { alpha } else { step }
        }));
        let size = norm(codes.iter().map(|alpha| alpha.to_f64()));
        // At α = 0 the quotient of a positive gap is infinite.
        if gap == 0.0 { 0.0 } else { gap / size }
    }

    /// `result = Qα`.
    pub(crate) fn multiply_quadratic(&self, codes: &[T], result: &mut [T]) {
        multiply_transposed(&self.quadratic, codes, result);
    }

    /// Row `j` of `Q`, which is also its column `j`.
    pub(crate) fn quadratic_row(&self, j: usize) -> &[T] {
        &self.quadratic[j * self.n..(j + 1) * self.n]
    }

    /// `L`, or 1 for `Q = 0`, where every step length is as good.
    pub(crate) fn step_bound(&self) -> T {
        if self.lipschitz > T::ZERO {
            self.lipschitz
        } else {
            T::from_f64(1.0)
        }
    }

    pub(crate) fn assert_length(&self, name: &str, length: usize, expected: usize) {
        assert_eq!(
            length, expected,
            "{name} has {length} values, not {expected}: the dictionary is [m, n] = [{}, {}]",
            self.m, self.n
        );
    }
}

/// The bound `λ_max(Q) ≤ ‖Q^(2^k)‖_F^(1/2^k) ≤ n^(1/2^(k+1))·λ_max(Q)` for symmetric positive semidefinite
/// `Q [n, n]`, k = [`SQUARINGS`]. Unlike power iteration on a vector it has no starting vector that could be
/// orthogonal to the eigenvector sought, and never ends below the eigenvalue.
fn largest_eigenvalue<T: Scalar>(quadratic: &[T], n: usize) -> T {
    let mut power: Vec<f64> = quadratic.iter().map(|value| value.to_f64()).collect();
    let normalise = |matrix: &mut [f64]| {
        let norm = norm(matrix.iter().copied());
        matrix.iter_mut().for_each(|value| *value /= norm);
        norm
    };
    if power.iter().all(|&value| value == 0.0) {
        return T::ZERO;
    }
    let mut bound = normalise(&mut power);
    let mut square = vec![0.0; n * n];
    for squaring in 1..=SQUARINGS {
        for j in 0..n {
            multiply_transposed(&power, &power[j * n..(j + 1) * n], &mut square[j * n..(j + 1) * n]);
        }
        bound *= normalise(&mut square).powf(0.5f64.powi(squaring));
        std::mem::swap(&mut power, &mut square);
    }
    T::from_f64(bound * (1.0 + T::EPSILON))
}
