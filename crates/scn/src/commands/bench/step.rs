//! `scn bench step`: the training step and the evaluation of an experiment.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use scn_data::{Batch, Batches, Loader};
use scn_models::{CodingReport, Model, Network, Pass};
use scn_ops::{describe, has_tile_kernels};
use scn_solver::profile::{self, Part, Profile};
use scn_train::{
    Collector, DeviceChoice, Evaluator, Experiment, Learner, Sgd, Splits, Sums, TrainError, images, peak_memory,
    tensors,
};
use serde::Serialize;

use super::measure::{Peak, Repeated, iterations_and_residuals, percent, quantile, rate, synchronize, without_dataset};
use crate::arguments::count;
use crate::commands::eval::DeviceName;
use crate::exit::{BadInput, Usage};
use crate::output::{print, print_json};
use crate::{device, log, weights};

/// Steps before those that are measured: memory is allocated, and a GPU compiles its kernels.
const WARM_UP: usize = 2;
/// Batches of noise at most, so that memory does not grow with the steps.
const NOISE_BATCHES: usize = 32;
/// The share of pixels whose residual the reported one bounds.
const KKT_SHARE: f64 = 0.99;

/// Measure an experiment's training step and evaluation
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn bench step configs/quickstart.toml
  scn bench step configs/cifar10/scn-1.toml --synthetic --steps 5
  scn bench step configs/cifar10/scn-1.toml --weights runs/first --threads 1 --json

The step is that of scn train, on its own batches: waiting for the batch, forward, backward and
optimiser. Images/s are medians over the steps, with their quartiles. Shares are of the step's wall
time times the threads; where threads are idle, the time falls to `other`, with everything that is
not named. GFLOP/s are the rate of all threads while they work on a part, 2 for a multiply-add: the
n² of every pixel and sweep that was executed, and the mn of the products around the solves. The
peak is that of multiply-adds in registers on as many threads: the best of forty short bursts, half
of them before and half after. kkt_p99 bounds the residual of 99 % of the pixels of one evaluation
batch, in the worst layer.

Parts are timed on the device cpu only: elsewhere, rates and all shares but `data` and `other` are
null, and of networks without sparse-coding layers those of the solver are. `other` is
what the timed parts leave. On a GPU a step ends when the GPU is done.

Without --weights the network is the initial one, evaluated after the measured steps. With it, the
given weights are trained, and evaluated as given. Without the dataset, --synthetic takes noise.")]
pub(super) struct Args {
    /// The experiment file
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set model.width=2
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Images of a step, at least 2 for batch norm [default: as in the experiment]
    #[arg(long, value_name = "N", value_parser = count(2))]
    batch: Option<usize>,
    /// Steps that are measured, of training and of evaluation
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(1))]
    steps: usize,
    /// Device [default: as in the experiment]
    #[arg(long, value_enum)]
    device: Option<DeviceName>,
    /// Threads; 0 takes all cores [default: as in the experiment]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Weights of a run or a checkpoint [default: initial ones]
    #[arg(long, value_name = "RUN_OR_CHECKPOINT")]
    weights: Option<PathBuf>,
    /// Noise in the shape of the dataset's images instead of the images
    #[arg(long)]
    synthetic: bool,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. Quartiles are the first and the third.
#[derive(Serialize)]
struct Report {
    experiment: String,
    device: String,
    threads: usize,
    images: String,
    weights: Option<String>,
    batch: usize,
    steps: usize,
    train_images_per_second: f64,
    train_images_per_second_quartiles: [f64; 2],
    eval_images_per_second: f64,
    eval_images_per_second_quartiles: [f64; 2],
    peak_rss_bytes: Option<u64>,
    solver_gflops: Option<f64>,
    convolution_gflops: Option<f64>,
    peak_gflops: Option<f64>,
    shares: Shares,
    kkt_p99: Option<f64>,
    layers: Vec<LayerReport>,
}

/// Shares of the training step; they add up to 1.
#[derive(Serialize)]
struct Shares {
    solver: Option<f64>,
    convolution: Option<f64>,
    batch_norm: Option<f64>,
    optimizer: Option<f64>,
    data: f64,
    other: f64,
}

