//! The `data` table.

use std::fmt;
use std::path::PathBuf;

use scn_data::{Augmentation, DatasetKind, MeanSubtraction};
use scn_keys::{Table, Value, Wrong, toml};

scn_keys::required_table! {
    /// The images of an experiment.
    pub struct DataConfig {
        /// The dataset.
        pub dataset: DatasetKind = required(),
        /// The folder of the datasets, relative to the working directory.
        pub dir: PathBuf = default("datasets".into()).within(range("the path of a folder", |_| true)),
        /// Images of a training step.
        pub batch_size: usize = default(128).within(whole(MIN_IMAGES as u64, 1_000_000)),
        /// Part (0.1) or number (5000) of the training images that chooses the best checkpoint; 0: none is chosen.
        pub validation: Validation = default(Validation::Fraction(0.1)).within(range(
            Validation::expected(),
            |validation| match validation {
                Validation::Images(_) => true,
                Validation::Fraction(fraction) => (0.0..1.0).contains(fraction),
            },
        )),
        /// Train on this many images, for trials.
        pub train_images: Option<usize> = unset("all that validation leaves").within(at_least(MIN_IMAGES as u64)),
        /// Test on this many images, for trials.
        pub test_images: Option<usize> = unset("all").within(at_least(1)),
        /// The mean of the training images that is subtracted.
        pub mean: MeanSubtraction = default(MeanSubtraction::PerChannel),
        /// Divide each channel by its standard deviation.
        pub divide: bool = default(false),
        /// Random changes to the training images.
        pub augment: Augmentation = table(),
    }
}

/// Batch norm needs two images.
pub(super) const MIN_IMAGES: usize = 2;

impl DataConfig {
    /// A dataset with the defaults.
    pub fn new(dataset: DatasetKind) -> Self {
        let table = toml::Table::from_iter([("dataset".to_owned(), dataset.name().into())]);
        Self::read_table(&table).unwrap_or_else(|error| panic!("the other keys have defaults: {error}"))
    }

    /// Shape `[c, h, w]` of the images that a network sees.
    pub fn image_shape(&self) -> [usize; 3] {
        let [channels, height, width] = self.dataset.info().shape;
        match self.augment.crop {
            Some(side) => [channels, side, side],
            None => [channels, height, width],
        }
    }
}

/// The size of the validation set. With 0 images there is none: the last checkpoint is then the result and no best
/// one is chosen, so that the test set chooses nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validation {
    /// This many images: a whole number in the file.
    Images(usize),
    /// This part of the training set: a number with a decimal point in the file.
    Fraction(f64),
}

impl Validation {
    /// Images out of a training set of `train_images`; a fraction is rounded to the nearest.
    pub fn images(self, train_images: usize) -> usize {
        match self {
            Validation::Images(images) => images,
            Validation::Fraction(fraction) => (fraction * train_images as f64).round() as usize,
        }
    }
}

impl fmt::Display for Validation {
    /// As in the file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::Images(images) => write!(formatter, "{images}"),
            Validation::Fraction(fraction) => write!(formatter, "{fraction:?}"),
        }
    }
}

impl Value for Validation {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let found = match value {
            toml::Value::Integer(images) => usize::try_from(*images).ok().map(Validation::Images),
            toml::Value::Float(fraction) => Some(Validation::Fraction(*fraction)),
            _ => None,
        };
        found.ok_or_else(|| Wrong::expecting(Self::expected()))
    }

    fn write(&self) -> Option<toml::Value> {
        match self {
            Validation::Images(images) => images.write(),
            Validation::Fraction(fraction) => fraction.write(),
        }
    }

    fn expected() -> String {
        "a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}
