//! Values and combinations of values that make no experiment.

use std::fmt::Display;

use scn_models::ModelError;
use toml::Table;

use super::error::ExperimentError;
use super::keys::expected;
use super::load::{lookup, quote};
use super::places::Places;
use super::{Experiment, ScheduleKind, Validation};

const MAX_COUNT: usize = 1_000_000;
const MAX_THREADS: usize = 1024;
/// Longest name of a folder on common file systems, in bytes.
const MAX_NAME: usize = 255;
/// Batch norm needs two images.
const MIN_IMAGES: usize = 2;

impl Experiment {
    /// Checks every value and what goes together; [`Experiment::load`] has done so.
    ///
    /// # Errors
    /// [`ExperimentError::Value`] and [`ExperimentError::Conflict`] with the key.
    pub fn validate(&self) -> Result<(), ExperimentError> {
        self.check(&Places::default())
    }

    /// The experiment with every default written out that depends on other values.
    pub(super) fn with_defaults(mut self) -> Self {
        if let Ok(model) = self.model.with_defaults(self.data.dataset.classes()) {
            self.model = model;
        }
        self.train.schedule = self.train.schedule.with_defaults();
        self
    }

    pub(super) fn check(&self, places: &Places) -> Result<(), ExperimentError> {
        let checker = Checker {
            experiment: self,
            places,
        };
        checker.general()?;
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
    fn general(&self) -> Result<(), ExperimentError> {
        let Experiment { name, seed, run, .. } = self.experiment;
        let folder = !["", ".", ".."].contains(&name.as_str())
            && name.len() <= MAX_NAME
            && name.trim() == name
            && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
        self.value("name", format!("{name:?}"), folder)?;
        self.value("seed", seed, i64::try_from(*seed).is_ok())?;
        self.value("run.threads", run.threads, run.threads <= MAX_THREADS)?;
        self.count("run.checkpoint_every", run.checkpoint_every)?;
        self.positive("run.checkpoint_minutes", run.checkpoint_minutes)
    }

    fn images(&self) -> Result<(), ExperimentError> {
        let data = &self.experiment.data;
        let info = data.dataset.info();
        let (train, test) = (info.train_images, info.test_images);
        let batch_size = data.batch_size;
        self.value(
            "data.batch_size",
            batch_size,
            (MIN_IMAGES..=MAX_COUNT).contains(&batch_size),
        )?;

        if let Validation::Fraction(fraction) = data.validation {
            self.value("data.validation", data.validation, (0.0..1.0).contains(&fraction))?;
        }
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
            self.value("data.train_images", images, images >= MIN_IMAGES)?;
            let left = train - validation;
            let has = format!("{has} and {validation} of them are for validation");
            self.fits("data.train_images", images, images <= left, &has, || {
                format!("at most {left}")
            })?;
        }
        if let Some(images) = data.test_images {
            self.value("data.test_images", images, images >= 1)?;
            let has = format!("{} has {test} test images", info.name);
            self.fits("data.test_images", images, images <= test, &has, || {
                format!("at most {test}")
            })?;
        }

        let [_, height, width] = info.shape;
        let side = height.min(width);
        let has = format!("the images of {} are {height}×{width}", info.name);
        if let Some(crop) = data.augment.crop {
            self.value("data.augment.crop", crop, crop >= 1)?;
            self.fits("data.augment.crop", crop, crop <= side, &has, || {
                format!("at most {side}")
            })?;
        }
        let shift = data.augment.shift;
        self.fits("data.augment.shift", shift, shift < side, &has, || {
            format!("at most {}", side - 1)
        })
    }

    fn model(&self) -> Result<(), ExperimentError> {
        let Experiment { model, data, .. } = self.experiment;
        if let Err(error) = model.resolve() {
            let key = format!("model.{}", error.key());
            return Err(match error {
                ModelError::Range { value, .. } => self.wrong(&key, value),
                ModelError::Foreign {
                    key: name,
                    kind,
                    owners,
                } => {
                    let written = Table::try_from(model).unwrap_or_default();
                    let found = lookup(&written, name).map(quote).unwrap_or_default();
                    let kind = format!("model.kind is \"{kind}\"");
                    let owners: Vec<String> = owners.iter().map(|owner| format!("\"{owner}\"")).collect();
                    let expected = format!("it with model.kind = {} only", owners.join(" or "));
                    self.conflict(&key, found, &kind, expected)
                }
            });
        }
        let Some(classes) = model.classes else { return Ok(()) };
        let has = data.dataset.classes();
        let with = format!("{} has {has} classes", data.dataset);
        self.fits("model.classes", classes, classes == has, &with, || has.to_string())
    }

