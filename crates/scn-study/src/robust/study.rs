//! Fitting on corrupted training images, and evaluating on corrupted test images.

use std::fmt;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use scn_data::{Corruption, DatasetKind, ImageSet, Loader, corrupt, find_cifar10_c, limit, read_cifar10_c};
use scn_models::{Model, Network, Sparsity};
use scn_train::{DataConfig, EvaluationSplit, Splits, StopFlag, evaluation_loader};

use super::{FitPoint, Inference, Report, Row, SparsityFit, best_of, evaluate, mean_residual, percent};
use crate::{StudyError, Trained};

/// λ that are tried unless others are given: those of the authors' program.
const LAMBDAS: [f64; 14] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4];
/// Factors on λ₁ that are tried unless others are given.
const FACTORS: [f64; 8] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// What is studied.
#[derive(Clone, Debug)]
pub struct Options {
    /// The sparsities that are tried; of none, the usual ones.
    pub sparsities: Vec<f64>,
    /// What is done to the images, besides nothing.
    pub corruptions: Vec<Corruption>,
    /// Training images of the fit, at most.
    pub fit_images: usize,
    /// Of the corruptions.
    pub seed: u64,
}

/// What is done, as it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The best sparsity on training images with one corruption.
    Fitted {
        /// What was done to the images.
        corruption: String,
        /// The best value.
        best: f64,
        /// The accuracy with it, in percent.
        accuracy: f64,
    },
    /// The network on test images with one corruption.
    Tested {
        /// What was done to the images.
        corruption: String,
        /// The accuracy with the sparsity of training, in percent.
        fixed: f64,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Fitted {
                corruption,
                best,
                accuracy,
            } => write!(formatter, "fit, {corruption}: {accuracy:.2} % at {best}"),
            Step::Tested { corruption, fixed } => write!(formatter, "test, {corruption}: {fixed:.2} % as trained"),
        }
    }
}

/// Fits and evaluates a network, which is asked for `data`; `None` where `stop` was set on the way.
///
/// # Errors
/// [`StudyError::NoCodes`] and [`StudyError::Sparsity`] where the sparsities do not fit the network, and whatever keeps
/// images from being read.
pub fn study(
    trained: &Trained,
    data: &DataConfig,
    options: &Options,
    device: &Device,
    stop: &StopFlag,
    progress: &mut dyn FnMut(Step),
) -> Result<Option<Report>, StudyError> {
    let description = &trained.checkpoint.description;
    let test = Splits::images(EvaluationSplit::Test, data, description.seed)?;
    let train = Splits::images(EvaluationSplit::Train, data, description.seed)?;
    let model = trained.network(&description.model, data.image_shape(), device)?.valid();
    let mut study = Study {
        tried: tried(&options.sparsities, model.sparsity())?,
        model,
        trained,
        data,
        options,
        device,
        stop,
        progress,
    };
    study.report(train, test)
}

/// The sparsities that are tried on a network, rising.
fn tried(given: &[f64], sparsity: Option<Sparsity>) -> Result<Vec<f64>, StudyError> {
    let Some(sparsity) = sparsity else {
        return if given.is_empty() {
            Ok(Vec::new())
        } else {
            Err(StudyError::NoCodes)
        };
    };
    let mut tried = match (given.is_empty(), sparsity) {
        (false, _) => given.to_vec(),
        (true, Sparsity::Lambda(_)) => LAMBDAS.to_vec(),
        (true, Sparsity::Factor) => FACTORS.to_vec(),
    };
    // A factor divides: see the layer. λ may be 0.
    let (allowed, expected): (fn(f64) -> bool, _) = match sparsity {
        Sparsity::Lambda(_) => (|value| value.is_finite() && value >= 0.0, "finite values, at least 0"),
        Sparsity::Factor => (|value| value.is_finite() && value > 0.0, "finite factors above 0"),
    };
    if let Some(&found) = tried.iter().find(|value| !allowed(**value)) {
        return Err(StudyError::Sparsity { found, expected });
    }
    tried.sort_by(f64::total_cmp);
    tried.dedup();
    Ok(tried)
}

/// One network on one dataset.
struct Study<'a> {
    model: Model,
    trained: &'a Trained,
    data: &'a DataConfig,
    options: &'a Options,
    device: &'a Device,
    stop: &'a StopFlag,
    progress: &'a mut dyn FnMut(Step),
    tried: Vec<f64>,
}

