//! Loss, accuracy, confusion and solver statistics of a model on a split.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use scn_data::{Batch, Loader};
use scn_models::{Network, Output, Pass};
use serde::Serialize;

use crate::engine::loss::{Counts, cross_entropy, predictions};
use crate::engine::statistics::{BackwardFigures, Collector, Figures, Sums};
use crate::engine::stop::StopFlag;
use crate::engine::test_time::{View, views};
use crate::experiment::TestTime;
use crate::tensors::floats;

/// What an evaluation finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Loss, accuracy, layers.
    #[serde(flatten)]
    pub figures: Figures,
    /// `confusion[label][prediction]`: images.
    pub confusion: Vec<Vec<usize>>,
    /// Accuracy of each class in percent; `None` for a class without images.
    pub per_class: Vec<Option<f64>>,
    /// Seconds spent.
    pub seconds: f64,
}

impl Evaluation {
    /// Images per second.
    pub fn images_per_second(&self) -> f64 {
        self.figures.images as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

/// Evaluates `model`, which must be without autodiff, on `device`, by the mean of the logits of the views of each image. What
/// the layers report is of the images themselves. Returns `None` where `stop` was set on the way.
pub fn evaluate(
    model: &impl Network,
    loader: &Loader,
    classes: usize,
    test_time: TestTime,
    device: &Device,
    stop: &StopFlag,
) -> Option<Evaluation> {
    let started = Instant::now();
    let mut evaluator = Evaluator::new(model, classes, test_time, device);
    for batch in loader.epoch(0, 0) {
        if stop.signal().is_some() {
            return None;
        }
        evaluator.add(&batch);
    }
    let Evaluator {
        mut collector,
        confusion,
        ..
    } = evaluator;
    let of_class = |(label, row): (usize, &Vec<usize>)| {
        let images: usize = row.iter().sum();
        (images > 0).then(|| 100.0 * row[label] as f64 / images as f64)
    };
    Some(Evaluation {
        figures: collector.figures(model),
        per_class: confusion.iter().enumerate().map(of_class).collect(),
        confusion,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What the backward solves of each coding layer of `model`, which must be on `device` with autodiff, report on the first
/// batch: in the order of [`Network::coding_layers`], `None` for layers without such solves.
pub fn backward_figures(model: &impl Network, loader: &Loader, device: &Device) -> Vec<Option<BackwardFigures>> {
    let mut collector = Collector::new(Sums::default());
    for batch in loader.epoch(0, 0).take(1) {
        let Output {
            logits,
            codes,
            backward,
        } = model.forward(images(&batch, device), &Pass::EVALUATION);
        // Only the layers' reports are asked for, which are complete now.
        let _ = backward.gradients(cross_entropy(logits, &batch.labels, 0.0));
        collector.add(&Counts::default(), codes);
    }
    let layers = collector.figures(model).layers;
    layers.into_iter().map(|layer| layer.backward).collect()
}

/// Evaluates a model batch by batch.
pub struct Evaluator<'a, N> {
    model: &'a N,
    device: &'a Device,
    views: Vec<View>,
    collector: Collector,
    confusion: Vec<Vec<usize>>,
}

impl<'a, N: Network> Evaluator<'a, N> {
    /// Of `model`, which must be without autodiff, on `device`.
    pub fn new(model: &'a N, classes: usize, test_time: TestTime, device: &'a Device) -> Self {
        Self {
            model,
            device,
            views: views(test_time),
            collector: Collector::new(Sums::default()),
            confusion: vec![vec![0; classes]; classes],
        }
    }

    /// Adds a batch.
    pub fn add(&mut self, batch: &Batch) {
        let forward = |batch: &Batch| {
            let Output { logits, codes, .. } = self.model.forward(images(batch, self.device), &Pass::EVALUATION);
            (host(logits), codes)
        };
        let (mut logits, codes) = forward(batch);
        if let [own, others @ ..] = &self.views[..]
            && !others.is_empty()
        {
            logits.iter_mut().for_each(|logit| *logit *= own.weight);
            for view in others {
                let (of_view, _) = forward(&view.of(batch));
                let pairs = logits.iter_mut().zip(of_view);
                pairs.for_each(|(mean, logit)| *mean += view.weight * logit);
            }
        }
        self.collector.add(&Counts::of(&logits, &batch.labels, 0.0), codes);
        for (&label, prediction) in batch.labels.iter().zip(predictions(&logits, self.confusion.len())) {
            self.confusion[label as usize][prediction] += 1;
        }
    }
}

/// A batch's images `[b, c, h, w]` on a device.
pub fn images(batch: &Batch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(batch.images.clone(), batch.shape), device)
}

/// Logits in row-major order; the one read-back of a step.
pub(crate) fn host(logits: Tensor<2>) -> Vec<f32> {
    floats(logits.into_data())
}