/// What the solves of a layer did in evaluation.
#[derive(Serialize)]
struct LayerReport {
    name: String,
    /// Mean iterations of a pixel.
    iterations: f64,
    kkt_p99: f64,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    let mut experiment = Experiment::load(&args.experiment, &args.set)?.experiment;
    let choice = args.device.map_or(experiment.run.device, DeviceChoice::from);
    let device = device::open(choice, args.threads.unwrap_or(experiment.run.threads))?;
    let splits = splits(&args, &mut experiment)?;
    let source = if args.synthetic { "noise" } else { "images" };
    let mut bench = Bench::new(&args, experiment, splits, &device)?;

    let peak = Peak::begin(&device);
    let train = bench.train(args.steps)?;
    let model = bench.evaluated()?;
    let evaluation = bench.evaluate(&model, args.steps);
    let peak_rss_bytes = peak_memory();
    let layers = bench.layers(&model);
    let peak_gflops = peak.end();

    let threads = rayon::current_num_threads();
    let timed = |part| match part {
        Part::Solver if !bench.experiment.model.kind().has("solver") => false,
        _ => has_tile_kernels(&device),
    };
    let gigaflops = |part| timed(part).then(|| train.profile.of(part).gigaflops(threads));
    let worst = layers.iter().map(|layer| layer.kkt_p99).max_by(f64::total_cmp);
    let report = Report {
        device: describe(&device),
        threads,
        images: format!("{source} of {}", bench.experiment.data.dataset),
        weights: bench.weights.as_ref().map(|(path, _)| path.display().to_string()),
        batch: train.batch,
        steps: args.steps,
        train_images_per_second: train.images_per_second.median,
        train_images_per_second_quartiles: train.images_per_second.quartiles,
        eval_images_per_second: evaluation.median,
        eval_images_per_second_quartiles: evaluation.quartiles,
        peak_rss_bytes,
        solver_gflops: gigaflops(Part::Solver),
        convolution_gflops: gigaflops(Part::Convolution),
        peak_gflops,
        shares: train.shares(timed, threads),
        kkt_p99: worst,
        layers,
        experiment: bench.experiment.name,
    };
    if args.json {
        print_json(&report)
    } else {
        print(&table(&report))
    }
}

/// The experiment's images, or noise.
fn splits(args: &Args, experiment: &mut Experiment) -> anyhow::Result<Splits> {
    let data = &mut experiment.data;
    data.batch_size = args.batch.unwrap_or(data.batch_size);
    if args.synthetic {
        let images = data.batch_size * (WARM_UP + args.steps).min(NOISE_BATCHES);
        return Ok(Splits::noise(data, experiment.seed, images)?);
    }
    let splits = Splits::load(data, experiment.seed).map_err(without_dataset)?;
    match (args.batch, splits.train.images()) {
        (Some(batch), images) if batch > images => {
            Err(Usage(format!("--batch is {batch}: there are {images} training images")).into())
        }
        _ => Ok(splits),
    }
}

/// A network, its images, and the weights that it was given.
struct Bench {
    experiment: Experiment,
    splits: Splits,
    device: Device,
    classes: usize,
    weights: Option<(PathBuf, tensors::Arrays)>,
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
    fn new(args: &Args, experiment: Experiment, splits: Splits, device: &Device) -> anyhow::Result<Self> {
        let classes = experiment
            .model
            .classes
            .unwrap_or_else(|| experiment.data.dataset.classes());
        let weights = match &args.weights {
            None => None,
            Some(path) => {
                let (path, checkpoint) = weights::load(path)?;
                Some((path, checkpoint.model))
            }
        };
        let train = &experiment.train;
        let learner = Learner {
            model: model(
                &experiment,
                &splits,
                classes,
                weights.as_ref(),
                &device.clone().autodiff(),
            )?,
            optimizer: Sgd::new(train.optimizer, train.clip_norm),
            label_smoothing: train.label_smoothing,
            device: device.clone().autodiff(),
        };
        Ok(Self {
            experiment,
            splits,
            device: device.clone(),
            classes,
            weights,
            learner,
        })
    }

