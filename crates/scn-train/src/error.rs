//! Errors of training and evaluation.

use std::path::PathBuf;

use scn_data::DataError;
use scn_models::ModelError;
use scn_ops::DeviceError;

use crate::ExperimentError;
use crate::runs::checkpoint::CheckpointError;
use crate::runs::folder::RunFolderError;

/// Why training or evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The experiment file.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model.
    #[error("model: {0}")]
    Model(#[from] ModelError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunFolderError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A dictionary for the first layer that cannot be read.
    #[error(
        "first_layer.dictionary: {}: {reason}: expected a run of scn dictionary learn, or a safetensors file of atoms",
        path.display()
    )]
    Dictionary {
        /// The run or the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A dictionary that is no weight of the first layer.
    #[error(
        "first_layer.dictionary: {}: its tensor is {found:?}, and {layer} takes {expected:?}: [atoms, channels, side, side]",
        path.display()
    )]
    FirstLayer {
        /// The run or the file.
        path: PathBuf,
        /// The shape of the dictionary.
        found: Vec<usize>,
        /// The layer's weight.
        layer: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A loss or weights that are not finite.
    #[error(
        "training diverged in epoch {epoch}, batch {batch}: the loss is {loss} with a learning rate of {learning_rate:.3e}; \
         {layers}; the last checkpoint is as it was: try a smaller train.optimizer.learning_rate, \
         train.schedule.warmup_epochs, train.clip_norm = 1.0 or a larger model.solver.lambda2"
    )]
    Diverged {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        batch: usize,
        /// The loss.
        loss: f64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// The layer with the largest values.
        layers: String,
    },
    /// A coding layer without codes.
    #[error(
        "no code of {layer} is other than 0 in the first batch, so that nothing is learned: its mean sparsity weight is \
         {lambda1:.3e}; try a smaller one: model.threshold.minimum or initial of an ml-csc, model.lambda1.initial of an scn"
    )]
    NoCodes {
        /// Its name.
        layer: String,
        /// The mean of λ₁ over its atoms.
        lambda1: f64,
    },
    /// Something of the run that cannot be written.
    #[error("{cause}; {advice}")]
    Unsaved {
        /// What was to be written, and why it cannot be.
        cause: Box<TrainError>,
        /// What was saved last, and how to go on.
        advice: String,
    },
    /// The figures of the test that cannot be written.
    #[error(
        "the test found top-1 {top1:.2} % and top-5 {top5:.2} %, which cannot be stored: {cause}, which tests again"
    )]
    TestNotStored {
        /// Accuracy in percent.
        top1: f64,
        /// In percent.
        top5: f64,
        /// Why it cannot be stored.
        cause: Box<TrainError>,
    },
    /// Evaluation asked for a split that is empty.
    #[error("there is no {split} split: data.validation is 0 in this run; evaluate another split")]
    EmptySplit {
        /// Its name.
        split: &'static str,
    },
}
