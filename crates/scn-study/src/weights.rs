//! The weights that a study is given: a run, or one of its checkpoints.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use scn_interop::pytorch::Imported;
use scn_interop::tensors::{self, Arrays, to_safetensors};
use scn_models::{Model, ModelConfig};
use scn_train::checkpoint::{self, Checkpoint, Description, State};
use scn_train::{DataConfig, TestTime, Validation, holds_run};
use sha2::{Digest, Sha256};

use crate::StudyError;

/// The file of a checkpoint that says what its weights are of.
const DESCRIPTION: &str = "model.json";

/// A trained network and where it lies.
pub struct Trained {
    /// The folder of the checkpoint.
    pub path: PathBuf,
    /// What it holds.
    pub checkpoint: Checkpoint,
}

impl Trained {
    /// The checkpoint in `path`, or the best or newest good one of the run in `path`. Reading takes no lock.
    ///
    /// # Errors
    /// [`StudyError::NoWeights`], [`StudyError::NothingSaved`], [`StudyError::Checkpoint`].
    pub fn load(path: &Path) -> Result<Self, StudyError> {
        if !holds_run(path) {
            if path.join("manifest.json").exists() {
                return Ok(Self {
                    path: path.to_path_buf(),
                    checkpoint: Checkpoint::load(path)?,
                });
            }
            return Err(StudyError::NoWeights(path.to_path_buf()));
        }
        let folder = path.join("checkpoints");
        let Some(found) = checkpoint::preferred(&folder)? else {
            return Err(StudyError::NothingSaved(folder));
        };
        found.notices().for_each(|message| tracing::warn!("{message}"));
        Ok(Self {
            path: found.path,
            checkpoint: found.checkpoint,
        })
    }

    /// The network, for images `[c, h, w]`; `config` may differ from the checkpoint's in how the layers solve. What the
    /// description claims is held against the weights before anything is made of it.
    ///
    /// # Errors
    /// [`StudyError::Classes`], [`StudyError::Unfit`], [`StudyError::Train`].
    pub fn network(&self, config: &ModelConfig, image: [usize; 3], device: &Device) -> Result<Model, StudyError> {
        let classes = config
            .classes
            .unwrap_or_else(|| self.checkpoint.description.data.dataset.classes());
        self.check_classes(classes)?;
        let network = Model::empty(config, image, classes, device)?;
        tensors::into_module(network, &self.checkpoint.model).map_err(|error| StudyError::Unfit {
            path: self.path.clone(),
            error,
        })
    }

    /// Holds the classes that the description claims against the weights.
    fn check_classes(&self, claimed: usize) -> Result<(), StudyError> {
        let path = self.path.join(DESCRIPTION);
        let classifier = self.checkpoint.model.get("classifier.weight");
        match classifier.and_then(|array| array.shape.first()) {
            Some(&weights) if weights != claimed => Err(StudyError::Classes { path, claimed, weights }),
            // What is missing is named with all else that does not fit.
            _ => Ok(()),
        }
    }

    /// SHA-256 of the weights, as the checkpoint's manifest has it of `model.safetensors`, in hexadecimal digits.
    pub fn weights_sha256(&self) -> String {
        let digest = Sha256::digest(to_safetensors(&self.checkpoint.model));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The checkpoint of a network that was trained elsewhere, as if before its first step.
pub fn imported(network: Imported) -> Checkpoint {
    Checkpoint {
        model: network.weights,
        unaveraged: None,
        optimizer: Arrays::new(),
        state: State::start(),
        description: Description {
            model: network.model,
            data: DataConfig {
                validation: Validation::Images(0),
                divide: true,
                augment: network.augmentation,
                ..DataConfig::new(network.dataset)
            },
            seed: 0,
            normalization: network.normalization,
            test_time: TestTime::None,
        },
        origin: None,
    }
}
