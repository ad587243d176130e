//! The `run` table.

use scn_ops::DeviceRequest;
use serde::{Deserialize, Serialize};

/// Where the experiment runs and what it saves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The device. Default `auto`.
    pub device: DeviceRequest,
    /// Threads of the CPU kernels, 0 for one on each core. Default 0.
    pub threads: usize,
    /// Epochs between checkpoints; the last epoch always leaves one. Default 1.
    pub checkpoint_every: usize,
    /// Minutes after which a checkpoint is written inside an epoch too. Default 10.
    pub checkpoint_minutes: f64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            device: DeviceRequest::Auto,
            threads: 0,
            checkpoint_every: 1,
            checkpoint_minutes: 10.0,
        }
    }
}
