//! The loop over epochs and batches.
//!
//! A run is a function of its experiment and its images: patches depend on (seed, epoch, batch) alone, and a checkpoint
//! holds everything that the next step depends on. So a run that was stopped anywhere and resumed ends with the same atoms,
//! bit for bit.

use std::time::Instant;

use scn_train::checkpoint::{self, LAST, Origin, TrainingImages};
use scn_train::{
    Environment, ExperimentFile, RunFolder, Saved, Saving, StopFlag, TrainError, peak_memory, same_training,
};
use serde::Serialize;

use crate::checkpoint::{Description, DictionaryCheckpoint, State, as_images};
use crate::error::DictionaryError;
use crate::experiment::DictionaryExperiment;
use crate::frequency::Spectrum;
use crate::learner::{Figures, Learner, Sums};
use crate::patches::Patches;
use crate::progress::{Outcome, Progress, Report};
use crate::signals::Signals;

/// One line of `metrics.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    epoch: usize,
    split: &'static str,
    #[serde(flatten)]
    figures: &'a Figures,
    /// On patches that are the same after every epoch.
    evaluation: &'a Figures,
    high_frequency_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    orthogonality: Option<f64>,
    /// Of all steps so far, drawing patches included; evaluation and saving are not.
    seconds: f64,
    patches_per_second: f64,
    peak_memory_bytes: Option<u64>,
}

/// A run before its first step, or its next one.
pub struct Start {
    experiment: DictionaryExperiment,
    patches: Patches,
    learner: Learner,
    state: State,
    origin: Origin,
    saved: Option<Saved>,
}

impl Start {
    /// A new run: reads the images, fits the whitening and draws the atoms. It needs no folder yet.
    ///
    /// # Errors
    /// [`DictionaryError::Data`], [`DictionaryError::FewPatches`].
    pub fn new(experiment: DictionaryExperiment, environment: &Environment) -> Result<Self, DictionaryError> {
        let config = &experiment.dictionary;
        let source = Patches::source(config)?;
        let origin = Origin::of(environment, identity(&source)?);
        let mut patches = Patches::new(&experiment, source, None)?;
        let learner = Learner::new(config, &patches.start(config.atoms)?)?;
        Ok(Self {
            experiment,
            patches,
            learner,
            state: State::default(),
            origin,
            saved: None,
        })
    }

    /// A run that goes on from the newest good checkpoint of `run`, or from the start where nothing was saved yet.
    ///
    /// # Errors
    /// [`DictionaryError`].
    pub fn resumed(
        experiment: DictionaryExperiment,
        environment: &Environment,
        run: &mut RunFolder,
        progress: &mut dyn Progress,
    ) -> Result<Self, DictionaryError> {
        let folder = run.checkpoints();
        checkpoint::recover::<DictionaryCheckpoint>(&folder)?;
        let Some(found) = checkpoint::newest_of::<DictionaryCheckpoint>(&folder)? else {
            run.truncate_metrics(0)?;
            return Self::new(experiment, environment);
        };
        let source = Patches::source(&experiment.dictionary)?;
        let now = Origin::of(environment, identity(&source)?);
        let stored = DictionaryExperiment {
            dictionary: found.checkpoint.description.dictionary.clone(),
            seed: found.checkpoint.description.seed,
            ..experiment.clone()
        };
        let differences = same_training(&stored, &experiment).err().unwrap_or_default();
        let rounding = found.checkpoint.origin.compare(&found.path, differences, &now)?;
        found.notices().for_each(|message| progress.notice(&message));
        if !rounding.is_empty() {
            progress.notice(&format!(
                "checkpoints/{} was made with something else than is here: {}; the atoms may differ in their last bits \
                 from those of a run that was not interrupted",
                found.name,
                rounding.join("; ")
            ));
        }
        let learner = found.checkpoint.restored();
        let patches = Patches::new(&experiment, source, Some(found.checkpoint.whitening()))?;
        let state = found.checkpoint.state.clone();
        progress.notice(&format!(
            "resuming from checkpoints/{}: epoch {}, batch {}",
            found.name,
            state.epoch + 1,
            state.batch
        ));
        if found.passed_over.iter().any(|other| other.name == LAST) {
            checkpoint::set_aside(&folder)?;
        }
        run.truncate_metrics(state.epoch)?;
        let saved = Saved::of(found.name, state.position());
        Ok(Self {
            experiment: experiment.with_defaults(),
            patches,
            learner,
            state,
            origin: now,
            saved: Some(saved),
        })
    }
}

fn identity(source: &scn_data::PatchSource) -> Result<TrainingImages, DictionaryError> {
    Ok(TrainingImages {
        images: source.count(),
        sha256: source.fingerprint()?,
    })
}

/// A run in progress.
pub struct Trainer {
    experiment: DictionaryExperiment,
    patches: Patches,
    learner: Learner,
    state: State,
    origin: Origin,
    run: RunFolder,
    saving: Saving,
    stop: StopFlag,
    evaluated: Signals,
}

impl Trainer {
    /// Of a run that is ready to make its next step.
    ///
    /// # Errors
    /// [`DictionaryError::Data`] where the patches of evaluation cannot be read.
    pub fn new(start: Start, run: RunFolder, stop: StopFlag) -> Result<Self, DictionaryError> {
        let Start {
            experiment,
            mut patches,
            learner,
            state,
            origin,
            saved,
        } = start;
        let evaluated = patches.evaluation(experiment.dictionary.evaluation)?;
        Ok(Self {
            saving: Saving::new(saved, &experiment.run),
            experiment,
            patches,
            learner,
            state,
            origin,
            run,
            stop,
            evaluated,
        })
    }

