//! What training tells while it runs and when it ends.

use serde::Serialize;

use crate::engine::evaluation::Evaluation;
use crate::engine::statistics::Figures;

/// What training tells while it runs. Whatever becomes of it, training goes on.
pub trait Progress {
    /// An epoch begins or goes on at `batch` of `batches`; epochs count from 1.
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize);
    /// A step is done.
    fn step(&mut self, step: &Step);
    /// The images of a split, `validation` or `test`, are evaluated from now on.
    fn evaluating(&mut self, split: &'static str);
    /// An epoch is done and saved, with the figures of its training and validation.
    fn epoch_finished(
        &mut self,
        epoch: usize,
        train: &Figures,
        validation: Option<&Evaluation>,
        images_per_second: f64,
    );
    /// Something that the user should know.
    fn notice(&mut self, message: &str);
}

/// The epoch after one of its steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Batches done.
    pub batch: usize,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Accuracy of the epoch so far, in percent.
    pub top1: f64,
    /// Training images per second of the epoch so far.
    pub images_per_second: f64,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run's folder.
    pub run_dir: String,
    /// Epochs trained.
    pub epochs: usize,
    /// Mean training loss of the last epoch.
    pub train_loss: Option<f64>,
    /// Accuracy in percent of the tested weights on the validation split; `None` without one.
    pub validation_top1: Option<f64>,
    /// Test accuracy in percent of the best weights on the validation split, else of the last ones.
    pub test_top1: f64,
    /// Test top-5 accuracy of the same weights, in percent.
    pub test_top5: f64,
    /// Seconds spent in training steps, over all starts of the run.
    pub seconds: f64,
    /// Training images per second over the whole run.
    pub images_per_second: f64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Trained and tested.
    Finished(Report),
    /// Stopped by this signal, after saving.
    Stopped(i32),
}
