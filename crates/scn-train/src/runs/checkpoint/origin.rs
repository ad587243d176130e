//! What a checkpoint was made with: going on with something else would train another network, or round otherwise.

use std::path::Path;

use scn_data::ImageSet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::content::{Checkpoint, Description};
use super::error::CheckpointError;
use super::files::hex;
use crate::experiment::Experiment;
use crate::runs::environment::Environment;

/// What a checkpoint was made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the program, which fixes those of its libraries.
    pub version: String,
    /// Commit that it was built from, where it was built in a checkout.
    pub commit: Option<String>,
    /// Device and driver.
    pub device: String,
    /// Level of the CPU kernels.
    pub simd: String,
    /// The images that are trained on.
    pub training: TrainingImages,
}

/// The identity of a training set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingImages {
    /// How many they are.
    pub images: usize,
    /// Of the shape, and of the label and the pixels of each image in turn.
    pub sha256: String,
}

impl TrainingImages {
    /// Of a set.
    pub fn of(set: &ImageSet) -> Self {
        let mut hash = Sha256::new();
        for length in set.shape() {
            hash.update((length as u64).to_le_bytes());
        }
        for position in 0..set.count() {
            hash.update(set.label(position).to_le_bytes());
            hash.update(set.image(position));
        }
        Self {
            images: set.count(),
            sha256: hex(&hash.finalize()),
        }
    }
}

impl Origin {
    /// What this process makes of these images.
    pub fn of(environment: &Environment, training: TrainingImages) -> Self {
        Self {
            version: environment.version.into(),
            commit: environment.commit.map(Into::into),
            device: environment.device.clone(),
            simd: environment.simd.into(),
            training,
        }
    }

    /// What may change the last bits of a result, was and is.
    fn rounding(&self, now: &Origin) -> Vec<String> {
        let program = |origin: &Origin| match &origin.commit {
            Some(commit) => format!("{} ({})", origin.version, commit.get(..10).unwrap_or(commit)),
            None => origin.version.clone(),
        };
        // The device's name ends with the level where the kernels compute.
        let device = |origin: &Origin| {
            let level = format!(", {}", origin.simd);
            origin
                .device
                .strip_suffix(level.as_str())
                .unwrap_or(&origin.device)
                .to_owned()
        };
        let facts = [
            ("program", program(self), program(now)),
            ("device", device(self), device(now)),
            ("SIMD level", self.simd.clone(), now.simd.clone()),
        ];
        let differing = facts.into_iter().filter(|(_, was, is)| was != is);
        differing
            .map(|(fact, was, is)| format!("{fact} was {was}, is {is}"))
            .collect()
    }
}

impl Origin {
    /// Whether going on with what is here continues what was begun in the checkpoint at `path`, of which this is the
    /// origin and whose experiment has these `differences`. Returns what may change the last bits only.
    ///
    /// # Errors
    /// [`CheckpointError::OtherTraining`] where the result would be another one's.
    pub fn compare(&self, path: &Path, differences: Vec<String>, now: &Origin) -> Result<Vec<String>, CheckpointError> {
        let other = |differences, advice| CheckpointError::OtherTraining {
            path: path.to_path_buf(),
            differences,
            advice,
        };
        if !differences.is_empty() {
            return Err(other(differences, "put this run's own checkpoint back"));
        }
        let (was, is) = (&self.training, &now.training);
        if was != is {
            let of = |training: &TrainingImages| {
                let short = training.sha256.get(..16).unwrap_or(&training.sha256);
                format!("{} (SHA-256 {short}…)", training.images)
            };
            let differences = vec![format!("the training images were {}, are {}", of(was), of(is))];
            return Err(other(differences, "bring the data back that it was trained on"));
        }
        Ok(self.rounding(now))
    }
}

impl Checkpoint {
    /// [`Origin::compare`] of training `experiment`. Nothing is compared where the checkpoint has no origin.
    ///
    /// # Errors
    /// [`CheckpointError::OtherTraining`] where the result would be another network's.
    pub(crate) fn compare(
        &self,
        path: &Path,
        experiment: &Experiment,
        now: &Origin,
    ) -> Result<Vec<String>, CheckpointError> {
        let Some(origin) = &self.origin else {
            return Ok(Vec::new());
        };
        let Description { model, data, seed, .. } = &self.description;
        let stored = Experiment {
            model: model.clone(),
            data: data.clone(),
            seed: *seed,
            ..experiment.clone()
        };
        let differences = stored.same_training(experiment).err().unwrap_or_default();
        origin.compare(path, differences, now)
    }
}
