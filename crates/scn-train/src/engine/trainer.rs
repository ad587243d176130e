//! The training loop.
//!
//! A run is a function of its experiment: batches depend on (seed, epoch) alone, sums are taken in a fixed order, and
//! a checkpoint holds everything that the next step depends on. So a run that was stopped anywhere and resumed ends
//! with the weights of one that was not.

use std::time::Instant;

use scn_data::Batch;
use scn_models::TrainingStep;
use serde::Serialize;

use crate::engine::evaluation::{Evaluation, evaluate};
use crate::engine::learner::Learner;
use crate::engine::progress::{Outcome, Progress, Report, Step};
use crate::engine::saving::Saving;
use crate::engine::splits::Splits;
use crate::engine::start::{Start, classes};
use crate::engine::statistics::{Collector, Figures};
use crate::engine::stop::StopFlag;
use crate::experiment::{Experiment, TestTime};
use crate::runs::checkpoint::{self, BEST, Checkpoint, CheckpointError, Description, Found, LAST, Origin, State};
use crate::runs::folder::RunFolder;
use crate::tensors;
use crate::{Schedule, TrainError, peak_memory};

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
    origin: Origin,
    collector: Collector,
    run: RunFolder,
    saving: Saving,
    stop: StopFlag,
}

impl Trainer {
    /// Of a run that is ready to make its first step, or its next one.
    pub fn new(start: Start, run: RunFolder, stop: StopFlag) -> Self {
        let Start {
            experiment,
            splits,
            learner,
            state,
            origin,
            saved,
        } = start;
        Self {
            schedule: experiment.train.schedule(),
            collector: Collector::new(state.sums.clone()),
            saving: Saving::new(saved, &experiment.run),
            experiment,
            splits,
            learner,
            state,
            origin,
            run,
            stop,
        }
    }

