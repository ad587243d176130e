//! Checkpoints: a folder with the model's weights, what training needs to go on, and a manifest with the size and
//! SHA-256 of each file.
//!
//! ```text
//! checkpoints/last/      the newest
//! checkpoints/previous/  the one before, for the case that `last` is damaged
//! checkpoints/best/      the best validation accuracy so far
//! checkpoints/damaged/   a `last` that resuming could not use
//!   model.safetensors    weights and running statistics, f32
//!   optimizer.safetensors  momentum buffers, flattened
//!   state.json           where training stands
//!   model.json           what the weights are of: enough to evaluate them
//!   manifest.json
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use scn_data::Normalization;
use scn_models::{ModelConfig, Network};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::optimizer::Sgd;
use crate::engine::statistics::Sums;
use crate::experiment::DataConfig;
use crate::runs::atomic::{remove_folder, sync_parent, write_folder_beside};
use crate::runs::exact;
use crate::tensors::{self, Arrays, TensorsError};

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const DESCRIPTION: &str = "model.json";
const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;

/// Where training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs that are done.
    pub epoch: usize,
    /// Batches of the next epoch that are done.
    pub batch: usize,
    /// Optimiser steps in all.
    pub step: usize,
    /// Seconds spent in training steps.
    #[serde(with = "exact")]
    pub seconds: f64,
    /// Images trained on.
    pub images: usize,
    /// Seconds of the unfinished epoch.
    #[serde(with = "exact")]
    pub epoch_seconds: f64,
    /// Sums of the unfinished epoch.
    pub sums: Sums,
    /// Training loss of the last whole epoch.
    #[serde(with = "exact::option")]
    pub train_loss: Option<f64>,
    /// Validation accuracy after the last whole epoch, in percent.
    #[serde(with = "exact::option")]
    pub validation_top1: Option<f64>,
    /// Best validation accuracy, in percent.
    #[serde(with = "exact::option")]
    pub best_top1: Option<f64>,
}

impl State {
    /// Before the first step.
    pub fn start() -> Self {
        Self {
            epoch: 0,
            batch: 0,
            step: 0,
            seconds: 0.0,
            images: 0,
            epoch_seconds: 0.0,
            sums: Sums::default(),
            train_loss: None,
            validation_top1: None,
            best_top1: None,
        }
    }
}

/// What the weights are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The model, with its defaults.
    pub model: ModelConfig,
    /// The data that it was trained on.
    pub data: DataConfig,
    /// Seed of the split.
    pub seed: u64,
    /// What the images were normalised with: evaluation needs no training images.
    pub normalization: Normalization,
}

/// Everything a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Weights and running statistics.
    pub model: Arrays,
    /// Momentum buffers.
    pub optimizer: Arrays,
    /// Where training stands.
    pub state: State,
    /// What the weights are of.
    pub description: Description,
}

/// Why a checkpoint cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system's error.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that is not what its manifest says.
    #[error("{path}: damaged: {found}, expected {expected}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// A file that cannot be understood.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No checkpoint of a run can be used.
    #[error("{folder}: none of its checkpoints can be used: {}; start a new run, or restore a checkpoint from a backup", .reasons.join("; "))]
    NoneUsable {
        /// The folder of checkpoints.
        folder: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, FileRecord>,
}

#[derive(Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

