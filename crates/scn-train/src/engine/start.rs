//! What a run starts from: the data in memory and the weights on the device, new ones or those of a checkpoint.

use burn::module::Module;
use burn::tensor::Device;
use scn_models::Model;

use crate::TrainError;
use crate::engine::average::Average;
use crate::engine::first_layer::{first_weight, with_dictionary};
use crate::engine::learner::Learner;
use crate::engine::progress::Progress;
use crate::engine::saving::Saved;
use crate::engine::splits::Splits;
use crate::experiment::{EmaConfig, Experiment};
use crate::runs::checkpoint::{self, Checkpoint, LAST, Origin, State, TrainingImages};
use crate::runs::environment::Environment;
use crate::runs::folder::RunFolder;

/// A run before its first step.
pub struct Start {
    pub(super) experiment: Experiment,
    pub(super) splits: Splits,
    pub(super) learner: Learner,
    pub(super) state: State,
    pub(super) origin: Origin,
    /// The checkpoint that it goes on from.
    pub(super) saved: Option<Saved>,
}

impl Start {
    /// A new run: reads the data and draws the weights. It needs no folder yet, so that one that cannot start leaves none.
    ///
    /// # Errors
    /// [`TrainError::Data`], [`TrainError::Model`].
    pub fn new(experiment: Experiment, device: &Device, environment: &Environment) -> Result<Self, TrainError> {
        let parts = Parts::load(&experiment, device, environment)?;
        let model = Model::new(
            &experiment.model,
            parts.image(),
            classes(&experiment),
            experiment.seed,
            &parts.device,
        )?;
        let model = with_dictionary(model, &experiment.first_layer, parts.image())?;
        let learner = parts.learner(&experiment, model);
        Ok(parts.start(experiment, learner, State::start(), None))
    }

    /// A run that goes on from the newest good checkpoint of `run`, or from the start where nothing was saved yet. Tells
    /// which checkpoints were passed over because they are damaged, and what may change the last bits of the result.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn resumed(
        experiment: Experiment,
        device: &Device,
        environment: &Environment,
        run: &mut RunFolder,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let folder = run.checkpoints();
        checkpoint::recover::<Checkpoint>(&folder)?;
        let Some(found) = checkpoint::newest(&folder)? else {
            run.truncate_metrics(0)?;
            return Self::new(experiment, device, environment);
        };
        let parts = Parts::load(&experiment, device, environment)?;
        let checkpoint = &found.checkpoint;
        let rounding = checkpoint.compare(&found.path, &experiment, &parts.origin)?;
        found.notices().for_each(|message| progress.notice(&message));
        if !rounding.is_empty() {
            progress.notice(&format!(
                "checkpoints/{} was made with something else than is here: {}; the weights may differ in their last bits \
                 from those of a run that was not interrupted",
                found.name,
                rounding.join("; ")
            ));
        }
        let image = parts.image();
        let empty = Model::empty(&experiment.model, image, classes(&experiment), &parts.device)?;
        let ema = experiment.train.ema;
        let model = checkpoint.restore_training(&found.path, empty, ema.is_some())?;
        let mut learner = parts.learner(&experiment, model);
        if let Some(EmaConfig { decay }) = ema {
            let average = checkpoint.restore_model(&found.path, learner.model.valid())?;
            learner.average = Some(Average::new(&average, decay));
        }
        let Learner { model, optimizer, .. } = &mut learner;
        checkpoint.restore_optimizer(&found.path, optimizer, model, &parts.device.clone().inner())?;
        let state = checkpoint.state.clone();
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
        Ok(parts.start(experiment, learner, state, Some(saved)))
    }
}

/// What both kinds of start need.
struct Parts {
    splits: Splits,
    origin: Origin,
    /// With autodiff.
    device: Device,
}

impl Parts {
    fn load(experiment: &Experiment, device: &Device, environment: &Environment) -> Result<Self, TrainError> {
        let splits = Splits::load(&experiment.data, experiment.seed)?;
        let origin = Origin::of(environment, TrainingImages::of(&splits.train_images));
        Ok(Self {
            splits,
            origin,
            device: device.clone().autodiff(),
        })
    }

    fn image(&self) -> [usize; 3] {
        self.splits.train.image_shape()
    }

    fn learner(&self, experiment: &Experiment, model: Model) -> Learner {
        let frozen = match experiment.first_layer.frozen {
            true => first_weight(&model, self.image()),
            false => None,
        };
        let mut learner = Learner::new(model, &experiment.train, self.device.clone());
        if let Some(name) = frozen {
            learner.optimizer.freeze(name);
        }
        learner
    }

    fn start(self, experiment: Experiment, learner: Learner, state: State, saved: Option<Saved>) -> Start {
        Start {
            learner,
            experiment,
            splits: self.splits,
            state,
            origin: self.origin,
            saved,
        }
    }
}

/// Classes of the model.
pub(super) fn classes(experiment: &Experiment) -> usize {
    experiment
        .model
        .classes
        .unwrap_or_else(|| experiment.data.dataset.classes())
}
