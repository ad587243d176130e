//! What a checkpoint holds.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use scn_data::Normalization;
use scn_models::{ModelConfig, Network};
use serde::{Deserialize, Serialize};

use super::choice::{Position, Stored};
use super::error::CheckpointError;
use super::files::{Files, json, read_files, write_files};
use super::origin::Origin;
use crate::engine::optimizer::Optimizer;
use crate::engine::statistics::Sums;
use crate::experiment::{DataConfig, TestTime};
use crate::runs::exact;
use crate::tensors::{self, Arrays, TensorsError};

const MODEL: &str = "model.safetensors";
const UNAVERAGED: &str = "unaveraged.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const DESCRIPTION: &str = "model.json";
const ORIGIN: &str = "origin.json";

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

    /// How far training is.
    pub(crate) fn position(&self) -> Position {
        Position {
            epochs: self.epoch,
            batches: self.batch,
            steps: self.step,
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
    /// How it is tested; older checkpoints do not say, and were tested without views.
    #[serde(default, skip_serializing_if = "TestTime::is_none")]
    pub test_time: TestTime,
}

/// Everything a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Weights and running statistics, as they are evaluated: averaged ones in training with an average.
    pub model: Arrays,
    /// In training with an average: those that the optimiser goes on from.
    pub unaveraged: Option<Arrays>,
    /// Momentum buffers.
    pub optimizer: Arrays,
    /// Where training stands.
    pub state: State,
    /// What the weights are of.
    pub description: Description,
    /// What they were made with, where that is known.
    pub origin: Option<Origin>,
}

/// Largest batch that a run can have had.
const MAX_BATCH: usize = 1_000_000;

impl Description {
    /// Refuses what no run can have written, before anything is allocated for it.
    pub(super) fn check(&self) -> Result<(), String> {
        self.model.check().map_err(|error| format!("model.{error}"))?;
        let data = &self.data;
        let (dataset, [channels, height, width]) = (data.dataset, data.dataset.info().shape);
        let side = height.min(width);
        if let Some(crop) = data.augment.crop.filter(|crop| !(1..=side).contains(crop)) {
            return Err(format!(
                "claims crops of {crop}×{crop} pixels: the images of {dataset} are {height}×{width}"
            ));
        }
        let claimed = self.normalization.shape();
        if claimed != [channels, height, width] {
            return Err(format!(
                "claims statistics of images {claimed:?}: those of {dataset} are [{channels}, {height}, {width}]"
            ));
        }
        let batch = data.batch_size;
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(format!("claims batches of {batch} images: expected 1 to {MAX_BATCH}"));
        }
        Ok(())
    }
}

impl Stored for Checkpoint {
    fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError> {
        let mut files = vec![
            (MODEL, tensors::to_safetensors(&self.model)),
            (OPTIMIZER, tensors::to_safetensors(&self.optimizer)),
            (STATE, json(&self.state)),
            (DESCRIPTION, json(&self.description)),
        ];
        files.extend(
            self.unaveraged
                .as_ref()
                .map(|arrays| (UNAVERAGED, tensors::to_safetensors(arrays))),
        );
        files.extend(self.origin.as_ref().map(|origin| (ORIGIN, json(origin))));
        write_files(path, previous, files)
    }

    fn load(path: &Path) -> Result<Self, CheckpointError> {
        read_files(path, |files| {
            let description: Description = files.parsed(DESCRIPTION)?;
            description
                .check()
                .map_err(|reason| files.content(DESCRIPTION, reason))?;
            let origin = match files.has(ORIGIN) {
                true => Some(files.parsed::<Origin>(ORIGIN)?),
                false => None,
            };
            // Older checkpoints have none, and neither have those of training without an average.
            let unaveraged = match files.has(UNAVERAGED) {
                true => Some(files.arrays(UNAVERAGED)?),
                false => None,
            };
            Ok(Self {
                model: files.arrays(MODEL)?,
                unaveraged,
                optimizer: files.arrays(OPTIMIZER)?,
                state: files.parsed(STATE)?,
                description,
                origin,
            })
        })
    }

    fn steps(path: &Path) -> Result<usize, CheckpointError> {
        read_files(path, |files| files.parsed::<State>(STATE)).map(|state| state.step)
    }

    fn position(&self) -> Position {
        self.state.position()
    }
}

/// SHA-256 of the weights of the checkpoint in folder `path` in hexadecimal digits, as its manifest says; the weights are
/// not read.
///
/// # Errors
/// [`CheckpointError`] where there is no manifest, or none that can be understood.
pub fn weights_sha256(path: &Path) -> Result<String, CheckpointError> {
    Files::open(path)?.sha256(MODEL).map(str::to_owned)
}

impl Checkpoint {
    /// [`Stored::save`], which needs no import here.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError> {
        Stored::save(self, path, previous)
    }

    /// [`Stored::load`], which needs no import here.
    ///
    /// # Errors
    /// [`CheckpointError`] with the file that is missing, damaged, not readable or not understood.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        <Self as Stored>::load(path)
    }

    /// Restores a model from the checkpoint, which was loaded from `path`.
    ///
    /// # Errors
    /// [`CheckpointError::Content`] where its tensors are not those of the model.
    pub fn restore_model<M: Module>(&self, path: &Path, model: M) -> Result<M, CheckpointError> {
        tensors::into_module(model, &self.model).map_err(unfit(path, MODEL))
    }

    /// As [`Checkpoint::restore_model`], of the weights that training goes on from; `averaged` says whether it is training
    /// with an average, whose [`Checkpoint::model`] is another one.
    ///
    /// # Errors
    /// [`CheckpointError::Content`] where they are missing, unexpected, or not those of the model.
    pub fn restore_training<M: Module>(&self, path: &Path, model: M, averaged: bool) -> Result<M, CheckpointError> {
        let wrong = |reason: &str| CheckpointError::Content {
            path: path.join(UNAVERAGED),
            reason: reason.into(),
        };
        match (&self.unaveraged, averaged) {
            (Some(arrays), true) => tensors::into_module(model, arrays).map_err(unfit(path, UNAVERAGED)),
            (None, false) => self.restore_model(path, model),
            (None, true) => Err(wrong(
                "is missing: the run has train.ema, and a checkpoint of it holds the weights besides their average; put \
                 this run's own checkpoint back",
            )),
            (Some(_), false) => Err(wrong(
                "is of training with train.ema, which this run has not; put this run's own checkpoint back",
            )),
        }
    }

    /// As [`Checkpoint::restore_model`], for the momentum buffers of `model` on a device without autodiff.
    ///
    /// # Errors
    /// [`CheckpointError::Content`] where its tensors are not those of the model's parameters.
    pub fn restore_optimizer(
        &self,
        path: &Path,
        optimizer: &mut Optimizer,
        model: &impl Network,
        device: &Device,
    ) -> Result<(), CheckpointError> {
        let roles = optimizer.roles(model);
        optimizer
            .restore(model, &roles, &self.optimizer, device)
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
