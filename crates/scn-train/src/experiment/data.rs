//! The `data` table.

use std::fmt;
use std::path::PathBuf;

use scn_data::{Augmentation, DatasetKind, MeanSubtraction};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The images of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Which dataset; required.
    pub dataset: DatasetKind,
    /// The folder of the datasets, relative to the working directory. Default `datasets`.
    #[serde(default = "dir")]
    pub dir: PathBuf,
    /// Images of a training step. Default 128.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// What is taken from the training set, before any limit, to choose the best checkpoint. Default 0.1.
    #[serde(default)]
    pub validation: Validation,
    /// Train on this many images, for trials. Default: all that validation leaves.
    pub train_images: Option<usize>,
    /// Test on this many images, for trials. Default: all.
    pub test_images: Option<usize>,
    /// Which mean of the training images is subtracted. Default `per-channel`.
    #[serde(default = "mean")]
    pub mean: MeanSubtraction,
    /// Whether each channel is divided by its standard deviation. Default false.
    #[serde(default)]
    pub divide: bool,
    /// Random changes to the training images. Default none.
    #[serde(default)]
    pub augment: Augmentation,
}

impl DataConfig {
    /// A dataset with the defaults.
    pub fn new(dataset: DatasetKind) -> Self {
        Self {
            dataset,
            dir: dir(),
            batch_size: batch_size(),
            validation: Validation::default(),
            train_images: None,
            test_images: None,
            mean: mean(),
            divide: false,
            augment: Augmentation::default(),
        }
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

fn dir() -> PathBuf {
    PathBuf::from("datasets")
}

fn batch_size() -> usize {
    128
}

fn mean() -> MeanSubtraction {
    MeanSubtraction::PerChannel
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

impl Default for Validation {
    fn default() -> Self {
        Validation::Fraction(0.1)
    }
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

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Validation::Images(images) => images.serialize(serializer),
            Validation::Fraction(fraction) => fraction.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrFraction;

        impl Visitor<'_> for CountOrFraction {
            type Value = Validation;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a count or a fraction")
            }

            fn visit_i64<E: Error>(self, images: i64) -> Result<Validation, E> {
                usize::try_from(images).map(Validation::Images).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, images: u64) -> Result<Validation, E> {
                usize::try_from(images).map(Validation::Images).map_err(E::custom)
            }

            fn visit_f64<E: Error>(self, fraction: f64) -> Result<Validation, E> {
                Ok(Validation::Fraction(fraction))
            }
        }

        deserializer.deserialize_any(CountOrFraction)
    }
}