    /// Learns to the end and reports; or stops and saves when asked to. Of a run whose first step fails nothing is left.
    ///
    /// # Errors
    /// [`DictionaryError::NoCodes`], images that cannot be read, and whatever keeps files from being written.
    pub fn run(mut self, progress: &mut dyn Progress) -> Result<Outcome, DictionaryError> {
        let outcome = self.learn(progress);
        if outcome.is_err() && self.state.step == 0 {
            self.run.discard();
        }
        outcome
    }

    fn learn(&mut self, progress: &mut dyn Progress) -> Result<Outcome, DictionaryError> {
        // Of a checkpoint that took the place of a damaged `last` there is one copy only.
        if self.state.step > 0 {
            self.save()?;
        }
        while self.state.epoch < self.experiment.dictionary.epochs {
            // A new run makes a step first, so that there is something to go on from.
            if let Some(signal) = self.stop.signal()
                && self.saving.is_saved(self.state.position())
            {
                return Ok(Outcome::Stopped(signal));
            }
            if let Some(signal) = self.epoch(progress)? {
                self.save()?;
                return Ok(Outcome::Stopped(signal));
            }
        }
        let (_, evaluation) = self.learner.codes(&self.evaluated)?;
        let State {
            epoch,
            patches,
            seconds,
            ..
        } = self.state;
        Ok(Outcome::Finished(Report {
            run_dir: self.run.path().display().to_string(),
            epochs: epoch,
            evaluation,
            high_frequency_share: self.high_frequency_share(),
            orthogonality: self.orthogonality(),
            seconds,
            patches_per_second: patches as f64 / seconds.max(f64::MIN_POSITIVE),
        }))
    }

    /// Learns from the rest of an epoch and saves. Returns the signal that interrupted it, if one did.
    fn epoch(&mut self, progress: &mut dyn Progress) -> Result<Option<i32>, DictionaryError> {
        let config = &self.experiment.dictionary;
        let (epochs, batches) = (config.epochs, config.batches());
        progress.epoch_started(self.state.epoch + 1, epochs, self.state.batch, batches);
        while self.state.batch < batches {
            self.step()?;
            let figures = self.state.sums.figures();
            progress.step(self.state.batch, &figures, self.patches_per_second());
            if self.state.batch == batches {
                break;
            }
            if let Some(signal) = self.stop.signal() {
                return Ok(Some(signal));
            }
            if self.saving.is_due() {
                self.save()?;
            }
        }
        self.finish_epoch(progress)?;
        Ok(self.stop.signal())
    }

    fn step(&mut self) -> Result<(), DictionaryError> {
        let config = &self.experiment.dictionary;
        let started = Instant::now();
        let (epoch, batch) = (self.state.epoch as u64, self.state.batch as u64);
        let count = config.batch.min(config.patches - self.state.batch * config.batch);
        let signals = self.patches.batch(epoch, batch, count)?;
        let sums = self.learner.summed_step(self.state.step, &signals)?;
        let state = &mut self.state;
        state.sums.add(&sums);
        state.batch += 1;
        state.step += 1;
        state.patches += count;
        state.epoch_seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn finish_epoch(&mut self, progress: &mut dyn Progress) -> Result<(), DictionaryError> {
        let train = self.state.sums.figures();
        let patches_per_second = self.patches_per_second();
        let (_, evaluation) = self.learner.codes(&self.evaluated)?;
        let state = &mut self.state;
        state.epoch += 1;
        state.batch = 0;
        state.seconds += state.epoch_seconds;
        state.epoch_seconds = 0.0;
        state.sums = Sums::default();
        let line = Line {
            epoch: self.state.epoch,
            split: "train",
            figures: &train,
            evaluation: &evaluation,
            high_frequency_share: self.high_frequency_share(),
            orthogonality: self.orthogonality(),
            seconds: self.state.seconds,
            patches_per_second,
            peak_memory_bytes: peak_memory(),
        };
        self.run
            .add_metrics(&line)
            .map_err(|error| self.saving.unsaved(self.run.path(), error.into()))?;
        let epoch = self.state.epoch;
        let last = epoch == self.experiment.dictionary.epochs;
        if last || epoch.is_multiple_of(self.experiment.run.checkpoint_every) {
            self.save()?;
        }
        // What is told is on the disk.
        progress.epoch_finished(epoch, &train, &evaluation, patches_per_second);
        Ok(())
    }

    fn patches_per_second(&self) -> f64 {
        self.state.sums.patches() as f64 / self.state.epoch_seconds.max(f64::MIN_POSITIVE)
    }

    fn high_frequency_share(&self) -> f64 {
        let weight = as_images(self.learner.dictionary(), self.patches.whitening());
        let side = self.experiment.dictionary.patch;
        let channels = self.experiment.dictionary.color.channels();
        Spectrum::high_share(&Spectrum::of_all(&weight, channels, side))
    }

    fn orthogonality(&self) -> Option<f64> {
        let orthogonal = self.experiment.dictionary.method.is_orthogonal();
        orthogonal.then(|| self.learner.dictionary().orthogonality())
    }

    fn checkpoint(&self) -> DictionaryCheckpoint {
        let description = Description {
            dictionary: self.experiment.dictionary.clone(),
            seed: self.experiment.seed,
        };
        let (state, origin) = (self.state.clone(), self.origin.clone());
        DictionaryCheckpoint::new(&self.learner, self.patches.whitening(), state, description, origin)
    }

    /// Writes [`LAST`], unless it is up to date.
    fn save(&mut self) -> Result<(), TrainError> {
        match self.saving.is_saved(self.state.position()) {
            true => Ok(()),
            false => {
                let checkpoint = self.checkpoint();
                self.saving.save(&self.run, LAST, &checkpoint)
            }
        }
    }
}