    fn train(&mut self, steps: usize) -> anyhow::Result<Training> {
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
            self.learner
                .step(&batch, learning_rate, &mut collector)
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
    fn evaluated(&self) -> anyhow::Result<Model> {
        if self.weights.is_none() {
            return Ok(self.learner.evaluated());
        }
        let weights = self.weights.as_ref();
        model(&self.experiment, &self.splits, self.classes, weights, &self.device)
    }

    /// Images per second of evaluation.
    fn evaluate(&self, model: &Model, steps: usize) -> Repeated {
        let mut batches = Endless::new(&self.splits.test, self.experiment.data.batch_size);
        let mut evaluator = Evaluator::new(model, self.classes, &self.device);
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
    fn layers(&self, model: &Model) -> Vec<LayerReport> {
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
                Some(LayerReport {
                    name: layer.name,
                    iterations: iterations.iter().sum::<f64>() / iterations.len() as f64,
                    kkt_p99: quantile(&mut residuals, KKT_SHARE),
                })
            });
        reports.collect()
    }
}

impl Training {
    /// Of the parts that are `timed`.
    fn shares(&self, timed: impl Fn(Part) -> bool, threads: usize) -> Shares {
        let of = |part| timed(part).then(|| self.profile.of(part).seconds / (self.seconds * threads as f64));
        let (solver, convolution) = (of(Part::Solver), of(Part::Convolution));
        let (batch_norm, optimizer) = (of(Part::BatchNorm), of(Part::Optimizer));
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
}

/// The experiment's model with the weights given, or initial ones.
fn model(
    experiment: &Experiment,
    splits: &Splits,
    classes: usize,
    weights: Option<&(PathBuf, tensors::Arrays)>,
    device: &Device,
) -> anyhow::Result<Model> {
    let image = splits.train.image_shape();
    let model = Model::new(&experiment.model, image, classes, experiment.seed, device).map_err(TrainError::Model)?;
    let Some((path, arrays)) = weights else {
        return Ok(model);
    };
    let fitted = tensors::into_module(model, arrays);
    fitted.map_err(|error| BadInput(format!("{}: {error}", path.display())).into())
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

/// The report for people.
fn table(report: &Report) -> String {
    let Report {
        experiment,
        device,
        threads,
        images,
        batch,
        steps,
        shares,
        ..
    } = report;
    let weights = report.weights.as_deref().unwrap_or("initial");
    let speed = |name: &str, median: f64, [low, high]: [f64; 2]| {
        format!("{name:<12} {median:.1} images/s, quartiles {low:.1} and {high:.1}\n")
    };
    let of_peak = |gigaflops: Option<f64>| percent(gigaflops.zip(report.peak_gflops).map(|(rate, peak)| rate / peak));
    let memory = report
        .peak_rss_bytes
        .map_or_else(|| "-".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0));
    let mut text = format!(
        "{experiment} on {device}, {threads} threads\n\
         {steps} steps of {batch} {images}, weights: {weights}\n\n"
    );
    text += &speed(
        "training",
        report.train_images_per_second,
        report.train_images_per_second_quartiles,
    );
    text += &speed(
        "evaluation",
        report.eval_images_per_second,
        report.eval_images_per_second_quartiles,
    );
    text += &format!("peak memory  {memory}\n\n");
    text += "part             share    GFLOP/s     of peak\n";
    let row = |name: &str, share: Option<f64>| format!("{name:<12} {:>9}", percent(share));
    for (name, share, gigaflops) in [
        ("solver", shares.solver, report.solver_gflops),
        ("convolution", shares.convolution, report.convolution_gflops),
    ] {
        let rates = format!("{:>10} {:>11}", rate(gigaflops), of_peak(gigaflops));
        text += &format!("{} {rates}\n", row(name, share));
    }
    for (name, share) in [
        ("batch norm", shares.batch_norm),
        ("optimizer", shares.optimizer),
        ("data", Some(shares.data)),
        ("other", Some(shares.other)),
    ] {
        text += &format!("{}\n", row(name, share));
    }
    text += &format!("peak         {:>20}\n", rate(report.peak_gflops));
    if let Some(residual) = report.kkt_p99 {
        text += &format!("\nKKT residual of 99 % of the pixels in the worst layer: at most {residual:.1e}\n");
    }
    text
}
