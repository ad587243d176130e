//! The three splits of an experiment, ready to be cut into batches.

use scn_data::{ImageSet, Loader, Normalization, Split, limit, noise, read, split_validation};

use crate::{DataConfig, TrainError};

/// Loaders of an experiment's data.
#[derive(Clone, Debug)]
pub struct Splits {
    /// Shuffled and augmented.
    pub train: Loader,
    /// Held out from the training set; `None` where `data.validation` is 0.
    pub validation: Option<Loader>,
    /// The official test set.
    pub test: Loader,
    /// Fitted on the training images that are used.
    pub normalization: Normalization,
    /// The training images that are used, as they are in the dataset.
    pub(crate) train_images: ImageSet,
}

/// A split that can be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationSplit {
    /// The official test set.
    Test,
    /// Held out from the training set.
    Validation,
    /// The training images, not augmented.
    Train,
}

impl EvaluationSplit {
    /// Every split.
    pub const ALL: [EvaluationSplit; 3] = [
        EvaluationSplit::Test,
        EvaluationSplit::Validation,
        EvaluationSplit::Train,
    ];

    /// Its name on the command line and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            EvaluationSplit::Test => "test",
            EvaluationSplit::Validation => "validation",
            EvaluationSplit::Train => "train",
        }
    }
}

impl Splits {
    /// Reads the dataset and cuts it as `data` says; `seed` decides which images are held out.
    ///
    /// # Errors
    /// [`TrainError::Data`].
    pub fn load(data: &DataConfig, seed: u64) -> Result<Self, TrainError> {
        let (train, validation) = training_images(data, seed)?;
        Self::of(train, validation, test_images(data, seed)?, data, seed)
    }

    /// `images` images of noise in the dataset's shape, to train on and to test on.
    ///
    /// # Errors
    /// [`TrainError::Data`] where the batch size or the augmentation does not fit them.
    pub fn noise(data: &DataConfig, seed: u64, images: usize) -> Result<Self, TrainError> {
        let set = noise(data.dataset, images, seed);
        Self::of(set.clone(), None, set, data, seed)
    }

    fn of(
        train: ImageSet,
        validation: Option<ImageSet>,
        test: ImageSet,
        data: &DataConfig,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let normalization = Normalization::fit(&train, data.mean, data.divide);
        let evaluation = |set| evaluation_loader(set, data, &normalization);
        Ok(Self {
            validation: validation.map(evaluation).transpose()?,
            test: evaluation(test)?,
            train: Loader::training(
                train.clone(),
                normalization.clone(),
                data.augment.clone(),
                data.batch_size,
                false,
                seed,
            )?,
            normalization,
            train_images: train,
        })
    }

    /// The images of one split, in order and not augmented, normalised as a checkpoint says.
    ///
    /// # Errors
    /// [`TrainError::Data`], [`TrainError::EmptySplit`].
    pub fn evaluation(
        split: EvaluationSplit,
        data: &DataConfig,
        seed: u64,
        normalization: &Normalization,
    ) -> Result<Loader, TrainError> {
        evaluation_loader(Self::images(split, data, seed)?, data, normalization)
    }

    /// The images of one split as they are in the dataset.
    ///
    /// # Errors
    /// [`TrainError::Data`], [`TrainError::EmptySplit`].
    pub fn images(split: EvaluationSplit, data: &DataConfig, seed: u64) -> Result<ImageSet, TrainError> {
        match split {
            EvaluationSplit::Test => test_images(data, seed),
            EvaluationSplit::Train => Ok(training_images(data, seed)?.0),
            EvaluationSplit::Validation => training_images(data, seed)?
                .1
                .ok_or(TrainError::EmptySplit { split: split.name() }),
        }
    }
}

/// Images in order, normalised as a checkpoint says and cut as evaluation cuts them.
///
/// # Errors
/// [`TrainError::Data`].
pub fn evaluation_loader(
    set: ImageSet,
    data: &DataConfig,
    normalization: &Normalization,
) -> Result<Loader, TrainError> {
    Ok(Loader::evaluation(
        set,
        normalization.clone(),
        data.augment.crop,
        data.batch_size,
    )?)
}

/// The training and the validation images.
fn training_images(data: &DataConfig, seed: u64) -> Result<(ImageSet, Option<ImageSet>), TrainError> {
    let all = read(data.dataset, Split::Train, &data.dir)?;
    let (train, validation) = split_validation(&all, data.validation.images(all.count()), seed)?;
    let train = match data.train_images {
        Some(images) => limit(&train, images, seed)?,
        None => train,
    };
    Ok((train, validation))
}

fn test_images(data: &DataConfig, seed: u64) -> Result<ImageSet, TrainError> {
    let test = read(data.dataset, Split::Test, &data.dir)?;
    Ok(match data.test_images {
        Some(images) => limit(&test, images, seed)?,
        None => test,
    })
}
