//! A whole experiment.

use scn_models::ModelConfig;

use super::{DataConfig, RunConfig, TrainConfig};

/// Longest name of a folder on common file systems, in bytes.
const MAX_NAME: usize = 255;

fn names_a_folder(name: &str) -> bool {
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
        /// The training.
        pub train: TrainConfig = table(),
        /// The machine and the files; changes no result but for rounding.
        pub run: RunConfig = table(),
    }
}
