//! The training loop.
//!
//! A run is a function of its experiment: batches depend on (seed, epoch) alone, sums are taken in a fixed order, and
//! a checkpoint holds everything that the next step depends on. So a run that was stopped anywhere and resumed ends
//! with the weights of one that was not.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use scn_data::Batch;
use scn_models::Model;
use serde::Serialize;

use crate::engine::evaluation::{Evaluation, evaluate};
use crate::engine::learner::Learner;
use crate::engine::optimizer::Sgd;
use crate::engine::splits::Splits;
use crate::engine::statistics::{Collector, Figures};
use crate::engine::stop::StopFlag;
use crate::experiment::Experiment;
use crate::runs::checkpoint::{self, BEST, Checkpoint, Description, LAST, Newest, PREVIOUS, State};
use crate::runs::folder::RunFolder;
use crate::tensors;
use crate::{Schedule, TrainError, peak_memory};

/// What training tells while it runs.
pub trait Progress {
    /// An epoch begins or goes on at `batch` of `batches`; epochs count from 1.
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batch: usize, batches: usize);
    /// A step is done.
    fn step(&mut self, step: &Step);
    /// An epoch is done, with the figures of its training and validation.
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

/// One line of `metrics.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    epoch: usize,
    split: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'static str>,
    #[serde(flatten)]
    figures: &'a Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    images_per_second: f64,
    peak_memory_bytes: Option<u64>,
}

/// A run in progress.
pub struct Trainer {
    experiment: Experiment,
    splits: Splits,
    learner: Learner,
    schedule: Schedule,
    state: State,
    collector: Collector,
    run: RunFolder,
    stop: StopFlag,
}