impl Checkpoint {
    /// Writes it to `path`, whole or not at all; a checkpoint that is there becomes `previous`, if given.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError> {
        let json = |value: Result<String, serde_json::Error>| {
            value
                .unwrap_or_else(|error| panic!("plain data serializes: {error}"))
                .into_bytes()
        };
        let mut files = vec![
            (MODEL, tensors::to_safetensors(&self.model)),
            (OPTIMIZER, tensors::to_safetensors(&self.optimizer)),
            (STATE, json(serde_json::to_string_pretty(&self.state))),
            (DESCRIPTION, json(serde_json::to_string_pretty(&self.description))),
        ];
        let records = files.iter().map(|(name, bytes)| {
            (
                name.to_string(),
                FileRecord {
                    bytes: bytes.len() as u64,
                    sha256: digest(bytes),
                },
            )
        });
        let manifest = Manifest {
            format: FORMAT,
            files: records.collect(),
        };
        files.push((MANIFEST, json(serde_json::to_string_pretty(&manifest))));
        let io = |action| {
            move |source| CheckpointError::Io {
                path: path.to_path_buf(),
                action,
                source,
            }
        };
        let temporary = write_folder_beside(path, &files).map_err(io("write the checkpoint"))?;
        if path.exists() {
            let retired = previous.map_or_else(|| path.with_extension("retired"), Path::to_path_buf);
            remove_folder(&retired).map_err(io("remove the checkpoint before the last"))?;
            fs::rename(path, &retired).map_err(io("set the old checkpoint aside"))?;
            fs::rename(&temporary, path).map_err(io("put the new checkpoint in place"))?;
            if previous.is_none() {
                remove_folder(&retired).map_err(io("remove the old checkpoint"))?;
            }
        } else {
            fs::rename(&temporary, path).map_err(io("put the new checkpoint in place"))?;
        }
        sync_parent(path).map_err(io("sync the folder"))
    }

    /// Reads and verifies the checkpoint in folder `path`.
    ///
    /// # Errors
    /// [`CheckpointError`] with the file that is missing, damaged or not understood.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        let manifest_path = path.join(MANIFEST);
        let manifest: Manifest = parse(&manifest_path, &read(&manifest_path)?)?;
        if manifest.format != FORMAT {
            let reason = format!("format {}, this program reads format {FORMAT}", manifest.format);
            return Err(CheckpointError::Content {
                path: manifest_path,
                reason,
            });
        }
        let verified = |name: &str| {
            let file = path.join(name);
            let Some(record) = manifest.files.get(name) else {
                return Err(CheckpointError::Content {
                    path: manifest_path.clone(),
                    reason: format!("no entry for {name}"),
                });
            };
            let bytes = read(&file)?;
            let damaged = |found: String, expected: String| {
                Err(CheckpointError::Damaged {
                    path: file.clone(),
                    found,
                    expected,
                })
            };
            if bytes.len() as u64 != record.bytes {
                return damaged(format!("{} bytes", bytes.len()), format!("{} bytes", record.bytes));
            }
            let found = digest(&bytes);
            if found != record.sha256 {
                return damaged(format!("SHA-256 {found}"), record.sha256.clone());
            }
            Ok((file, bytes))
        };
        let arrays = |name| -> Result<Arrays, CheckpointError> {
            let (path, bytes) = verified(name)?;
            tensors::from_safetensors(&bytes).map_err(|error: TensorsError| CheckpointError::Content {
                path,
                reason: error.to_string(),
            })
        };
        let (state_path, state) = verified(STATE)?;
        let (description_path, description) = verified(DESCRIPTION)?;
        Ok(Self {
            model: arrays(MODEL)?,
            optimizer: arrays(OPTIMIZER)?,
            state: parse(&state_path, &state)?,
            description: parse(&description_path, &description)?,
        })
    }
}

impl Checkpoint {
    /// Restores a model from the checkpoint, which was loaded from `path`.
    ///
    /// # Errors
    /// [`CheckpointError::Content`] where its tensors are not those of the model.
    pub fn restore_model<M: Module>(&self, path: &Path, model: M) -> Result<M, CheckpointError> {
        tensors::into_module(model, &self.model).map_err(unfit(path, MODEL))
    }

    /// As [`Checkpoint::restore_model`], for the momentum buffers of `model` on a device without autodiff.
    ///
    /// # Errors
    /// [`CheckpointError::Content`] where its tensors are not those of the model's parameters.
    pub fn restore_optimizer(
        &self,
        path: &Path,
        optimizer: &mut Sgd,
        model: &impl Network,
        device: &Device,
    ) -> Result<(), CheckpointError> {
        optimizer
            .restore(model, &model.roles(), &self.optimizer, device)
            .map_err(unfit(path, OPTIMIZER))
    }
}

fn unfit(path: &Path, file: &str) -> impl FnOnce(TensorsError) -> CheckpointError {
    let path = path.join(file);
    move |error| CheckpointError::Content {
        path,
        reason: error.to_string(),
    }
}

/// The names below `checkpoints`, in the order in which they are trusted.
pub const LAST: &str = "last";
/// See [`LAST`].
pub const PREVIOUS: &str = "previous";
/// See [`LAST`].
pub const BEST: &str = "best";
/// A [`LAST`] that could not be used; nothing reads it.
const DAMAGED: &str = "damaged";

/// The newest good checkpoint of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// [`LAST`], [`PREVIOUS`] or [`BEST`].
    pub name: &'static str,
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// What is wrong with each newer one.
    pub damaged: Vec<String>,
}

/// The newest good checkpoint below `folder`; `None` where nothing was saved yet.
///
/// # Errors
/// [`CheckpointError::NoneUsable`] where there are checkpoints but none is good.
pub fn newest(folder: &Path) -> Result<Option<Newest>, CheckpointError> {
    let mut reasons = Vec::new();
    for name in [LAST, PREVIOUS, BEST] {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        match Checkpoint::load(&path) {
            Ok(checkpoint) => {
                return Ok(Some(Newest {
                    name,
                    checkpoint,
                    damaged: reasons,
                }));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        return Ok(None);
    }
    Err(CheckpointError::NoneUsable {
        folder: folder.to_path_buf(),
        reasons,
    })
}

/// Renames a damaged `last`, so that the next save does not put it in the place of a good `previous`.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn set_aside(folder: &Path) -> Result<(), CheckpointError> {
    let (last, aside) = (folder.join(LAST), folder.join(DAMAGED));
    if !last.exists() {
        return Ok(());
    }
    let io = |source| CheckpointError::Io {
        path: last.clone(),
        action: "set the damaged checkpoint aside",
        source,
    };
    remove_folder(&aside).map_err(io)?;
    fs::rename(&last, &aside).map_err(io)?;
    sync_parent(&last).map_err(io)
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::Io {
        path: path.to_path_buf(),
        action: "read",
        source,
    })
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T, CheckpointError> {
    serde_json::from_slice(bytes).map_err(|error| CheckpointError::Content {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
