//! Values and combinations of values that make no experiment.

use std::fmt::Display;

use scn_data::Flip;
use scn_keys::Table as _;
use scn_models::Group;

use super::data::{DataConfig, MIN_IMAGES};
use super::error::ExperimentError;
use super::keys::{EXPERIMENT, Schema};
use super::load::ExperimentFile;
use super::places::Places;
use super::{Experiment, FirstLayerConfig, OptimizerKind, ScheduleKind, Validation};

impl ExperimentFile for Experiment {
    fn schema() -> &'static Schema {
        &EXPERIMENT
    }

    fn name_mut(&mut self) -> &mut String {
        &mut self.name
    }

    fn with_defaults(mut self) -> Self {
        self.model = self.model.with_defaults(self.data.dataset.classes());
        self.train.schedule = self.train.schedule.with_defaults();
        self
    }

    fn without_unused(mut self) -> Self {
        for unused in self.model.unused() {
            self.model = self.model.without(unused.key);
        }
        let groups = self.model.groups();
        let optimizer = &mut self.train.optimizer;
        optimizer.decay_lambda1 |= !groups.contains(&Group::Sparsity);
        optimizer.decay_norm |= !groups.contains(&Group::Norm);
        for (factor, group) in [
            (&mut optimizer.factors.lambda1, Group::Sparsity),
            (&mut optimizer.factors.dictionary, Group::Dictionary),
        ] {
            if !groups.contains(&group) {
                *factor = 1.0;
            }
        }
        let augment = &mut self.data.augment;
        augment.per_batch &= augment.changes_images();
        if self.first_layer.dictionary.is_none() {
            self.first_layer = FirstLayerConfig::default();
        }
        self
    }

    fn is_of_the_machine(key: &str) -> bool {
        ["name", "data.dir"].contains(&key) || key.starts_with("run.") && key != "run.test_time"
    }

    fn check_effects(&self, places: &Places) -> Result<(), ExperimentError> {
        let checker = Checker {
            experiment: self,
            places,
        };
        checker.augmentation()?;
        checker.batch()?;
        checker.unused()?;
        checker.first_layer()?;
        checker.decay()?;
        checker.factors()
    }

    fn check(&self, places: &Places) -> Result<(), ExperimentError> {
        let checker = Checker {
            experiment: self,
            places,
        };
        places.refuse_out_of_range(self)?;
        checker.images()?;
        checker.model()?;
        checker.training()?;
        checker.schedule()
    }
}

struct Checker<'a> {
    experiment: &'a Experiment,
    places: &'a Places,
}

