//! The study of a network: what the theorems ask of each coding layer and promise of it, on the codes that the network
//! makes of a sample of images, beside the error that it makes where noise is added to them.
//!
//! A real image has no nested codes. Conditions are held against the network's own codes, the error is that of the codes
//! of the noisy image against those of the clean one, and what the theorems assume and the network does not meet is told.

mod layer;
mod report;

pub use report::{Condition, Guarantees, LayerReport, Pursuit, Report, Thresholding};

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use scn_data::{Batch, Loader};
use scn_models::{Model, Network};
use scn_train::{DataConfig, EvaluationSplit, Experiment, Splits, images};

use self::layer::Layer;
use super::norms::{Maps, Patch, patch_energy};
use crate::{StudyError, Trained};

/// What is studied.
pub enum Subject {
    /// A run or a checkpoint.
    Trained(Box<Trained>),
    /// An experiment file, whose network is the initial one.
    Experiment(PathBuf, Box<Experiment>),
}

/// On what it is studied.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `ε₀ = ‖E‖ᴾ₂,∞`, the largest norm of the noise in a window of the first layer, in units of the network's input.
    pub noise: f64,
    /// Of the noise.
    pub seed: u64,
}

impl Subject {
    /// The run or the checkpoint in a folder, or an experiment file.
    ///
    /// # Errors
    /// As [`Trained::load`] and [`Experiment::load`].
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, StudyError> {
        if path.is_dir() {
            return Ok(Subject::Trained(Box::new(Trained::load(path)?)));
        }
        let experiment = Experiment::load(path, overrides)?.experiment;
        Ok(Subject::Experiment(path.to_path_buf(), Box::new(experiment)))
    }

    /// The data that it was or is to be trained on.
    pub fn data(&self) -> &DataConfig {
        match self {
            Subject::Trained(trained) => &trained.checkpoint.description.data,
            Subject::Experiment(_, experiment) => &experiment.data,
        }
    }

    /// Where it lies.
    fn place(&self) -> String {
        match self {
            Subject::Trained(trained) => trained.path.display().to_string(),
            Subject::Experiment(path, _) => path.display().to_string(),
        }
    }

    /// Name of the network.
    fn model(&self) -> &'static str {
        match self {
            Subject::Trained(trained) => trained.checkpoint.description.model.kind().name(),
            Subject::Experiment(_, experiment) => experiment.model.kind().name(),
        }
    }

    /// The network without autodiff, and the test images that it is shown.
    fn open(&self, data: &DataConfig, device: &Device) -> Result<(Model, Loader), StudyError> {
        match self {
            Subject::Trained(trained) => {
                let description = &trained.checkpoint.description;
                let (seed, normalization) = (description.seed, &description.normalization);
                let loader = Splits::evaluation(EvaluationSplit::Test, data, seed, normalization)?;
                let model = trained.network(&description.model, loader.image_shape(), device)?;
                Ok((model.valid(), loader))
            }
            Subject::Experiment(_, experiment) => {
                let loader = Splits::load(data, experiment.seed)?.test;
                let classes = experiment.model.classes.unwrap_or_else(|| data.dataset.classes());
                let (image, seed) = (loader.image_shape(), experiment.seed);
                let model = Model::new(&experiment.model, image, classes, seed, device)?;
                Ok((model.valid(), loader))
            }
        }
    }
}

/// Studies the coding layers of a network on the test images of `data`.
///
/// # Errors
/// [`StudyError::NoDictionaries`], [`StudyError::ZeroAtoms`], [`StudyError::Correlations`], [`StudyError::NotFinite`],
/// and whatever keeps weights or images from being read.
pub fn study(subject: &Subject, data: &DataConfig, options: Options, device: &Device) -> Result<Report, StudyError> {
    let (model, loader) = subject.open(data, device)?;
    let mut layers = Layer::all(model.coding_layers())?;
    let Some(first) = layers.first() else {
        return Err(StudyError::NoDictionaries(subject.place()));
    };
    let window = first.window();
    for batch in loader.epoch(0, 0) {
        let clean = images(&batch, device);
        let noise = noise(&batch, window, options);
        let noisy = clean.clone() + Tensor::from_data(TensorData::new(noise, batch.shape), device);
        let coded = model.coded(clean).into_iter().zip(model.coded(noisy));
        let mut seen = 0;
        for (layer, (clean, noisy)) in layers.iter_mut().zip(coded) {
            layer.add(clean, noisy)?;
            seen += 1;
        }
        assert_eq!(seen, layers.len(), "a network tells the codes of all its coding layers");
    }
    Ok(Report {
        subject: subject.place(),
        weights_sha256: match subject {
            Subject::Trained(trained) => Some(trained.weights_sha256()),
            Subject::Experiment(..) => None,
        },
        model: subject.model(),
        images: loader.images(),
        noise: options.noise,
        seed: options.seed,
        layers: layer::reports(&layers, options.noise),
    })
}

/// White noise for each image of a batch, by its record, the largest patch of which has the norm that was asked for.
fn noise(batch: &Batch, window: Patch, options: Options) -> Vec<f32> {
    let [_, channels, height, width] = batch.shape;
    let noise_of = |&record: &u32| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&options.seed.to_le_bytes());
        key[8..12].copy_from_slice(&record.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        let values: Vec<f64> = (0..channels * height * width)
            .map(|_| StandardNormal.sample(&mut random))
            .collect();
        let maps = Maps {
            values: &values,
            shape: [1, channels, height, width],
        };
        let scale = options.noise / patch_energy(maps, window);
        values.into_iter().map(move |value| (value * scale) as f32)
    };
    batch.records.iter().flat_map(noise_of).collect()
}
