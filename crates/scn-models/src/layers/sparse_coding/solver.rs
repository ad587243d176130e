//! The `model.solver` table.

use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};
use serde::{Deserialize, Serialize};

/// The solver of the sparse-coding layers, `model.solver`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// `coordinate-descent` (default), `fista` or `fista-restart`.
    #[serde(with = "method")]
    pub method: Method,
    /// A pixel's solve stops at a relative KKT residual ρ of at most this. Default 1e-4.
    pub tolerance: f64,
    /// The cap: sweeps or FISTA iterations. Default 50.
    pub max_iterations: usize,
    /// λ₂ of SCN eq. 1. Default 0.
    pub lambda2: f64,
    /// Ridge of the backward system. Default 1e-6, as in the authors' program.
    pub backward_ridge: f64,
    /// Relative residual at which the backward solve stops. Default 1e-4.
    pub backward_tolerance: f64,
    /// The cap on backward sweeps. Default 50.
    pub backward_max_iterations: usize,
}

impl Default for SolverConfig {
    fn default() -> Self {
        let SolverOptions {
            lambda2,
            forward,
            backward,
        } = SolverOptions::default();
        Self {
            method: forward.method,
            tolerance: forward.tolerance,
            max_iterations: forward.max_iterations,
            lambda2,
            backward_ridge: backward.ridge,
            backward_tolerance: backward.tolerance,
            backward_max_iterations: backward.max_iterations,
        }
    }
}

impl SolverConfig {
    /// As the solver crate takes it.
    pub fn options(&self) -> SolverOptions {
        SolverOptions {
            lambda2: self.lambda2,
            forward: ForwardOptions {
                method: self.method,
                tolerance: self.tolerance,
                max_iterations: self.max_iterations,
            },
            backward: BackwardOptions {
                ridge: self.backward_ridge,
                tolerance: self.backward_tolerance,
                max_iterations: self.backward_max_iterations,
            },
        }
    }
}

mod method {
    //! [`Method`] by its name.

    use scn_solver::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        const NAMES: [&str; 3] = ["coordinate-descent", "fista", "fista-restart"];
        let name = String::deserialize(deserializer)?;
        Method::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}
