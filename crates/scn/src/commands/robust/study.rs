//! Fitting on corrupted training images, and evaluating on corrupted test images.

use std::path::Path;

use burn::tensor::Device;
use scn_data::{Corruption, DatasetKind, ImageSet, Loader, corrupt, find_cifar10_c, limit, read_cifar10_c};
use scn_models::{Model, Network, Sparsity};
use scn_train::checkpoint::Checkpoint;
use scn_train::robust::{FitPoint, Inference, SparsityFit, best_of, evaluate, mean_residual, percent};
use scn_train::{DataConfig, StopFlag, evaluation_loader};

use super::report::{Report, Row};
use crate::exit::BadInput;

/// One network on one dataset.
pub(super) struct Study<'a> {
    pub(super) model: &'a Model,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) data: &'a DataConfig,
    pub(super) device: &'a Device,
    pub(super) stop: &'a StopFlag,
    pub(super) tried: &'a [f64],
    /// From none on.
    pub(super) corruptions: &'a [Option<Corruption>],
    pub(super) fit_images: usize,
    /// Of the corruptions.
    pub(super) seed: u64,
}

impl Study<'_> {
    /// `None` where a signal came.
    pub(super) fn report(&self, path: &Path, train: ImageSet, test: ImageSet) -> anyhow::Result<Option<Report>> {
        let fit_images = self.fit_images.min(train.count());
        let seed = self.checkpoint.description.seed;
        let fitted_on = limit(&train, fit_images, seed)?;
        let mut fit_points = Vec::new();
        if !self.tried.is_empty() {
            for &corruption in self.corruptions {
                let Some(point) = self.fit_point(&fitted_on, corruption)? else {
                    return Ok(None);
                };
                fit_points.push(point);
            }
        }
        let fit = (!fit_points.is_empty()).then(|| SparsityFit::through(&fit_points, self.tried));
        let files = match self.data.dataset {
            DatasetKind::Cifar10 => find_cifar10_c(&self.data.dir),
            _ => None,
        };
        let mut rows = Vec::new();
        for &corruption in self.corruptions {
            let set = match (corruption, &files) {
                (None, _) => test.clone(),
                (Some(corruption), None) => corrupt(&test, corruption, self.seed),
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
            checkpoint: path.display().to_string(),
            model: self.checkpoint.description.model.kind().name(),
            sparsity: sparsity.map(Sparsity::name),
            trained: sparsity.map(Sparsity::trained),
            tried: self.tried.to_vec(),
            fit,
            fit_images,
            fit_points,
            corruptions: match files {
                Some(folder) => format!("the CIFAR-10-C files in {}", folder.display()),
                None => format!("made by the formulas of CIFAR-10-C, seed {}", self.seed),
            },
            test_images: test.count(),
            rows,
        }))
    }

    fn loader(&self, set: ImageSet) -> anyhow::Result<Loader> {
        let normalization = &self.checkpoint.description.normalization;
        Ok(evaluation_loader(set, self.data, normalization)?)
    }

    fn fit_point(&self, images: &ImageSet, corruption: Option<Corruption>) -> anyhow::Result<Option<FitPoint>> {
        let set = match corruption {
            None => images.clone(),
            Some(corruption) => corrupt(images, corruption, self.seed),
        };
        let loader = self.loader(set)?;
        let Some(residual) = mean_residual(self.model, &loader, self.device, self.stop) else {
            return Ok(None);
        };
        let Some((best, accuracy)) = best_of(self.tried, self.model, &loader, self.device, self.stop) else {
            return Ok(None);
        };
        let corruption = name(corruption);
        eprintln!("fit, {corruption}: {accuracy:.2} % at {best}");
        Ok(Some(FitPoint {
            corruption,
            residual: residual.unwrap_or_default(),
            best,
        }))
    }

    fn row(
        &self,
        set: ImageSet,
        corruption: Option<Corruption>,
        fit: Option<&SparsityFit>,
    ) -> anyhow::Result<Option<Row>> {
        let loader = self.loader(set)?;
        let accuracy = |inference| {
            let counts = evaluate(self.model, &loader, inference, self.device, self.stop);
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
            let Some(residual) = mean_residual(self.model, &loader, self.device, self.stop) else {
                return Ok(None);
            };
            let Some(fitted) = accuracy(Inference::Fitted(fit)) else {
                return Ok(None);
            };
            let Some((value, best)) = best_of(self.tried, self.model, &loader, self.device, self.stop) else {
                return Ok(None);
            };
            (row.residual, row.fitted) = (residual, Some(fitted));
            (row.best, row.best_value) = (Some(best), Some(value));
        }
        eprintln!("test, {}: {fixed:.2} % as trained", name(corruption));
        Ok(Some(row))
    }
}

/// CIFAR-10-C has the images of the official test set in its order.
fn check_labels(test: &ImageSet, corrupted: &ImageSet, folder: &Path) -> Result<(), BadInput> {
    let wrong = (0..test.count()).find(|&i| test.label(i) != corrupted.label(i));
    wrong.map_or(Ok(()), |i| {
        Err(BadInput(format!(
            "{}: image {} has label {}, that of the test set has {}: the test set is not in the official order; fetch \
             cifar-10-binary.tar.gz again, or move the folder away to have the corruptions made",
            folder.display(),
            test.record(i),
            corrupted.label(i),
            test.label(i)
        )))
    })
}

fn name(corruption: Option<Corruption>) -> String {
    corruption.map_or_else(
        || "no noise".into(),
        |corruption| format!("{} {}", corruption.noise.name(), corruption.severity),
    )
}