impl Checker<'_> {
    fn images(&self) -> Result<(), ExperimentError> {
        let data = &self.experiment.data;
        let info = data.dataset.info();
        let (train, test) = (info.train_images, info.test_images);
        let validation = data.validation.images(train);
        let has = format!("{} has {train} training images", info.name);
        self.fits(
            "data.validation",
            data.validation,
            validation <= train - MIN_IMAGES,
            &has,
            || format!("at most {} images", train - MIN_IMAGES),
        )?;
        if let Validation::Fraction(fraction) = data.validation {
            self.fits(
                "data.validation",
                data.validation,
                fraction == 0.0 || validation > 0,
                &has,
                || format!("0 or at least {}", 1.0 / train as f64),
            )?;
        }
        if let Some(images) = data.train_images {
            let left = train - validation;
            let has = format!("{has} and {validation} of them are for validation");
            self.fits("data.train_images", images, images <= left, &has, || {
                format!("at most {left}")
            })?;
        }
        if let Some(images) = data.test_images {
            let has = format!("{} has {test} test images", info.name);
            self.fits("data.test_images", images, images <= test, &has, || {
                format!("at most {test}")
            })?;
        }

        let [_, height, width] = info.shape;
        let side = height.min(width);
        let has = format!("the images of {} are {height}×{width}", info.name);
        if let Some(crop) = data.augment.crop {
            self.fits("data.augment.crop", crop, crop <= side, &has, || {
                format!("at most {side}")
            })?;
        }
        let shift = data.augment.shift;
        self.fits("data.augment.shift", shift, shift < side, &has, || {
            format!("at most {}", side - 1)
        })?;
        let [_, height, width] = data.image_shape();
        let side = height.min(width);
        let Some(cutout) = data.augment.cutout else {
            return Ok(());
        };
        let has = format!("the images that are trained on are {height}×{width}");
        self.fits("data.augment.cutout", cutout, cutout <= side, &has, || {
            format!("at most {side}")
        })
    }

    fn augmentation(&self) -> Result<(), ExperimentError> {
        let augment = &self.experiment.data.augment;
        if let Some(crop) = augment.crop {
            let has = format!("the crop is {crop}×{crop}");
            let shift = augment.shift;
            self.fits("data.augment.shift", shift, shift < crop, &has, || {
                format!("at most {}", crop - 1)
            })?;
        }
        let alternates = augment.flip == Flip::Alternating;
        let with = "data.augment.per_batch mirrors all images of a batch alike, which is another one in each epoch";
        self.fits(
            "data.augment.flip",
            "\"alternating\"",
            !(alternates && augment.per_batch),
            with,
            || "true, or it without data.augment.per_batch".to_owned(),
        )?;
        let changes = augment.changes_images();
        let with = "no image is changed";
        self.fits(
            "data.augment.per_batch",
            true,
            changes || !augment.per_batch,
            with,
            || "it with data.augment.flip, shift, crop or cutout only".to_owned(),
        )
    }

    fn batch(&self) -> Result<(), ExperimentError> {
        let data = &self.experiment.data;
        let all = data.dataset.info().train_images;
        let left = data.train_images.unwrap_or(all - data.validation.images(all));
        let with = format!("there are {left} images to train on");
        let batch = data.batch_size;
        // The default makes one batch of fewer images, as trials with `train_images` have it.
        let meant = batch != DataConfig::new(data.dataset).batch_size;
        self.fits("data.batch_size", batch, batch <= left || !meant, &with, || {
            format!("at most {left}")
        })
    }

    fn unused(&self) -> Result<(), ExperimentError> {
        match self.experiment.model.unused().into_iter().next() {
            None => Ok(()),
            Some(unused) => {
                let key = format!("model.{}", unused.key);
                Err(self.conflict(&key, unused.found, unused.because, unused.expected.to_owned()))
            }
        }
    }

    fn first_layer(&self) -> Result<(), ExperimentError> {
        let layer = &self.experiment.first_layer;
        let default = FirstLayerConfig::default();
        let with = "there is no first_layer.dictionary";
        let only = || "it with first_layer.dictionary only".to_owned();
        let there = layer.dictionary.is_some();
        let form = format!("{:?}", layer.form.name());
        self.fits(
            "first_layer.form",
            form,
            there || layer.form == default.form,
            with,
            only,
        )?;
        self.fits("first_layer.frozen", true, there || !layer.frozen, with, only)
    }

    /// Refuses to leave without decay what the network does not have.
    fn decay(&self) -> Result<(), ExperimentError> {
        let Experiment { model, train, .. } = self.experiment;
        for (name, decays, group) in [
            ("decay_lambda1", train.optimizer.decay_lambda1, Group::Sparsity),
            ("decay_norm", train.optimizer.decay_norm, Group::Norm),
        ] {
            if decays || model.groups().contains(&group) {
                continue;
            }
            let kind = model.kind().name();
            return Err(self.conflict(
                &format!("train.optimizer.{name}"),
                decays.to_string(),
                &format!("model.kind is \"{kind}\", which has no {}", group.name()),
                "true, its default".to_owned(),
            ));
        }
        Ok(())
    }

    /// Refuses factors for what the network does not have.
    fn factors(&self) -> Result<(), ExperimentError> {
        let Experiment { model, train, .. } = self.experiment;
        let factors = &train.optimizer.factors;
        for (name, factor, group) in [
            ("lambda1", factors.lambda1, Group::Sparsity),
            ("dictionary", factors.dictionary, Group::Dictionary),
        ] {
            let with = format!(
                "model.kind is \"{}\", which has no {}",
                model.kind().name(),
                group.name()
            );
            self.fits(
                &format!("train.optimizer.factors.{name}"),
                factor,
                factor == 1.0 || model.groups().contains(&group),
                &with,
                || "1, its default".to_owned(),
            )?;
        }
        Ok(())
    }

    fn model(&self) -> Result<(), ExperimentError> {
        let Experiment { model, data, .. } = self.experiment;
        let kind = model.kind().name();
        self.places
            .refuse_foreign("model", "model.kind", kind, model.foreign())?;
        if let Some(misfit) = model.misfit(data.image_shape()) {
            return Err(self.conflict(
                &format!("model.{}", misfit.key),
                misfit.found,
                &misfit.with,
                misfit.expected,
            ));
        }
        if let Some(misfit) = model.misfit(data.image_shape()) {
            return Err(self.conflict(
                &format!("model.{}", misfit.key),
                misfit.found,
                &misfit.with,
                misfit.expected,
            ));
        }
        let Some(classes) = model.classes else { return Ok(()) };
        let has = data.dataset.classes();
        let with = format!("{} has {has} classes", data.dataset);
        self.fits("model.classes", classes, classes == has, &with, || has.to_string())
    }

    fn training(&self) -> Result<(), ExperimentError> {
        let train = &self.experiment.train;
        let (shards, batch) = (train.shards, self.experiment.data.batch_size);
        let fits = shards == 1 || batch.is_multiple_of(shards) && batch / shards >= MIN_IMAGES;
        let with = format!("data.batch_size is {batch}");
        self.fits("train.shards", shards, fits, &with, || {
            format!("a divisor of {batch} that leaves at least {MIN_IMAGES} images to each part")
        })?;
        let optimizer = &train.optimizer;
        let possible = !optimizer.nesterov || optimizer.momentum > 0.0;
        self.fits(
            "train.optimizer.nesterov",
            true,
            possible,
            "train.optimizer.momentum is 0",
            || "a momentum above 0 with it".to_owned(),
        )?;
        let possible = !optimizer.nesterov || optimizer.kind == OptimizerKind::Sgd;
        self.fits(
            "train.optimizer.nesterov",
            true,
            possible,
            "train.optimizer.kind is adam",
            || "sgd with it".to_owned(),
        )
    }

    fn schedule(&self) -> Result<(), ExperimentError> {
        let train = &self.experiment.train;
        let schedule = &train.schedule;

        let kind = schedule.kind.name();
        let foreign = schedule.foreign(kind);
        self.places
            .refuse_foreign("train.schedule", "train.schedule.kind", kind, foreign)?;

        let epochs = train.epochs;
        let with = format!("train.epochs is {epochs}");
        let below_epochs = || format!("less than {epochs}");
        let warmup = schedule.warmup_epochs.unwrap_or_default();
        self.fits(
            "train.schedule.warmup_epochs",
            warmup,
            warmup < epochs,
            &with,
            below_epochs,
        )?;
        if let Some(start) = schedule.warmup_start {
            let without = "train.schedule.warmup_epochs is 0";
            self.fits("train.schedule.warmup_start", start, warmup > 0, without, || {
                "it with a warm-up only".to_owned()
            })?;
        }
        if schedule.kind == ScheduleKind::Milestones {
            self.milestones(warmup)?;
        }
        if let Some(rate) = schedule.final_learning_rate {
            let highest = train.optimizer.learning_rate;
            let with = format!("train.optimizer.learning_rate is {highest}");
            self.fits(
                "train.schedule.final_learning_rate",
                rate,
                rate <= highest,
                &with,
                || format!("at most {highest}"),
            )?;
        }
        Ok(())
    }

    fn milestones(&self, warmup: usize) -> Result<(), ExperimentError> {
        const KEY: &str = "train.schedule.milestones";
        let epochs = self.experiment.train.epochs;
        let milestones = self.experiment.train.schedule.milestones.as_deref().unwrap_or_default();
        if milestones.is_empty() {
            let kind = "train.schedule.kind is \"milestones\"";
            return Err(self.conflict(KEY, "none".to_owned(), kind, EXPERIMENT.expected(KEY).to_owned()));
        }
        for (index, &milestone) in milestones.iter().enumerate() {
            let key = format!("{KEY}[{index}]");
            let with = format!("train.epochs is {epochs}");
            self.fits(&key, milestone, milestone < epochs, &with, || {
                format!("epochs before {epochs}")
            })?;
            let with = format!("the warm-up takes {warmup} epochs");
            self.fits(&key, milestone, milestone >= warmup, &with, || {
                format!("epochs from {warmup}")
            })?;
        }
        Ok(())
    }

    /// [`Places::fits`].
    fn fits(
        &self,
        key: &str,
        found: impl Display,
        allowed: bool,
        with: &str,
        expected: impl FnOnce() -> String,
    ) -> Result<(), ExperimentError> {
        self.places.fits(key, found, allowed, with, expected)
    }

    /// [`Places::conflict`].
    fn conflict(&self, key: &str, found: String, with: &str, expected: String) -> ExperimentError {
        self.places.conflict(key, found, with, expected)
    }
}
