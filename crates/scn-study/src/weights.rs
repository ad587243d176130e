//! The weights that a study is given: a run, or one of its checkpoints.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use scn_data::DataError;
use scn_interop::pytorch::Imported;
use scn_interop::tensors::{self, Arrays, to_safetensors};
use scn_models::{Model, ModelConfig};
use scn_train::checkpoint::{self, BEST, Checkpoint, Description, LAST, State};
use scn_train::{DataConfig, Validation, holds_run};
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
        let chosen = match choose(&folder) {
            Ok(chosen) if chosen.passed_over.is_empty() => chosen,
            // A run that is training may have put another checkpoint in the place of the one that was being read.
            _ => choose(&folder)?,
        };
        chosen
            .passed_over
            .iter()
            .for_each(|message| tracing::warn!("{message}"));
        Ok(Self {
            path: chosen.path,
            checkpoint: chosen.checkpoint,
        })
    }

    /// The network, for images `[c, h, w]`; `config` may differ from the checkpoint's in how the layers solve. What the
    /// description claims is held against the weights before anything is made of it.
    ///
    /// # Errors
    /// [`StudyError::Classes`], [`StudyError::Images`], [`StudyError::Unfit`], [`StudyError::Train`].
    pub fn network(&self, config: &ModelConfig, image: [usize; 3], device: &Device) -> Result<Model, StudyError> {
        let classes = config
            .classes
            .unwrap_or_else(|| self.checkpoint.description.data.dataset.classes());
        self.check_claims(classes)?;
        let network = Model::empty(config, image, classes, device)?;
        tensors::into_module(network, &self.checkpoint.model).map_err(|error| StudyError::Unfit {
            path: self.path.clone(),
            error,
        })
    }

    /// Holds what the description says against weights and dataset.
    fn check_claims(&self, claimed: usize) -> Result<(), StudyError> {
        let path = self.path.join(DESCRIPTION);
        let classifier = self.checkpoint.model.get("classifier.weight");
        match classifier.and_then(|array| array.shape.first()) {
            Some(&weights) if weights != claimed => return Err(StudyError::Classes { path, claimed, weights }),
            // What is missing is named with all else that does not fit.
            _ => {}
        }
        let data = &self.checkpoint.description.data;
        let [_, height, width] = data.dataset.info().shape;
        match data.augment.crop {
            Some(crop) if crop == 0 || crop > height.min(width) => {
                let error = DataError::Crop { crop, height, width };
                Err(StudyError::Images { path, error })
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 of the weights, as the checkpoint's manifest has it of `model.safetensors`, in hexadecimal digits.
    pub fn weights_sha256(&self) -> String {
        let digest = Sha256::digest(to_safetensors(&self.checkpoint.model));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A checkpoint of a run.
struct Chosen {
    path: PathBuf,
    checkpoint: Checkpoint,
    /// What is wrong with those that would have been chosen before it.
    passed_over: Vec<String>,
}

/// The best or newest good checkpoint below `folder`.
fn choose(folder: &Path) -> Result<Chosen, StudyError> {
    let mut passed_over = Vec::new();
    let best = folder.join(BEST);
    if best.exists() {
        match Checkpoint::load(&best) {
            Ok(checkpoint) => {
                return Ok(Chosen {
                    path: best,
                    checkpoint,
                    passed_over,
                });
            }
            Err(error) => passed_over.push(format!("{error}; using checkpoints/{LAST} instead")),
        }
    }
    let Some(newest) = checkpoint::newest(folder)? else {
        return Err(StudyError::NothingSaved(folder.to_path_buf()));
    };
    let name = newest.name;
    let damaged = newest.damaged.into_iter();
    passed_over.extend(damaged.map(|message| format!("{message}; using checkpoints/{name} instead")));
    Ok(Chosen {
        path: folder.join(name),
        checkpoint: newest.checkpoint,
        passed_over,
    })
}

/// The checkpoint of a network that was trained elsewhere, as if before its first step.
pub fn imported(network: Imported) -> Checkpoint {
    Checkpoint {
        model: network.weights,
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
        },
    }
}
