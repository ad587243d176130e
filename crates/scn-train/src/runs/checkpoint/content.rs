//! What a checkpoint holds.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use scn_data::Normalization;
use scn_models::{ModelConfig, Network};
use serde::{Deserialize, Serialize};

use super::error::CheckpointError;
use super::files::{MODEL, OPTIMIZER};
use super::origin::Origin;
use crate::engine::optimizer::Sgd;
use crate::engine::statistics::Sums;
use crate::experiment::DataConfig;
use crate::runs::exact;
use crate::tensors::{self, Arrays, TensorsError};

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