    /// Trains to the end, tests, and reports; or stops and saves when asked to.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], and whatever keeps files from being written.
    pub fn run(mut self, progress: &mut dyn Progress) -> Result<Outcome, TrainError> {
        // Of a checkpoint that took the place of a damaged or an older `last` there is one copy only.
        if self.state.step > 0 {
            self.save_last()?;
        }
        while self.state.epoch < self.experiment.train.epochs {
            // A new run makes a step first, so that there is something to go on from.
            if let Some(signal) = self.stop.signal()
                && self.saving.is_saved(self.state.position())
            {
                return Ok(Outcome::Stopped(signal));
            }
            if let Some(signal) = self.epoch(progress)? {
                self.save_last()?;
                return Ok(Outcome::Stopped(signal));
            }
        }
        self.test(progress)
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
            if self.saving.is_due() {
                self.check_weights()?;
                self.save_last()?;
            }
        }
        self.check_weights()?;
        let validation = match &self.splits.validation {
            None => None,
            Some(loader) => {
                progress.evaluating("validation");
                let device = self.learner.device.clone().inner();
                let found = evaluate(
                    &self.learner.evaluated(),
                    loader,
                    classes(&self.experiment),
                    TestTime::None,
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
        let at = TrainingStep {
            number: self.state.step,
            seed: self.experiment.seed,
            shard: 0,
        };
        let counts = self
            .learner
            .step(batch, at, learning_rate, &mut self.collector)
            .map_err(|diverged| TrainError::Diverged {
                epoch: self.state.epoch + 1,
                batch: batch.index + 1,
                loss: diverged.loss,
                learning_rate,
                layers: diverged.layers,
            })?;
        // Where no code is left there are no gradients that would bring any back.
        if self.state.step == 0
            && let Some(layer) = self.collector.silent_layer(&self.learner.model)
        {
            let lambda1 = layer.lambda1.mean().into_data().iter::<f64>().next();
            return Err(TrainError::NoCodes {
                layer: layer.name,
                lambda1: lambda1.unwrap_or(f64::NAN),
            });
        }
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
        let train_line = line("train", &train, Some(rate), images_per_second);
        let validation_line = validation
            .as_ref()
            .map(|found| line("validation", &found.figures, None, found.images_per_second()));
        for line in [Some(train_line), validation_line].into_iter().flatten() {
            self.run
                .add_metrics(&line)
                .map_err(|error| self.saving.unsaved(self.run.path(), error.into()))?;
        }
        let state = &mut self.state;
        state.epoch = epoch;
        state.batch = 0;
        state.seconds += state.epoch_seconds;
        state.epoch_seconds = 0.0;
        state.train_loss = Some(train.loss);
        state.validation_top1 = validation.as_ref().map(|found| found.figures.top1);
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
            self.save_last()?;
        }
        // What is told is on the disk.
        progress.epoch_finished(epoch, &train, validation.as_ref(), images_per_second);
        Ok(())
    }

    fn images_per_second(&self) -> f64 {
        let (images, seconds) = (self.collector.images(), self.state.epoch_seconds);
        images as f64 / seconds.max(f64::MIN_POSITIVE)
    }

    /// Writes [`LAST`], unless it is up to date.
    fn save_last(&mut self) -> Result<(), TrainError> {
        match self.saving.is_saved(self.state.position()) {
            true => Ok(()),
            false => self.save(LAST),
        }
    }

    fn save(&mut self, name: &'static str) -> Result<(), TrainError> {
        self.state.sums = self.collector.sums().clone();
        let checkpoint = Checkpoint {
            model: tensors::from_module(&self.learner.evaluated()),
            unaveraged: (self.learner.average.is_some()).then(|| tensors::from_module(&self.learner.model)),
            optimizer: self.learner.optimizer.state(),
            state: self.state.clone(),
            description: Description {
                model: self.experiment.model.clone(),
                data: self.experiment.data.clone(),
                seed: self.experiment.seed,
                normalization: self.splits.normalization.clone(),
                test_time: self.experiment.run.test_time,
            },
            origin: Some(self.origin.clone()),
        };
        self.saving.save(&self.run, name, &checkpoint)
    }

    /// Tests the best weights on the validation split, or the last ones where there is no such split.
    fn test(mut self, progress: &mut dyn Progress) -> Result<Outcome, TrainError> {
        let Found {
            name,
            path,
            checkpoint: tested,
            ..
        } = self.tested(progress)?;
        let model = tested.restore_model(&path, self.learner.evaluated())?;
        progress.evaluating("test");
        let device = self.learner.device.clone().inner();
        let found = evaluate(
            &model,
            &self.splits.test,
            classes(&self.experiment),
            self.experiment.run.test_time,
            &device,
            &self.stop,
        );
        let Some(found) = found else {
            return Ok(Outcome::Stopped(self.stop.signal().unwrap_or_default()));
        };
        let Figures { top1, top5, .. } = found.figures;
        let written = self.run.add_metrics(&Line {
            epoch: tested.state.epoch,
            split: "test",
            checkpoint: Some(name),
            figures: &found.figures,
            learning_rate: None,
            images_per_second: found.images_per_second(),
            peak_memory_bytes: peak_memory(),
        });
        // The test may have taken long: what it found is told even if it cannot be stored.
        written.map_err(|error| TrainError::TestNotStored {
            top1,
            top5,
            cause: Box::new(self.saving.unsaved(self.run.path(), error.into())),
        })?;
        let state = &self.state;
        Ok(Outcome::Finished(Report {
            run_dir: self.run.path().display().to_string(),
            epochs: state.epoch,
            train_loss: state.train_loss,
            validation_top1: tested.state.validation_top1,
            test_top1: top1,
            test_top5: top5,
            seconds: state.seconds,
            images_per_second: state.images as f64 / state.seconds.max(f64::MIN_POSITIVE),
        }))
    }

    /// The checkpoint to test: the best, or the newest good one where there is no best, or none that is good.
    fn tested(&self, progress: &mut dyn Progress) -> Result<Found, TrainError> {
        let folder = self.run.checkpoints();
        let chosen = match self.state.best_top1 {
            Some(_) => checkpoint::preferred(&folder)?,
            None => checkpoint::newest(&folder)?,
        };
        let found = chosen.ok_or_else(|| CheckpointError::NoneUsable {
            folder,
            reasons: vec!["none is left".into()],
        })?;
        found.notices().for_each(|message| progress.notice(&message));
        Ok(found)
    }
}