impl Study<'_> {
    /// `None` where a signal came.
    fn report(&mut self, train: ImageSet, test: ImageSet) -> Result<Option<Report>, StudyError> {
        let seed = self.options.seed;
        let corruptions: Vec<_> = [None]
            .into_iter()
            .chain(self.options.corruptions.iter().copied().map(Some))
            .collect();
        let fit_images = self.options.fit_images.min(train.count());
        let fitted_on = limit(&train, fit_images, self.trained.checkpoint.description.seed)?;
        let mut fit_points = Vec::new();
        if !self.tried.is_empty() {
            for &corruption in &corruptions {
                let Some(point) = self.fit_point(&fitted_on, corruption)? else {
                    return Ok(None);
                };
                fit_points.push(point);
            }
        }
        let fit = (!fit_points.is_empty()).then(|| SparsityFit::through(&fit_points, &self.tried));
        let files = (self.data.dataset == DatasetKind::Cifar10)
            .then(|| find_cifar10_c(&self.data.dir))
            .flatten();
        let mut rows = Vec::new();
        for &corruption in &corruptions {
            let set = match (corruption, &files) {
                (None, _) => test.clone(),
                (Some(corruption), None) => corrupt(&test, corruption, seed),
                (Some(corruption), Some(folder)) => {
                    let records: Vec<usize> = (0..test.count()).map(|i| test.record(i) as usize).collect();
                    let corrupted = read_cifar10_c(&self.data.dir, corruption)?.select(&records);
                    check_labels(&test, &corrupted, folder)?;
                    corrupted
                }
            };
            let Some(row) = self.row(set, corruption, fit.as_ref())? else {
                return Ok(None);
            };
            rows.push(row);
        }
        let sparsity = self.model.sparsity();
        Ok(Some(Report {
            checkpoint: self.trained.path.display().to_string(),
            weights_sha256: self.trained.weights_sha256(),
            model: self.trained.checkpoint.description.model.kind().name(),
            sparsity: sparsity.map(Sparsity::name),
            trained: sparsity.map(Sparsity::trained),
            tried: self.tried.clone(),
            fit,
            fit_images,
            fit_points,
            corruptions: match files {
                Some(folder) => format!("the CIFAR-10-C files in {}", folder.display()),
                None => format!("made by the formulas of CIFAR-10-C, seed {seed}"),
            },
            test_images: test.count(),
            rows,
        }))
    }

    fn loader(&self, set: ImageSet) -> Result<Loader, StudyError> {
        let normalization = &self.trained.checkpoint.description.normalization;
        Ok(evaluation_loader(set, self.data, normalization)?)
    }

    fn fit_point(&mut self, images: &ImageSet, corruption: Option<Corruption>) -> Result<Option<FitPoint>, StudyError> {
        let set = match corruption {
            None => images.clone(),
            Some(corruption) => corrupt(images, corruption, self.options.seed),
        };
        let loader = self.loader(set)?;
        let Some(residual) = mean_residual(&self.model, &loader, self.device, self.stop) else {
            return Ok(None);
        };
        let Some((best, accuracy)) = best_of(&self.tried, &self.model, &loader, self.device, self.stop) else {
            return Ok(None);
        };
        let corruption = name(corruption);
        (self.progress)(Step::Fitted {
            corruption: corruption.clone(),
            best,
            accuracy,
        });
        Ok(Some(FitPoint {
            corruption,
            residual: residual.unwrap_or_default(),
            best,
        }))
    }

    fn row(
        &mut self,
        set: ImageSet,
        corruption: Option<Corruption>,
        fit: Option<&SparsityFit>,
    ) -> Result<Option<Row>, StudyError> {
        let loader = self.loader(set)?;
        let accuracy = |inference| {
            let counts = evaluate(&self.model, &loader, inference, self.device, self.stop);
            counts.map(|counts| percent(&counts))
        };
        let Some(fixed) = accuracy(Inference::Trained) else {
            return Ok(None);
        };
        let mut row = Row {
            noise: corruption.map_or("none", |corruption| corruption.noise.name()),
            severity: corruption.map_or(0, |corruption| corruption.severity),
            residual: None,
            fixed,
            fitted: None,
            best: None,
            best_value: None,
        };
        if let Some(fit) = fit {
            let Some(residual) = mean_residual(&self.model, &loader, self.device, self.stop) else {
                return Ok(None);
            };
            let Some(fitted) = accuracy(Inference::Fitted(fit)) else {
                return Ok(None);
            };
            let Some((value, best)) = best_of(&self.tried, &self.model, &loader, self.device, self.stop) else {
                return Ok(None);
            };
            (row.residual, row.fitted) = (residual, Some(fitted));
            (row.best, row.best_value) = (Some(best), Some(value));
        }
        (self.progress)(Step::Tested {
            corruption: name(corruption),
            fixed,
        });
        Ok(Some(row))
    }
}

/// CIFAR-10-C has the images of the official test set in its order.
fn check_labels(test: &ImageSet, corrupted: &ImageSet, folder: &Path) -> Result<(), StudyError> {
    let wrong = (0..test.count()).find(|&i| test.label(i) != corrupted.label(i));
    wrong.map_or(Ok(()), |i| {
        Err(StudyError::OtherOrder {
            folder: folder.to_path_buf(),
            image: test.record(i),
            found: corrupted.label(i),
            expected: test.label(i),
        })
    })
}

fn name(corruption: Option<Corruption>) -> String {
    corruption.map_or_else(
        || "no noise".into(),
        |corruption| format!("{} {}", corruption.noise.name(), corruption.severity),
    )
}
