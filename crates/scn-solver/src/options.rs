//! What a solve is asked for and what it reports.

use crate::{SolverError, validation};

/// The algorithm that minimises the non-negative elastic net (SCN eq. 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// FISTA (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A).
    Fista,
    /// FISTA with gradient restart per problem (O'Donoghue & Candès, 2015).
    FistaRestart,
    /// Cyclic coordinate descent (Gauss–Seidel).
    CoordinateDescent,
}

impl Method {
    /// Every method, in the order of their documentation.
    pub const ALL: [Method; 3] = [Method::CoordinateDescent, Method::Fista, Method::FistaRestart];

    /// The name in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Fista => "fista",
            Method::FistaRestart => "fista-restart",
            Method::CoordinateDescent => "coordinate-descent",
        }
    }
}

/// When the forward solve stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForwardOptions {
    /// The algorithm.
    pub method: Method,
    /// Stop once the relative natural residual ρ of the KKT conditions is at most this.
    pub tolerance: f64,
    /// The cap: FISTA iterations or coordinate-descent sweeps.
    pub max_iterations: usize,
}

impl ForwardOptions {
    /// # Errors
    /// [`SolverError::NotFinite`] and [`SolverError::Negative`] for a tolerance that is no finite number of at least 0.
    pub fn validate(&self) -> Result<(), SolverError> {
        validation::finite_and_nonnegative("tolerance", &[self.tolerance])
    }
}

/// How the implicit backward system `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ` is solved.
///
/// The CPU kernels factorise it, pixel by pixel, where at most 160 atoms are active and the matrix is regular, and refine the
/// solution once where its residual is above the tolerance (or k·ε, if that is more, for k active atoms). The cap is that of
/// the sweeps that solve what is not accurate then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackwardOptions {
    /// Added to the diagonal. The authors' program uses 1e-6; 0 is exact wherever `Q_ΛΛ` is regular.
    pub ridge: f64,
    /// Stop once `‖g_Λ − (Q_ΛΛ + ridge·I) γ_Λ‖ ≤ tolerance · ‖g_Λ‖`.
    pub tolerance: f64,
    /// The cap on masked Gauss–Seidel sweeps.
    pub max_iterations: usize,
}

impl BackwardOptions {
    /// # Errors
    /// [`SolverError::NotFinite`] and [`SolverError::Negative`] for a ridge or a tolerance that is no finite number of at
    /// least 0.
    pub fn validate(&self) -> Result<(), SolverError> {
        validation::finite_and_nonnegative("ridge", &[self.ridge])?;
        validation::finite_and_nonnegative("tolerance", &[self.tolerance])
    }
}

/// Everything a sparse-coding layer's solves depend on besides tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverOptions {
    /// The ridge λ₂ of SCN eq. 1.
    pub lambda2: f64,
    /// The forward solve.
    pub forward: ForwardOptions,
    /// The backward solve.
    pub backward: BackwardOptions,
}

impl SolverOptions {
    /// The checks that every solve makes of its options.
    ///
    /// # Errors
    /// [`SolverError::NotFinite`] and [`SolverError::Negative`] for λ₂, the ridge or a tolerance that is no finite number
    /// of at least 0.
    pub fn validate(&self) -> Result<(), SolverError> {
        self.validate_lambda2()?;
        self.forward.validate()?;
        self.backward.validate()
    }

    pub(crate) fn validate_lambda2(&self) -> Result<(), SolverError> {
        validation::finite_and_nonnegative("lambda2", &[self.lambda2])
    }
}

impl Default for SolverOptions {
    /// Coordinate descent to ρ ≤ 1e-4, λ₂ = 0 and the authors' backward ridge.
    fn default() -> Self {
        Self {
            lambda2: 0.0,
            forward: ForwardOptions {
                method: Method::CoordinateDescent,
                tolerance: 1e-4,
                max_iterations: 50,
            },
            backward: BackwardOptions {
                ridge: 1e-6,
                tolerance: 1e-4,
                max_iterations: 50,
            },
        }
    }
}

/// What one solve reports: the certificate and its price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolveInfo {
    /// FISTA iterations or sweeps spent. Of a system that the kernels factorised: 0, or 1 where the solution was refined.
    pub iterations: usize,
    /// Forward: the relative natural residual ρ of the KKT conditions. Backward: the relative residual of the system.
    pub residual: f64,
}

impl SolveInfo {
    /// Whether the solve used up its iterations with a residual above the tolerance.
    pub fn ended_at_cap(&self, max_iterations: usize, tolerance: f64) -> bool {
        self.iterations >= max_iterations && self.residual > tolerance
    }
}
