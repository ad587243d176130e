//! A whole experiment.

use scn_models::ModelConfig;
use serde::{Deserialize, Serialize};

use super::{DataConfig, RunConfig, TrainConfig};

/// What an experiment file says. [`Experiment::load`] returns it checked, with every default written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the folder of the run. Default: the name of the file without its extension.
    #[serde(default)]
    pub name: String,
    /// Seed of the initial weights, the order of the images, the augmentation and the validation split. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// The images.
    pub data: DataConfig,
    /// The network.
    pub model: ModelConfig,
    /// The training.
    #[serde(default)]
    pub train: TrainConfig,
    /// The machine and the files; changes no result but for rounding.
    #[serde(default)]
    pub run: RunConfig,
}
