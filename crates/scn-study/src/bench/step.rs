//! The training step and the evaluation of an experiment.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use scn_data::{Batch, Batches, Loader};
use scn_interop::figure::{figure, optional_figure};
use scn_interop::tensors::{self, Arrays};
use scn_models::{CodingReport, Model, Network, Pass, TrainingStep};
use scn_ops::{describe, has_tile_kernels};
use scn_solver::profile::{self, Part, Profile, Spent};
use scn_train::{Collector, Evaluator, Experiment, Learner, Splits, Sums, TestTime, TrainError, images, peak_memory};
use serde::Serialize;

use super::measure::{Peak, Repeated, iterations_and_residuals, quantile, synchronize};
use crate::{StudyError, Trained};

/// Steps before those that are measured: memory is allocated, and a GPU compiles its kernels.
const WARM_UP: usize = 2;
/// Batches of noise at most, so that memory does not grow with the steps.
const NOISE_BATCHES: usize = 32;
/// The share of pixels whose residual the reported one bounds.
const KKT_SHARE: f64 = 0.99;

/// What is measured, and how often.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// Images of a step, unless as in the experiment.
    pub batch: Option<usize>,
    /// Steps that are measured, of training and of evaluation.
    pub steps: usize,
    /// Whether images are noise.
    pub synthetic: bool,
}

/// What is measured of training and evaluation. Quartiles are the first and the third, rates 10⁹ operations per second of
/// all threads while they work on a part; `None` where a device does not time the part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Its name.
    pub experiment: String,
    /// The device, in words.
    pub device: String,
    /// Threads.
    pub threads: usize,
    /// What the images are.
    pub images: String,
    /// Where the weights come from; `None` for initial ones.
    pub weights: Option<String>,
    /// Images of a step.
    pub batch: usize,
    /// Steps that were measured.
    pub steps: usize,
    /// Of training, the median over the steps.
    pub train_images_per_second: f64,
    /// Of training.
    pub train_images_per_second_quartiles: [f64; 2],
    /// Of evaluation, the median over the steps.
    pub eval_images_per_second: f64,
    /// Of evaluation.
    pub eval_images_per_second_quartiles: [f64; 2],
    /// Peak resident memory of the process.
    pub peak_rss_bytes: Option<u64>,
    /// Of the solves.
    pub solver_gflops: Option<f64>,
    /// Of the products.
    pub convolution_gflops: Option<f64>,
    /// Of multiply-adds in registers.
    pub peak_gflops: Option<f64>,
    /// Of the training step.
    pub shares: Shares,
    /// What solver and convolution are made of, and the rest that is timed; empty where a device does not time them.
    pub parts: Vec<PartReport>,
    /// Bound on ρ of 99 % of the pixels of one evaluation batch, in the worst layer.
    #[serde(serialize_with = "optional_figure")]
    pub kkt_p99: Option<f64>,
    /// One for each sparse-coding layer.
    pub layers: Vec<SolvesReport>,
}

/// Shares of the training step; they add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// The solves.
    pub solver: Option<f64>,
    /// The products around them, and convolutions.
    pub convolution: Option<f64>,
    /// Batch norm.
    pub batch_norm: Option<f64>,
    /// The optimiser.
    pub optimizer: Option<f64>,
    /// Waiting for the batch.
    pub data: f64,
    /// All else, and idle threads.
    pub other: f64,
}

/// One part of the training step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// Its name.
    pub part: &'static str,
    /// Of the training step.
    pub share: f64,
    /// Of all threads while they work on it; `None` where operations are not counted.
    pub gflops: Option<f64>,
}

/// What the solves of a layer did in evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SolvesReport {
    /// Name of the layer.
    pub name: String,
    /// Mean iterations of a pixel.
    pub iterations: f64,
    /// Bound on ρ of 99 % of the pixels.
    #[serde(serialize_with = "figure")]
    pub kkt_p99: f64,
}