impl Trainer {
    /// Builds the model on `device`, or goes on from the newest good checkpoint of `run`; messages name the
    /// checkpoints that were passed over because they are damaged.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn new(
        experiment: Experiment,
        device: &Device,
        mut run: RunFolder,
        stop: StopFlag,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let splits = Splits::load(&experiment.data, experiment.seed)?;
        let device = device.clone().autodiff();
        let newest = checkpoint::newest(&run.checkpoints())?;
        let (image, count) = (splits.train.image_shape(), classes(&experiment));
        let mut model = match newest {
            Some(_) => Model::empty(&experiment.model, image, count, &device)?,
            None => Model::new(&experiment.model, image, count, experiment.seed, &device)?,
        };
        let train = &experiment.train;
        let mut optimizer = Sgd::new(train.optimizer, train.clip_norm);
        let mut state = State::start();
        if let Some(Newest {
            name,
            checkpoint,
            damaged,
        }) = newest
        {
            for message in damaged {
                progress.notice(&format!("{message}; using checkpoints/{name} instead"));
            }
            if name != LAST {
                checkpoint::set_aside(&run.checkpoints())?;
            }
            let path = run.checkpoints().join(name);
            model = checkpoint.restore_model(&path, model)?;
            checkpoint.restore_optimizer(&path, &mut optimizer, &model, &device.clone().inner())?;
            state = checkpoint.state;
            let batch = state.batch;
            progress.notice(&format!(
                "resuming from checkpoints/{name}: epoch {}, batch {batch}",
                state.epoch + 1
            ));
        }
        run.truncate_metrics(state.epoch)?;
        let schedule = train.schedule();
        let label_smoothing = train.label_smoothing;
        let collector = Collector::new(state.sums.clone());
        Ok(Self {
            experiment,
            splits,
            learner: Learner {
                model,
                optimizer,
                label_smoothing,
                device,
            },
            schedule,
            state,
            collector,
            run,
            stop,
        })
    }

    /// Trains to the end, tests, and reports; or stops and saves when asked to.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], and whatever keeps files from being written.
    pub fn run(mut self, progress: &mut dyn Progress) -> Result<Outcome, TrainError> {
        while self.state.epoch < self.experiment.train.epochs {
            if let Some(signal) = self.epoch(progress)? {
                self.save(LAST)?;
                return Ok(Outcome::Stopped(signal));
            }
        }
        self.test()
    }

    /// Trains the rest of an epoch, validates and saves. Returns the signal that interrupted it, if one did.
    fn epoch(&mut self, progress: &mut dyn Progress) -> Result<Option<i32>, TrainError> {
        let epochs = self.experiment.train.epochs;
        let batches = self.splits.train.batches();
        progress.epoch_started(self.state.epoch + 1, epochs, self.state.batch, batches);
        for batch in self.splits.train.epoch(self.state.epoch as u64, self.state.batch) {
            let started = Instant::now();
            self.step(&batch)?;
            self.state.epoch_seconds += started.elapsed().as_secs_f64();
            self.state.batch += 1;
            let (loss, top1) = self.collector.progress();
            let images_per_second = self.images_per_second();
            progress.step(&Step {
                batch: self.state.batch,
                loss,
                top1,
                images_per_second,
            });
            if let Some(signal) = self.stop.signal() {
                self.check_weights()?;
                return Ok(Some(signal));
            }
        }
        self.check_weights()?;
        let validation = match &self.splits.validation {
            None => None,
            Some(loader) => {
                let device = self.learner.device.clone().inner();
                let found = evaluate(
                    &self.learner.evaluated(),
                    loader,
                    classes(&self.experiment),
                    &device,
                    &self.stop,
                );
                let Some(found) = found else {
                    return Ok(self.stop.signal());
                };
                Some(found)
            }
        };
        self.finish_epoch(validation, progress)?;
        Ok(self.stop.signal())
    }

    /// One optimiser step.
    fn step(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let learning_rate = self.learning_rate(self.state.step);
        let counts = self
            .learner
            .step(batch, learning_rate, &mut self.collector)
            .map_err(|diverged| TrainError::Diverged {
                epoch: self.state.epoch + 1,
                batch: batch.index + 1,
                loss: diverged.loss,
                learning_rate,
                layers: diverged.layers,
            })?;
        self.state.step += 1;
        self.state.images += counts.images;
        Ok(())
    }

    /// Refuses weights that must not replace those of the last checkpoint. The loss shows them a step later only.
    fn check_weights(&self) -> Result<(), TrainError> {
        let arrays = tensors::from_module(&self.learner.model);
        let broken = arrays
            .iter()
            .find(|(_, array)| array.values.iter().any(|value| !value.is_finite()));
        let Some((name, _)) = broken else { return Ok(()) };
        Err(TrainError::Diverged {
            epoch: self.state.epoch + 1,
            batch: self.state.batch,
            loss: self.collector.progress().0,
            learning_rate: self.learning_rate(self.state.step.saturating_sub(1)),
            layers: format!("{name} holds values that are not finite after this step"),
        })
    }

    fn learning_rate(&self, step: usize) -> f64 {
        self.schedule.learning_rate(step, self.splits.train.batches())
    }

    fn finish_epoch(&mut self, validation: Option<Evaluation>, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let train = self.collector.figures(&self.learner.model);
        let images_per_second = self.images_per_second();
        let epoch = self.state.epoch + 1;
        let rate = self.learning_rate(self.state.step.saturating_sub(1));
        let line = |split, figures, learning_rate, images_per_second| Line {
            epoch,
            split,
            checkpoint: None,
            figures,
            learning_rate,
            images_per_second,
            peak_memory_bytes: peak_memory(),
        };
        self.run
            .add_metrics(&line("train", &train, Some(rate), images_per_second))?;
        if let Some(found) = &validation {
            self.run
                .add_metrics(&line("validation", &found.figures, None, found.images_per_second()))?;
        }
        progress.epoch_finished(epoch, &train, validation.as_ref(), images_per_second);
        let state = &mut self.state;
        state.epoch = epoch;
        state.batch = 0;
        state.seconds += state.epoch_seconds;
        state.epoch_seconds = 0.0;
        state.train_loss = Some(train.loss);
        state.validation_top1 = validation.map(|found| found.figures.top1);
        let best = state
            .validation_top1
            .is_some_and(|top1| state.best_top1.is_none_or(|best| top1 > best));
        if best {
            state.best_top1 = state.validation_top1;
        }
        self.collector = Collector::new(Default::default());
        if best {
            self.save(BEST)?;
        }
        let last = epoch == self.experiment.train.epochs;
        if last || epoch.is_multiple_of(self.experiment.run.checkpoint_every) {
            self.save(LAST)?;
        }
        Ok(())
    }

    fn images_per_second(&self) -> f64 {
        let (images, seconds) = (self.collector.images(), self.state.epoch_seconds);
        images as f64 / seconds.max(f64::MIN_POSITIVE)
    }

    fn save(&mut self, name: &str) -> Result<(), TrainError> {
        self.state.sums = self.collector.sums().clone();
        let checkpoint = Checkpoint {
            model: tensors::from_module(&self.learner.model),
            optimizer: self.learner.optimizer.state(),
            state: self.state.clone(),
            description: Description {
                model: self.experiment.model.clone(),
                data: self.experiment.data.clone(),
                seed: self.experiment.seed,
                normalization: self.splits.normalization.clone(),
            },
        };
        let folder = self.run.checkpoints();
        let previous = (name == LAST).then(|| folder.join(PREVIOUS));
        checkpoint.save(&folder.join(name), previous.as_deref())?;
        Ok(())
    }

    /// Tests the best weights on the validation split, or the last ones where there is no such split.
    fn test(mut self) -> Result<Outcome, TrainError> {
        let name = if self.state.best_top1.is_some() { BEST } else { LAST };
        let path = self.run.checkpoints().join(name);
        let tested = Checkpoint::load(&path)?;
        self.learner.model = tested.restore_model(&path, self.learner.model)?;
        let model = self.learner.evaluated();
        let device = self.learner.device.clone().inner();
        let found = evaluate(
            &model,
            &self.splits.test,
            classes(&self.experiment),
            &device,
            &self.stop,
        );
        let Some(found) = found else {
            return Ok(Outcome::Stopped(self.stop.signal().unwrap_or_default()));
        };
        let state = &self.state;
        self.run.add_metrics(&Line {
            epoch: tested.state.epoch,
            split: "test",
            checkpoint: Some(name),
            figures: &found.figures,
            learning_rate: None,
            images_per_second: found.images_per_second(),
            peak_memory_bytes: peak_memory(),
        })?;
        Ok(Outcome::Finished(Report {
            run_dir: self.run.path().display().to_string(),
            epochs: state.epoch,
            train_loss: state.train_loss,
            validation_top1: tested.state.validation_top1,
            test_top1: found.figures.top1,
            test_top5: found.figures.top5,
            seconds: state.seconds,
            images_per_second: state.images as f64 / state.seconds.max(f64::MIN_POSITIVE),
        }))
    }

    /// Where the run lies.
    pub fn path(&self) -> &Path {
        self.run.path()
    }
}

/// Classes of the model.
fn classes(experiment: &Experiment) -> usize {
    experiment
        .model
        .classes
        .unwrap_or_else(|| experiment.data.dataset.classes())
}
