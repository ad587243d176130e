//! The `train.optimizer` table: stochastic gradient descent as PyTorch's `SGD`.

use serde::{Deserialize, Serialize};

/// Stochastic gradient descent with momentum (dampening 0) and weight decay (added to the gradient).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The learning rate that the schedule starts from; the highest one of `one-cycle`. Default 0.1.
    pub learning_rate: f64,
    /// Default 0.9.
    pub momentum: f64,
    /// Nesterov's form of the momentum. Default false.
    pub nesterov: bool,
    /// Weight decay of convolutions, dictionaries and the classifier. Default 5e-4.
    pub weight_decay: f64,
    /// Whether the sparsity weights λ₁ decay too. Default true, as in the authors' program.
    pub decay_lambda1: bool,
    /// Whether the bias of the classifier decays too. Default true.
    pub decay_bias: bool,
    /// Whether scale and shift of batch norms decay too; those of an SCN have none. Default true.
    pub decay_norm: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 5e-4,
            decay_lambda1: true,
            decay_bias: true,
            decay_norm: true,
        }
    }
}