/// Measures the training step and the evaluation of an experiment, with initial weights or those that are given.
///
/// # Errors
/// [`StudyError::Batch`], [`StudyError::Unfit`], [`StudyError::Device`], and whatever keeps images from being read.
pub fn step(
    mut experiment: Experiment,
    weights: Option<Trained>,
    options: StepOptions,
    device: &Device,
) -> Result<StepReport, StudyError> {
    let splits = splits(options, &mut experiment)?;
    let source = if options.synthetic { "noise" } else { "images" };
    let mut bench = Bench::new(weights, experiment, splits, device)?;

    let peak = Peak::begin(device);
    let train = bench.train(options.steps)?;
    let model = bench.evaluated()?;
    let evaluation = bench.evaluate(&model, options.steps);
    let peak_rss_bytes = peak_memory();
    let layers = bench.layers(&model);
    let peak_gflops = peak.end();

    let threads = rayon::current_num_threads();
    let on_cpu = has_tile_kernels(device);
    let solves = on_cpu && bench.experiment.model.kind().has("solver");
    let gigaflops = |parts, timed: bool| timed.then(|| train.profile.of_all(parts).gigaflops(threads));
    let worst = layers.iter().map(|layer| layer.kkt_p99).max_by(f64::total_cmp);
    Ok(StepReport {
        device: describe(device),
        threads,
        images: format!("{source} of {}", bench.experiment.data.dataset),
        weights: bench.weights.as_ref().map(|(path, _)| path.display().to_string()),
        batch: train.batch,
        steps: options.steps,
        train_images_per_second: train.images_per_second.median,
        train_images_per_second_quartiles: train.images_per_second.quartiles,
        eval_images_per_second: evaluation.median,
        eval_images_per_second_quartiles: evaluation.quartiles,
        peak_rss_bytes,
        solver_gflops: gigaflops(Part::SOLVER, solves),
        convolution_gflops: gigaflops(Part::CONVOLUTION, on_cpu),
        peak_gflops,
        shares: train.shares(on_cpu, solves, threads),
        parts: match on_cpu {
            true => train.parts(threads),
            false => Vec::new(),
        },
        kkt_p99: worst,
        layers,
        experiment: bench.experiment.name,
    })
}

/// The experiment's images, or noise.
fn splits(options: StepOptions, experiment: &mut Experiment) -> Result<Splits, StudyError> {
    let data = &mut experiment.data;
    data.batch_size = options.batch.unwrap_or(data.batch_size);
    if options.synthetic {
        let images = data.batch_size * (WARM_UP + options.steps).min(NOISE_BATCHES);
        return Ok(Splits::noise(data, experiment.seed, images)?);
    }
    let splits = Splits::load(data, experiment.seed)?;
    match (options.batch, splits.train.images()) {
        (Some(batch), images) if batch > images => Err(StudyError::Batch { images }),
        _ => Ok(splits),
    }
}

/// A network, its images, and the weights that it was given.
struct Bench {
    experiment: Experiment,
    splits: Splits,
    device: Device,
    classes: usize,
    weights: Option<(PathBuf, Arrays)>,
    learner: Learner,
}

/// What the training steps took.
struct Training {
    /// Images of a step.
    batch: usize,
    images_per_second: Repeated,
    /// Wall time of the steps.
    seconds: f64,
    /// The part of it that the steps waited for their batches.
    waited: f64,
    profile: Profile,
}

impl Bench {
    fn new(
        weights: Option<Trained>,
        experiment: Experiment,
        splits: Splits,
        device: &Device,
    ) -> Result<Self, StudyError> {
        let classes = experiment
            .model
            .classes
            .unwrap_or_else(|| experiment.data.dataset.classes());
        let weights = weights.map(|Trained { path, checkpoint }| (path, checkpoint.model));
        let differentiable = device.clone().autodiff();
        let model = model(&experiment, &splits, classes, weights.as_ref(), &differentiable)?;
        let learner = Learner::new(model, &experiment.train, differentiable);
        Ok(Self {
            experiment,
            splits,
            device: device.clone(),
            classes,
            weights,
            learner,
        })
    }

