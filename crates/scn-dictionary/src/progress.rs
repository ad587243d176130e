//! What learning tells while it runs and when it ends.

use serde::Serialize;

use crate::learner::Figures;

/// What learning tells while it runs. Whatever becomes of it, learning goes on.
pub trait Progress {
    /// An epoch begins or goes on at `batch` of `batches`; epochs count from 1.
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize);
    /// A step is done: batches so far, and the figures and patches a second of the epoch so far.
    fn step(&mut self, batch: usize, figures: &Figures, patches_per_second: f64);
    /// An epoch is done and saved: its figures, those on the patches of evaluation, and its patches a second.
    fn epoch_finished(&mut self, epoch: usize, train: &Figures, evaluation: &Figures, patches_per_second: f64);
    /// Something that the user should know.
    fn notice(&mut self, message: &str);
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run's folder.
    pub run_dir: String,
    /// Epochs.
    pub epochs: usize,
    /// On the patches of evaluation.
    pub evaluation: Figures,
    /// The share of atoms with more than half of their energy above half the Nyquist frequency.
    pub high_frequency_share: f64,
    /// The largest deviation of a product of two atoms from that of orthonormal ones, where atoms are to be such.
    pub orthogonality: Option<f64>,
    /// Seconds spent in steps, over all starts of the run.
    pub seconds: f64,
    /// Patches a second over the whole run.
    pub patches_per_second: f64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Report),
    /// Stopped by this signal, after saving.
    Stopped(i32),
}
