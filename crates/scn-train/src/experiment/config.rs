//! A whole experiment.

use std::path::Path;

use scn_models::ModelConfig;

use super::{DataConfig, ExperimentError, ExperimentFile, FirstLayerConfig, Loaded, RunConfig, TrainConfig};

/// Longest name of a folder on common file systems, in bytes.
const MAX_NAME: usize = 255;

/// Whether a folder can have this name on common systems.
pub fn names_a_folder(name: &str) -> bool {
    !["", ".", ".."].contains(&name)
        && name.len() <= MAX_NAME
        && name.trim() == name
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

scn_keys::required_table! {
    /// What an experiment file says. [`Experiment::load`] returns it checked, with every default written out.
    pub struct Experiment {
        /// Names the folder of the run.
        pub name: String = derived(String::new(), "the name of the file")
            .within(range("a name without slashes, fit for a folder", |name: &String| names_a_folder(name))),
        /// Seed of the initial weights, the order of the images, the augmentation and the validation split.
        pub seed: u64 = default(0).within(whole(0, i64::MAX as u64)),
        /// The images.
        pub data: DataConfig = required(),
        /// The network.
        pub model: ModelConfig = required(),
        /// What the first layer starts from.
        pub first_layer: FirstLayerConfig = table(),
        /// The training.
        pub train: TrainConfig = table(),
        /// The machine, the files and the test; all but the last change no result but for rounding.
        pub run: RunConfig = table(),
    }
}

/// The functions of [`ExperimentFile`], which need no import here.
impl Experiment {
    /// [`ExperimentFile::load`].
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn load(path: &Path, overrides: &[String]) -> Result<Loaded, ExperimentError> {
        <Self as ExperimentFile>::load(path, overrides)
    }

    /// [`ExperimentFile::load_started`].
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn load_started(path: &Path, overrides: &[String]) -> Result<Loaded, ExperimentError> {
        <Self as ExperimentFile>::load_started(path, overrides)
    }

    /// [`ExperimentFile::validate`].
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn validate(&self) -> Result<(), ExperimentError> {
        ExperimentFile::validate(self)
    }

    /// [`resolved_toml`](super::resolved_toml).
    pub fn resolved_toml(&self) -> String {
        super::resolved_toml(self)
    }

    /// [`same_training`](super::same_training).
    ///
    /// # Errors
    /// One line `key was …, is …` for each difference.
    pub fn same_training(&self, other: &Experiment) -> Result<(), Vec<String>> {
        super::same_training(self, other)
    }
}
