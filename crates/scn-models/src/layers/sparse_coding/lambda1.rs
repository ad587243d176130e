//! The `model.lambda1` table.

use serde::{Deserialize, Serialize};

/// The sparsity weight of the sparse-coding layers, `model.lambda1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lambda1Config {
    /// Its value before training. Default 0.
    pub initial: f64,
    /// One value per atom instead of one per layer. Default false.
    pub per_atom: bool,
    /// Whether training changes it. Default true.
    pub learned: bool,
}

impl Default for Lambda1Config {
    fn default() -> Self {
        Self {
            initial: 0.0,
            per_atom: false,
            learned: true,
        }
    }
}
