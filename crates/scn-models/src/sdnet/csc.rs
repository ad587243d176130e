//! The `model.csc` table.

use serde::{Deserialize, Serialize};

/// The convolutional sparse-coding layer, `model.csc`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CscConfig {
    /// The weight λ of the 1-norm. Default 0.1.
    pub lambda: f64,
    /// Steps of FISTA. Default 2.
    pub steps: usize,
    /// The ridge μ. Default 0.
    pub mu: f64,
    /// Whether codes are non-negative. Default true.
    pub non_negative: bool,
    /// Solve to convergence, whatever `steps` says, and differentiate the solution. Default: no.
    pub implicit: Option<ImplicitConfig>,
}

/// Implicit differentiation, `model.csc.implicit`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImplicitConfig {
    /// Where the solves stop, forward and backward. Default 1e-4.
    pub tolerance: f64,
    /// The cap on their iterations. Default 500.
    pub max_iterations: usize,
}

impl Default for ImplicitConfig {
    fn default() -> Self {
        Self {
            tolerance: 1e-4,
            max_iterations: 500,
        }
    }
}

impl Default for CscConfig {
    fn default() -> Self {
        Self {
            lambda: 0.1,
            steps: 2,
            mu: 0.0,
            non_negative: true,
            implicit: None,
        }
    }
}
