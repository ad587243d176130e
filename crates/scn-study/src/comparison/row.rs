//! What a comparison tells of one model.

use scn_train::RunFolder;
use serde::{Deserialize, Serialize};

use super::child::Size;
use super::entry::Entry;
use super::stored_robust;
use crate::StudyError;
use crate::robust::RobustAccuracy;

/// One trained and tested model. A further figure is a field here and a column in `table`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the experiment.
    pub name: String,
    /// The experiment file.
    pub experiment: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Of the convolutions, forward, per image.
    pub multiply_adds: u64,
    /// Of one sweep of the solver in every sparse-coding layer, per image.
    pub multiply_adds_per_sweep: u64,
    /// Of all training steps.
    pub train_images_per_second: f64,
    /// While the test set was evaluated.
    pub eval_images_per_second: f64,
    /// Of the training process; of the largest where there were several.
    pub peak_rss_bytes: Option<u64>,
    /// In percent.
    pub test_top1: f64,
    /// Of the tested weights, in percent.
    pub validation_top1: Option<f64>,
    /// Of the tested weights on corrupted images.
    pub robust_top1: Option<RobustAccuracy>,
    /// Of training steps, until the epoch that first reached the target ended.
    pub seconds_to_target: Option<f64>,
    /// Of all training steps.
    pub seconds: f64,
    /// Epochs trained.
    pub epochs: usize,
    /// Steps trained.
    pub steps: usize,
    /// The run's folder.
    pub run_dir: String,
}

/// What is needed of a line of `metrics.jsonl`.
#[derive(Deserialize)]
struct Line {
    epoch: usize,
    split: String,
    images: usize,
    top1: f64,
    images_per_second: f64,
    peak_memory_bytes: Option<u64>,
}

impl Line {
    fn seconds(&self) -> f64 {
        self.images as f64 / self.images_per_second.max(f64::MIN_POSITIVE)
    }
}

impl Row {
    /// From the run's folder; `None` where the model is not trained and tested yet. `target` is a validation accuracy
    /// in percent.
    pub(super) fn of(entry: &Entry, size: &Size, target: Option<f64>) -> Result<Option<Self>, StudyError> {
        let lines: Vec<Line> = RunFolder::metrics(&entry.folder)?;
        // Resuming drops the line of a test until it has tested again.
        let Some(test) = lines.last().filter(|line| line.split == "test") else {
            return Ok(None);
        };
        let of = |split: &'static str| lines.iter().filter(move |line| line.split == split);
        let (epochs, expected) = (of("train").count(), entry.experiment.train.epochs);
        if epochs != expected {
            return Err(StudyError::Metrics {
                folder: entry.folder.clone(),
                found: epochs,
                expected,
            });
        }
        let seconds_until = |epoch: usize| {
            of("train")
                .filter(|line| line.epoch <= epoch)
                .map(Line::seconds)
                .sum::<f64>()
        };
        let seconds = seconds_until(epochs);
        let images: usize = of("train").map(|line| line.images).sum();
        let batch = entry.experiment.data.batch_size;
        let reached = |target: f64| of("validation").find(|line| line.top1 >= target);
        Ok(Some(Self {
            name: entry.experiment.name.clone(),
            experiment: entry.file.display().to_string(),
            parameters: size.parameters,
            multiply_adds: size.convolution_macs,
            multiply_adds_per_sweep: size.solver_iteration_macs,
            train_images_per_second: images as f64 / seconds.max(f64::MIN_POSITIVE),
            eval_images_per_second: test.images_per_second,
            peak_rss_bytes: lines.iter().filter_map(|line| line.peak_memory_bytes).max(),
            test_top1: test.top1,
            validation_top1: of("validation")
                .find(|line| line.epoch == test.epoch)
                .map(|line| line.top1),
            robust_top1: stored_robust(&entry.folder)?.and_then(|stored| stored.accuracy()),
            seconds_to_target: target.and_then(reached).map(|line| seconds_until(line.epoch)),
            seconds,
            epochs,
            steps: of("train").map(|line| line.images.div_ceil(batch)).sum(),
            run_dir: entry.folder.display().to_string(),
        }))
    }
}
