//! A network on images that are made against it, and against another.

use std::fmt;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use scn_data::Batch;
use scn_interop::tensors::floats;
use scn_models::Model;
use scn_train::loss::Counts;
use scn_train::{DataConfig, EvaluationSplit, Splits, StopFlag, images};
use serde::Serialize;

use super::{Attack, Perturbation, PixelScale};
use crate::robust::{Inference, SparsityFit, percent};
use crate::{StudyError, Trained, store_beside};

/// Where the report lies below a run or a checkpoint.
const FILE: &str = "attack.json";

/// What is found, shown and stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The checkpoint.
    pub checkpoint: String,
    /// Name of the network.
    pub model: &'static str,
    /// The attack.
    pub attack: Attack,
    /// Test images.
    pub test_images: usize,
    /// One for each kind of images.
    pub rows: Vec<Row>,
}

/// Accuracies in percent on one kind of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What the images are, in words.
    pub images: String,
    /// With the sparsity of training.
    pub fixed: f64,
    /// With the sparsity that the residual chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fitted: Option<f64>,
    /// Mean over the images of the largest change of a value.
    pub mean_linf: f64,
    /// Mean Euclidean length of the change of an image.
    pub mean_l2: f64,
}

/// A batch that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Images that are done.
    pub images: usize,
    /// All of them.
    pub of: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{} images", self.images, self.of)
    }
}

impl Report {
    /// Stores the report in the folder of a run or of a checkpoint.
    ///
    /// # Errors
    /// As [`store_beside`].
    pub fn store(&self, folder: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| StudyError::Json {
            file: folder.join(FILE),
            error,
        })?;
        store_beside(folder, &[(FILE, json)])
    }
}

/// Attacks a network on test images, which is asked for `data`: as it was trained, with `fit` also through the choice of
/// the sparsity, and with images made against `other`. `None` where `stop` was set on the way.
///
/// # Errors
/// [`StudyError::OtherImages`], and whatever keeps networks from being made and images from being read.
pub fn study(
    trained: &Trained,
    other: Option<&Trained>,
    fit: Option<SparsityFit>,
    attack: Attack,
    data: &DataConfig,
    device: &Device,
    stop: &StopFlag,
    progress: &mut dyn FnMut(Step),
) -> Result<Option<Report>, StudyError> {
    if let Some(other) = other {
        let (shape, expected) = (other.checkpoint.description.data.image_shape(), data.image_shape());
        if shape != expected {
            let path = other.path.clone();
            return Err(StudyError::OtherImages { path, shape, expected });
        }
    }
    let description = &trained.checkpoint.description;
    let loader = Splits::evaluation(
        EvaluationSplit::Test,
        data,
        description.seed,
        &description.normalization,
    )?;
    let target = Network::new(trained, data, device)?;
    let made_against = match other {
        None => None,
        Some(other) => Some(Network::new(other, data, device)?),
    };
    let mut kinds = vec![
        Kind::Clean,
        Kind::Against(&target, Inference::Trained, "attacked as trained".into()),
    ];
    if let Some(fit) = &fit {
        let adaptive = "attacked through the choice of the sparsity".into();
        kinds.push(Kind::Against(&target, Inference::Fitted(fit), adaptive));
    }
    if let (Some(network), Some(other)) = (&made_against, other) {
        let words = format!("made against {}", other.path.display());
        kinds.push(Kind::Against(network, Inference::Trained, words));
    }
    let mut tallies: Vec<Tally> = kinds.iter().map(|_| Tally::default()).collect();
    let mut done = 0;
    for batch in loader.epoch(0, 0) {
        let pixels = target.scale.pixels(images(&batch, device));
        for (kind, tally) in kinds.iter().zip(&mut tallies) {
            if stop.signal().is_some() {
                return Ok(None);
            }
            let attacked = match kind {
                Kind::Clean => pixels.clone(),
                Kind::Against(network, inference, _) => network.attacked(&attack, *inference, &pixels, &batch),
            };
            tally.add(&target, fit.as_ref(), &pixels, attacked, &batch);
        }
        done += batch.labels.len();
        progress(Step {
            images: done,
            of: loader.images(),
        });
    }
    let rows = kinds
        .iter()
        .zip(&tallies)
        .map(|(kind, tally)| tally.row(kind, fit.is_some()));
    Ok(Some(Report {
        checkpoint: trained.path.display().to_string(),
        model: description.model.kind().name(),
        attack,
        test_images: loader.images(),
        rows: rows.collect(),
    }))
}

/// Images of one kind.
enum Kind<'a> {
    /// As they are.
    Clean,
    /// Made against a network with an inference, in words.
    Against(&'a Network, Inference<'a>, String),
}

/// A network in evaluation, with and without autodiff.
struct Network {
    evaluated: Model,
    differentiable: Model,
    scale: PixelScale,
    differentiable_scale: PixelScale,
}

impl Network {
    fn new(trained: &Trained, data: &DataConfig, device: &Device) -> Result<Self, StudyError> {
        let description = &trained.checkpoint.description;
        let autodiff = device.clone().autodiff();
        let model = trained.network(&description.model, data.image_shape(), &autodiff)?;
        // Its own normalisation: the images are the other's.
        let scale = |device: &Device| PixelScale::new(data, &description.normalization, device);
        Ok(Self {
            evaluated: model.valid(),
            differentiable: model.no_grad(),
            scale: scale(device)?,
            differentiable_scale: scale(&autodiff)?,
        })
    }

    /// Pixels that an attack makes of `pixels`.
    fn attacked(&self, attack: &Attack, inference: Inference, pixels: &Tensor<4>, batch: &Batch) -> Tensor<4> {
        let logits = |pixels| {
            let images = self.differentiable_scale.normalized(pixels);
            let output = inference.forward(&self.differentiable, images);
            (output.logits, output.backward)
        };
        attack.perturb(&logits, pixels.clone(), &batch.labels, &batch.records)
    }

    /// What it makes of `pixels`.
    fn counts(&self, inference: Inference, pixels: Tensor<4>, labels: &[i32]) -> Counts {
        let logits = inference.logits(&self.evaluated, self.scale.normalized(pixels));
        Counts::of(&floats(logits.into_data()), labels, 0.0)
    }
}

/// What the network attacked makes of images of one kind.
#[derive(Default)]
struct Tally {
    fixed: Counts,
    fitted: Counts,
    linf: f64,
    l2: f64,
}

impl Tally {
    fn add(
        &mut self,
        target: &Network,
        fit: Option<&SparsityFit>,
        pixels: &Tensor<4>,
        attacked: Tensor<4>,
        batch: &Batch,
    ) {
        let Perturbation { linf, l2 } = Perturbation::sums(pixels, &attacked);
        self.linf += linf;
        self.l2 += l2;
        self.fixed
            .add(&target.counts(Inference::Trained, attacked.clone(), &batch.labels));
        if let Some(fit) = fit {
            self.fitted
                .add(&target.counts(Inference::Fitted(fit), attacked, &batch.labels));
        }
    }

    fn row(&self, kind: &Kind, fitted: bool) -> Row {
        let images = self.fixed.images.max(1) as f64;
        Row {
            images: match kind {
                Kind::Clean => "as they are".into(),
                Kind::Against(_, _, words) => words.clone(),
            },
            fixed: percent(&self.fixed),
            fitted: fitted.then(|| percent(&self.fitted)),
            mean_linf: self.linf / images,
            mean_l2: self.l2 / images,
        }
    }
}