    fn training(&self) -> Result<(), ExperimentError> {
        let train = &self.experiment.train;
        let optimizer = &train.optimizer;
        self.count("train.epochs", train.epochs)?;
        self.below_one("train.label_smoothing", train.label_smoothing)?;
        if let Some(norm) = train.clip_norm {
            self.positive("train.clip_norm", norm)?;
        }
        self.positive("train.optimizer.learning_rate", optimizer.learning_rate)?;
        self.below_one("train.optimizer.momentum", optimizer.momentum)?;
        self.not_negative("train.optimizer.weight_decay", optimizer.weight_decay)?;
        let possible = !optimizer.nesterov || optimizer.momentum > 0.0;
        self.fits(
            "train.optimizer.nesterov",
            true,
            possible,
            "train.optimizer.momentum is 0",
            || "a momentum above 0 with it".to_owned(),
        )
    }

    fn schedule(&self) -> Result<(), ExperimentError> {
        use ScheduleKind::{Constant, Cosine, Milestones, OneCycle};
        let train = &self.experiment.train;
        let schedule = &train.schedule;

        let ramped: &[ScheduleKind] = &[Constant, Milestones, Cosine];
        self.only("warmup_epochs", ramped)?;
        self.only("warmup_start", ramped)?;
        self.only("milestones", &[Milestones])?;
        self.only("factor", &[Milestones])?;
        self.only("final_learning_rate", &[Cosine])?;
        for key in ["peak_fraction", "anneal", "initial_divisor", "final_divisor"] {
            self.only(key, &[OneCycle])?;
        }

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
            self.below_one("train.schedule.warmup_start", start)?;
            let without = "train.schedule.warmup_epochs is 0";
            self.fits("train.schedule.warmup_start", start, warmup > 0, without, || {
                "it with a warm-up only".to_owned()
            })?;
        }
        if schedule.kind == Milestones {
            self.milestones(warmup)?;
        }
        for (key, value) in [("factor", schedule.factor), ("peak_fraction", schedule.peak_fraction)] {
            if let Some(value) = value {
                self.value(&format!("train.schedule.{key}"), value, value > 0.0 && value < 1.0)?;
            }
        }
        for (key, value) in [
            ("initial_divisor", schedule.initial_divisor),
            ("final_divisor", schedule.final_divisor),
        ] {
            if let Some(value) = value {
                self.value(
                    &format!("train.schedule.{key}"),
                    value,
                    value >= 1.0 && value.is_finite(),
                )?;
            }
        }
        if let Some(rate) = schedule.final_learning_rate {
            self.not_negative("train.schedule.final_learning_rate", rate)?;
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
            return Err(self.conflict(KEY, "none".to_owned(), kind, expected(KEY).to_owned()));
        }
        let rising = milestones.is_sorted_by(|one, next| one < next);
        self.value(KEY, format!("{milestones:?}"), rising && milestones[0] >= 1)?;
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

    /// Refuses a key of the schedule unless it belongs to the kind that was chosen.
    fn only(&self, name: &str, kinds: &[ScheduleKind]) -> Result<(), ExperimentError> {
        let schedule = &self.experiment.train.schedule;
        if kinds.contains(&schedule.kind) {
            return Ok(());
        }
        let written = Table::try_from(schedule).unwrap_or_default();
        let Some(found) = written.get(name) else { return Ok(()) };
        let names: Vec<_> = kinds.iter().map(|kind| format!("\"{}\"", kind.name())).collect();
        Err(self.conflict(
            &format!("train.schedule.{name}"),
            quote(found),
            &format!("train.schedule.kind is \"{}\"", schedule.kind.name()),
            format!("it with train.schedule.kind = {} only", names.join(" or ")),
        ))
    }

    fn count(&self, key: &str, count: usize) -> Result<(), ExperimentError> {
        self.value(key, count, (1..=MAX_COUNT).contains(&count))
    }

    fn below_one(&self, key: &str, number: f64) -> Result<(), ExperimentError> {
        self.value(key, number, (0.0..1.0).contains(&number))
    }

    fn positive(&self, key: &str, number: f64) -> Result<(), ExperimentError> {
        self.value(key, number, number > 0.0 && number.is_finite())
    }

    fn not_negative(&self, key: &str, number: f64) -> Result<(), ExperimentError> {
        self.value(key, number, number >= 0.0 && number.is_finite())
    }

    /// Refuses a value outside the range of its key.
    fn value(&self, key: &str, found: impl Display, allowed: bool) -> Result<(), ExperimentError> {
        if allowed {
            Ok(())
        } else {
            Err(self.wrong(key, found.to_string()))
        }
    }

    /// Refuses a value that does not go with another.
    fn fits(
        &self,
        key: &str,
        found: impl Display,
        allowed: bool,
        with: &str,
        expected: impl FnOnce() -> String,
    ) -> Result<(), ExperimentError> {
        if allowed {
            Ok(())
        } else {
            Err(self.conflict(key, found.to_string(), with, expected()))
        }
    }

    fn wrong(&self, key: &str, found: String) -> ExperimentError {
        ExperimentError::Value {
            place: self.places.value(key),
            key: key.to_owned(),
            found,
            expected: expected(key),
            suggestion: None,
        }
    }

    fn conflict(&self, key: &str, found: String, with: &str, expected: String) -> ExperimentError {
        ExperimentError::Conflict {
            place: self.places.value(key),
            key: key.to_owned(),
            found,
            with: with.to_owned(),
            expected,
        }
    }
}
