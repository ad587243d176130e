//! A network that learns, one optimiser step at a time: images → forward → loss → backward → optimiser.

use burn::tensor::{Device, Tensor};
use scn_data::Batch;
use scn_models::{Model, Network, Output, Pass, TrainingStep};
use scn_solver::profile::{Part, timed};

use crate::engine::average::Average;
use crate::engine::evaluation::{host, images};
use crate::engine::loss::{Counts, cross_entropy};
use crate::engine::optimizer::Optimizer;
use crate::engine::shards::{MeanGradients, shards};
use crate::engine::statistics::Collector;
use crate::experiment::TrainConfig;

/// A model, its optimiser, and its average.
pub struct Learner<N = Model> {
    /// On a device with autodiff.
    pub model: N,
    /// Of the model's parameters.
    pub optimizer: Optimizer,
    /// Of the model's weights over the steps, where there is one: it is what evaluation takes.
    pub average: Option<Average<N>>,
    /// Parts that a step takes its batch in, each with batch-norm statistics of its own.
    pub shards: usize,
    /// See [`cross_entropy`].
    pub label_smoothing: f64,
    /// The model's device, with autodiff.
    pub device: Device,
}

/// A step that was not made because the loss is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Diverged {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Which layer has the largest values, in words.
    pub layers: String,
}

impl<N: Network> Learner<N> {
    /// Of a model on `device`, which is with autodiff, before its first step.
    pub fn new(model: N, train: &TrainConfig, device: Device) -> Self {
        Self {
            optimizer: Optimizer::new(train.optimizer, train.clip_norm),
            average: train.ema.map(|ema| Average::new(&model, ema.decay)),
            shards: train.shards,
            label_smoothing: train.label_smoothing,
            model,
            device,
        }
    }

    /// The step `at`, whose figures go to `collector`. Returns the counts of its batch before the step.
    ///
    /// # Errors
    /// [`Diverged`], with weights and figures as they were.
    pub fn step(
        &mut self,
        batch: &Batch,
        at: TrainingStep,
        learning_rate: f64,
        collector: &mut Collector,
    ) -> Result<Counts, Diverged> {
        let mut mean = MeanGradients::new();
        let mut reports = Vec::new();
        for (shard, part) in shards(batch, self.shards).iter().enumerate() {
            let (input, pass) = (images(part, &self.device), Pass::Training(TrainingStep { shard, ..at }));
            let Output {
                logits,
                codes,
                backward,
            } = self.model.forward(input.clone(), &pass);
            let values = host(logits.clone().without_autodiff());
            let counts = Counts::of(&values, &part.labels, self.label_smoothing);
            if !counts.loss.is_finite() {
                return Err(Diverged {
                    loss: counts.loss / counts.images as f64,
                    layers: largest_layer(&self.model, input, &pass),
                });
            }
            let gradients = backward.gradients(cross_entropy(logits, &part.labels, self.label_smoothing));
            mean.add(
                &self.model,
                gradients,
                part.labels.len() as f64 / batch.labels.len() as f64,
            );
            // The layers' reports have those of their backward solves by now.
            reports.push((counts, codes));
        }
        let gradients = mean.finish();
        let mut counts = Counts::default();
        for (of_part, codes) in reports {
            counts.add(&of_part);
            collector.add(&of_part, codes);
        }
        timed(Part::Optimizer, || {
            let roles = self.optimizer.roles(&self.model);
            let model = self
                .optimizer
                .step(self.model.clone(), &roles, &gradients, learning_rate);
            self.model = model.refresh();
            if let Some(average) = &mut self.average {
                average.follow(&self.model, &self.optimizer);
            }
        });
        Ok(counts)
    }

    /// The model as it is now, or its average where there is one, for evaluation: without autodiff, and with the running
    /// statistics of batch norm.
    pub fn evaluated(&self) -> N {
        match &self.average {
            Some(average) => average.network(),
            None => self.model.valid(),
        }
    }
}

/// Says which layer's output on `input` has the largest magnitude, and which is the first that is not finite.
fn largest_layer(model: &impl Network, input: Tensor<4>, pass: &Pass) -> String {
    let mut largest = (String::from("none"), 0.0f32);
    let mut broken = None;
    model.forward_observed(input, pass, &mut |name, output| {
        let magnitude = output
            .clone()
            .abs()
            .max()
            .into_data()
            .iter::<f32>()
            .next()
            .unwrap_or(f32::NAN);
        if !magnitude.is_finite() {
            broken.get_or_insert_with(|| name.to_string());
        } else if magnitude > largest.1 {
            largest = (name.to_string(), magnitude);
        }
    });
    let values = format!(
        "the largest finite values are those of {} ({:.3e})",
        largest.0, largest.1
    );
    match broken {
        Some(name) => format!("{name} is the first layer with values that are not finite, {values}"),
        None => values,
    }
}
