//! The `train` table.

use serde::{Deserialize, Serialize};

use super::{OptimizerConfig, Schedule, ScheduleConfig};

/// How the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training set. Default 200.
    pub epochs: usize,
    /// Probability that the target moves from the label to all classes evenly. Default 0.
    pub label_smoothing: f64,
    /// Largest Euclidean norm of the gradient of all parameters. Default: not clipped.
    pub clip_norm: Option<f64>,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 200,
            label_smoothing: 0.0,
            clip_norm: None,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl TrainConfig {
    /// The learning rate of every step.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(&self.schedule, self.optimizer.learning_rate, self.epochs)
    }
}
