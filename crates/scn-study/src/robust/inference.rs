//! Robust inference by the choice of the sparsity (algorithm 1 of Dai et al., arXiv:2210.12945): the noisier images
//! are, the larger the residual of their codes, and the larger the λ that suits them. λ is fitted as a linear function of the residual on
//! corrupted training images; the weights stay as they are.

use burn::tensor::{Device, Tensor};
use scn_data::Loader;
use scn_interop::tensors::floats;
use scn_models::{Model, Network, Output, Pass};
use scn_train::loss::Counts;
use scn_train::{StopFlag, images};
use serde::{Deserialize, Serialize};

/// The sparsity (see [`scn_models::Sparsity`]) as a linear function of the mean residual of a batch (see
/// [`Model::residual`]), kept inside the values that were tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparsityFit {
    /// Per unit of the residual.
    pub slope: f64,
    /// At residual 0.
    pub intercept: f64,
    /// The smallest value that was tried.
    pub least: f64,
    /// The largest.
    pub largest: f64,
}

/// The best sparsity on images with one corruption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitPoint {
    /// What was done to the images.
    pub corruption: String,
    /// Mean residual.
    pub residual: f64,
    /// The value with the most images right, of equals that with the smallest loss.
    pub best: f64,
}

impl SparsityFit {
    /// The line of least squares through the points, and the range of the values that were tried. Points that all have one
    /// residual give a constant.
    ///
    /// # Panics
    /// Where there are no points or no values.
    pub fn through(points: &[FitPoint], tried: &[f64]) -> Self {
        assert!(!points.is_empty() && !tried.is_empty(), "a line needs points");
        let mean = |of: fn(&FitPoint) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let (residual, best) = (mean(|point| point.residual), mean(|point| point.best));
        let sum = |of: &dyn Fn(&FitPoint) -> f64| points.iter().map(of).sum::<f64>();
        let scatter = sum(&|point| (point.residual - residual).powi(2));
        let slope = match scatter > 0.0 {
            true => sum(&|point| (point.residual - residual) * (point.best - best)) / scatter,
            false => 0.0,
        };
        Self {
            slope,
            intercept: best - slope * residual,
            least: tried.iter().copied().fold(f64::INFINITY, f64::min),
            largest: tried.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// The sparsity for each of some mean residuals.
    pub fn values(&self, residuals: Tensor<1>) -> Tensor<1> {
        (residuals * self.slope + self.intercept).clamp(self.least, self.largest)
    }
}

/// How sparse codes are made in inference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inference<'a> {
    /// As in training.
    Trained,
    /// The same for all images.
    Fixed(f64),
    /// By the mean residual of the batch: what an image holds moves its own residual too.
    Fitted(&'a SparsityFit),
}

impl Inference<'_> {
    /// Logits `[b, classes]` of `images [b, c, h, w]`.
    pub fn logits(&self, model: &Model, images: Tensor<4>) -> Tensor<2> {
        self.forward(model, images).logits
    }

    /// What the model makes of `images [b, c, h, w]`. Gradients pass through the residual and the choice that it makes.
    pub fn forward(&self, model: &Model, images: Tensor<4>) -> Output {
        let sparsity = match self {
            Inference::Trained => None,
            Inference::Fixed(value) => Some(Tensor::full([1], *value, &images.device())),
            Inference::Fitted(fit) => model
                .residual(images.clone())
                .map(|residuals| fit.values(residuals.mean())),
        };
        model.forward(images, &Pass::Evaluation { sparsity })
    }
}

/// Loss and accuracy of `model`, which must be without autodiff. Returns `None` where `stop` was set on the way.
pub fn evaluate(
    model: &Model,
    loader: &Loader,
    inference: Inference,
    device: &Device,
    stop: &StopFlag,
) -> Option<Counts> {
    let mut counts = Counts::default();
    for batch in loader.epoch(0, 0) {
        if stop.signal().is_some() {
            return None;
        }
        let logits = floats(inference.logits(model, images(&batch, device)).into_data());
        counts.add(&Counts::of(&logits, &batch.labels, 0.0));
    }
    Some(counts)
}

/// The mean residual of the images, for a model that has one. Returns `None` where `stop` was set on the way.
pub fn mean_residual(model: &Model, loader: &Loader, device: &Device, stop: &StopFlag) -> Option<Option<f64>> {
    let (mut sum, mut count) = (0.0, 0);
    for batch in loader.epoch(0, 0) {
        if stop.signal().is_some() {
            return None;
        }
        let Some(residuals) = model.residual(images(&batch, device)) else {
            return Some(None);
        };
        let residuals = floats(residuals.into_data());
        count += residuals.len();
        sum += residuals.into_iter().map(f64::from).sum::<f64>();
    }
    Some(Some(sum / count.max(1) as f64))
}

/// The value with the most images right, and how many in percent; of equals that with the smallest loss. Returns `None` where
/// `stop` was set on the way.
///
/// # Panics
/// Where there are no values.
pub fn best_of(values: &[f64], model: &Model, loader: &Loader, device: &Device, stop: &StopFlag) -> Option<(f64, f64)> {
    let mut best: Option<(f64, Counts)> = None;
    for &value in values {
        let counts = evaluate(model, loader, Inference::Fixed(value), device, stop)?;
        let better = best
            .as_ref()
            .is_none_or(|(_, best)| counts.top1 > best.top1 || (counts.top1 == best.top1 && counts.loss < best.loss));
        if better {
            best = Some((value, counts));
        }
    }
    let (value, counts) = best.unwrap_or_else(|| panic!("no values to choose from"));
    Some((value, percent(&counts)))
}

/// Images that are right, in percent.
pub fn percent(counts: &Counts) -> f64 {
    100.0 * counts.top1 as f64 / counts.images.max(1) as f64
}