    fn train(&mut self, steps: usize) -> Result<Training, StudyError> {
        let mut batches = Endless::new(&self.splits.train, self.experiment.data.batch_size);
        let mut collector = Collector::new(Sums::default());
        let schedule = self.experiment.train.schedule();
        let (mut seconds, mut waited) = (Vec::new(), Vec::new());
        for step in 0..WARM_UP + steps {
            if step == WARM_UP {
                profile::start();
            }
            let started = Instant::now();
            let batch = batches.next();
            waited.push(started.elapsed().as_secs_f64());
            let learning_rate = schedule.learning_rate(step, self.splits.train.batches());
            let at = TrainingStep {
                number: step,
                seed: self.experiment.seed,
                shard: 0,
            };
            self.learner
                .step(&batch, at, learning_rate, &mut collector)
                .map_err(|diverged| TrainError::Diverged {
                    epoch: 1,
                    batch: step + 1,
                    loss: diverged.loss,
                    learning_rate,
                    layers: diverged.layers,
                })?;
            synchronize(&self.device)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        let profile = profile::stop();
        let (seconds, waited) = (&seconds[WARM_UP..], &waited[WARM_UP..]);
        Ok(Training {
            batch: batches.size,
            images_per_second: images_per_second(seconds, batches.size),
            seconds: seconds.iter().sum(),
            waited: waited.iter().sum(),
            profile,
        })
    }

    /// The weights that were given, or those of now.
    fn evaluated(&self) -> Result<Model, StudyError> {
        if self.weights.is_none() {
            return Ok(self.learner.evaluated());
        }
        let weights = self.weights.as_ref();
        model(&self.experiment, &self.splits, self.classes, weights, &self.device)
    }

    /// Images per second of evaluation.
    fn evaluate(&self, model: &Model, steps: usize) -> Repeated {
        let mut batches = Endless::new(&self.splits.test, self.experiment.data.batch_size);
        let mut evaluator = Evaluator::new(model, self.classes, TestTime::None, &self.device);
        let mut seconds = Vec::new();
        for _ in 0..WARM_UP + steps {
            let started = Instant::now();
            // It reads the logits back: the device is done when it returns.
            evaluator.add(&batches.next());
            seconds.push(started.elapsed().as_secs_f64());
        }
        images_per_second(&seconds[WARM_UP..], batches.size)
    }

    /// What the layers report on one batch.
    fn layers(&self, model: &Model) -> Vec<SolvesReport> {
        let batch = Endless::new(&self.splits.test, self.experiment.data.batch_size).next();
        let codes = model.forward(images(&batch, &self.device), &Pass::EVALUATION).codes;
        let reports = model
            .coding_layers()
            .into_iter()
            .zip(codes)
            .filter_map(|(layer, report)| {
                let CodingReport::Pixels(info) = report else {
                    return None;
                };
                let (iterations, mut residuals) = iterations_and_residuals(info.solves);
                Some(SolvesReport {
                    name: layer.name,
                    iterations: iterations.iter().sum::<f64>() / iterations.len() as f64,
                    kkt_p99: quantile(&mut residuals, KKT_SHARE),
                })
            });
        reports.collect()
    }
}

impl Training {
    /// On the CPU, where parts are timed, and with `solves`, where there are sparse-coding layers.
    fn shares(&self, on_cpu: bool, solves: bool, threads: usize) -> Shares {
        let of = |parts, timed: bool| timed.then(|| self.share(self.profile.of_all(parts), threads));
        let (solver, convolution) = (of(Part::SOLVER, solves), of(Part::CONVOLUTION, on_cpu));
        let (batch_norm, optimizer) = (of(&[Part::BatchNorm], on_cpu), of(&[Part::Optimizer], on_cpu));
        let data = self.waited / self.seconds;
        let named: f64 = [solver, convolution, batch_norm, optimizer].iter().flatten().sum();
        Shares {
            solver,
            convolution,
            batch_norm,
            optimizer,
            data,
            other: 1.0 - named - data,
        }
    }

    fn share(&self, spent: Spent, threads: usize) -> f64 {
        spent.seconds / (self.seconds * threads as f64)
    }

    /// The parts that took time.
    fn parts(&self, threads: usize) -> Vec<PartReport> {
        let spent = Part::ALL.map(|part| (part, self.profile.of(part)));
        let timed = spent.into_iter().filter(|(_, spent)| spent.seconds > 0.0);
        let report = timed.map(|(part, spent)| PartReport {
            part: part.name(),
            share: self.share(spent, threads),
            gflops: (spent.flops > 0).then(|| spent.gigaflops(threads)),
        });
        report.collect()
    }
}

/// The experiment's model with the weights given, or initial ones.
fn model(
    experiment: &Experiment,
    splits: &Splits,
    classes: usize,
    weights: Option<&(PathBuf, Arrays)>,
    device: &Device,
) -> Result<Model, StudyError> {
    let image = splits.train.image_shape();
    let model = Model::new(&experiment.model, image, classes, experiment.seed, device)?;
    let Some((path, arrays)) = weights else {
        return Ok(model);
    };
    tensors::into_module(model, arrays).map_err(|error| StudyError::Unfit {
        path: path.clone(),
        error,
    })
}

/// Whole batches of one epoch after the other.
struct Endless<'a> {
    loader: &'a Loader,
    epoch: u64,
    batches: Batches,
    size: usize,
}

impl<'a> Endless<'a> {
    /// Batches are of `batch_size` images as those of `loader`, or of all of them where there are fewer.
    fn new(loader: &'a Loader, batch_size: usize) -> Self {
        Self {
            loader,
            epoch: 0,
            batches: loader.epoch(0, 0),
            size: batch_size.min(loader.images()),
        }
    }

    fn next(&mut self) -> Batch {
        loop {
            match self.batches.next() {
                Some(batch) if batch.labels.len() == self.size => return batch,
                Some(_) => {}
                None => {
                    self.epoch += 1;
                    self.batches = self.loader.epoch(self.epoch, 0);
                }
            }
        }
    }
}

fn images_per_second(seconds: &[f64], batch: usize) -> Repeated {
    let rate = |seconds: &f64| batch as f64 / seconds.max(f64::MIN_POSITIVE);
    Repeated::of(seconds.iter().map(rate).collect())
}
