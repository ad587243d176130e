//! The `run` table.

use serde::{Deserialize, Serialize};

/// Where the experiment runs and what it saves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The device. Default `auto`.
    pub device: DeviceChoice,
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
            device: DeviceChoice::Auto,
            threads: 0,
            checkpoint_every: 1,
            checkpoint_minutes: 10.0,
        }
    }
}

/// A device by its name in experiment files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A GPU where there is one, the CPU otherwise.
    Auto,
    /// The CPU, with the kernels of this project.
    Cpu,
    /// A GPU through wgpu (Vulkan, Metal, DirectX 12).
    Wgpu,
    /// The CPU, with burn's ndarray backend.
    Ndarray,
}

impl DeviceChoice {
    /// Its name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Wgpu => "wgpu",
            DeviceChoice::Ndarray => "ndarray",
        }
    }
}
