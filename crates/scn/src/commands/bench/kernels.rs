//! `scn bench kernels`: the solve of a layer and its gradient, by layer shape.

mod report;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use scn_data::{DatasetKind, Loader, MeanSubtraction, Normalization, noise};
use scn_models::layers::SparseCoding2d;
use scn_models::scn::Scn;
use scn_models::{Model, ModelConfig, Network as _};
use scn_ops::{describe, has_tile_kernels, sparse_code2d, sparse_code2d_vjp, workgroup_limits};
use scn_solver::profile::{self, Profile};
use scn_solver::{ConvGeometry, ForwardOptions, Method, SolverOptions};
use scn_train::{DataConfig, EvaluationSplit, Splits};

use self::report::{LayerReport, Report, table};
use super::measure::{Peak, Repeated, iterations_and_residuals, quantile, synchronize, without_dataset};
use crate::arguments::count;
use crate::commands::eval::DeviceName;
use crate::exit::{BadInput, Usage};
use crate::output::{print, print_json};
use crate::{device, log, weights};

/// FISTA is run for a fixed number of iterations, as in the authors' program, on layers of at least so many atoms.
const FISTA_ITERATIONS: usize = 50;
const FISTA_ATOMS: usize = 32;
/// Seed of initial weights and of noise.
const SEED: u64 = 0;

/// Measure the kernels of single layers
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn bench kernels
  scn bench kernels --threads 1 --width 4 --json
  scn bench kernels --weights runs/first
  scn bench kernels --device wgpu --batch 16

One line per pass of every layer shape of SCN-K on images of 3×32×32, and of 50 iterations of FISTA
for every number of atoms from 32 on: nanoseconds per output pixel (median of the repeats and its
quartiles), the rates of solver and of convolution (10⁹ operations per second of all threads while
they work on it), all operations of the pass per second as a share of the machine's peak of
multiply-adds in registers, mean iterations, and the residual ρ that was reached.

Layers have initial weights and see what noise becomes on its way through the network, normalised
by batch. With --weights they are those of a trained network, and see the images that it was trained
for, or with --synthetic noise. On other devices than cpu only times, iterations and ρ are measured; on
wgpu the last column is what the iterations alone would take at least on one named GPU within this
adapter's limits, by benches/wgpu.md.")]
pub(super) struct Args {
    /// The networks SCN-K whose layers are measured
    #[arg(long, value_name = "K", value_delimiter = ',', default_value = "1,4", value_parser = count(1))]
    width: Vec<usize>,
    /// Weights of a run or a checkpoint, whose layers are measured instead
    #[arg(long, value_name = "RUN_OR_CHECKPOINT", conflicts_with = "width")]
    weights: Option<PathBuf>,
    /// With --weights: noise in the shape of the dataset's images instead of the images
    #[arg(long, requires = "weights")]
    synthetic: bool,
    /// Images of a pass
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = count(1))]
    batch: usize,
    /// Passes that are measured
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = count(1))]
    repeats: usize,
    /// Device
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceName,
    /// Threads; 0 takes all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    let device = device::open(args.device.into(), args.threads)?;
    let networks = match &args.weights {
        None => args
            .width
            .iter()
            .map(|&width| Network::initial(width, &args, &device))
            .collect::<anyhow::Result<Vec<_>>>()?,
        Some(path) => vec![Network::trained(path, &args, &device)?],
    };

    let peak = Peak::begin(&device);
    let mut measured: Vec<Measured> = Vec::new();
    for network in &networks {
        network.layers(|layer| {
            if measured.iter().all(|other| other.geometry != layer.geometry) {
                measured.push(layer.measure(layer.options, args.repeats, &device)?);
            }
            Ok(())
        })?;
    }
    for network in &networks {
        network.layers(|layer| {
            let atoms = layer.geometry.atoms;
            let options = fista(layer.options);
            let known = |other: &Measured| other.geometry.atoms == atoms && other.options == options;
            if atoms >= FISTA_ATOMS && !measured.iter().any(known) {
                measured.push(layer.measure(options, args.repeats, &device)?);
            }
            Ok(())
        })?;
    }
    let peak_gflops = peak.end();
    let limits = workgroup_limits(&device);

    let report = Report {
        device: describe(&device),
        threads: rayon::current_num_threads(),
        images: networks[0].images.clone(),
        weights: networks[0].weights.clone(),
        batch: measured[0].geometry.batch,
        repeats: args.repeats,
        peak_gflops,
        layers: measured
            .into_iter()
            .map(|layer| LayerReport::new(layer, peak_gflops, limits))
            .collect(),
    };
    if args.json {
        print_json(&report)
    } else {
        print(&table(&report))
    }
}

fn fista(options: SolverOptions) -> SolverOptions {
    SolverOptions {
        forward: ForwardOptions {
            method: Method::Fista,
            tolerance: 0.0,
            max_iterations: FISTA_ITERATIONS,
        },
        ..options
    }
}

/// A network and a batch of images for it.
struct Network {
    scn: Scn,
    names: Vec<String>,
    batch: Tensor<4>,
    /// What the images are.
    images: String,
    /// Where its weights come from.
    weights: Option<String>,
}

impl Network {
    /// SCN-`width` for CIFAR-10 with autodiff, where batch norm takes the statistics of the batch.
    fn initial(width: usize, args: &Args, device: &Device) -> anyhow::Result<Self> {
        let width = i64::try_from(width).unwrap_or(i64::MAX);
        let config = ModelConfig::new("scn".parse()?)
            .with("width", width)
            .map_err(|error| Usage(format!("--width: {error}")))?;
        let dataset = DatasetKind::Cifar10;
        let set = noise(dataset, args.batch, SEED);
        let normalization = Normalization::fit(&set, MeanSubtraction::PerChannel, false);
        let loader = Loader::evaluation(set, normalization, None, args.batch)?;
        let device = device.clone().autodiff();
        let model = Model::new(&config, loader.image_shape(), dataset.classes(), SEED, &device)?;
        Self::of(model, &loader, &device, format!("noise of {dataset}"), None)
    }

    /// That of a checkpoint, without autodiff.
    fn trained(path: &Path, args: &Args, device: &Device) -> anyhow::Result<Self> {
        let (path, checkpoint) = weights::load(path)?;
        let description = &checkpoint.description;
        let data = DataConfig {
            batch_size: args.batch,
            ..description.data.clone()
        };
        let dataset = data.dataset;
        let (loader, source) = if args.synthetic {
            let set = noise(dataset, args.batch, SEED);
            let loader = Loader::evaluation(set, description.normalization.clone(), data.augment.crop, args.batch)?;
            (loader, "noise")
        } else {
            let normalization = &description.normalization;
            let loader = Splits::evaluation(EvaluationSplit::Test, &data, description.seed, normalization)
                .map_err(without_dataset)?;
            (loader, "images")
        };
        let model = weights::network(&path, &checkpoint, &description.model, loader.image_shape(), device)?;
        let (images, path) = (format!("{source} of {dataset}"), path.display().to_string());
        Self::of(model, &loader, device, images, Some(path))
    }

    fn of(
        model: Model,
        loader: &Loader,
        device: &Device,
        images: String,
        weights: Option<String>,
    ) -> anyhow::Result<Self> {
        let names = model.coding_layers().into_iter().map(|layer| layer.name).collect();
        let Model::Scn(scn) = model else {
            let path = weights.unwrap_or_default();
            return Err(BadInput(format!(
                "{path}: a network without sparse-coding layers has no kernels to measure"
            ))
            .into());
        };
        let batch = loader.epoch(0, 0).next().context("a loader has at least one batch")?;
        Ok(Self {
            scn,
            names,
            batch: scn_train::images(&batch, device),
            images,
            weights,
        })
    }

    /// Calls `visit` with every layer and the input that reaches it.
    fn layers(&self, mut visit: impl FnMut(Layer) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut x = self.batch.clone();
        for (layer, name) in self.scn.layers.iter().zip(&self.names) {
            visit(Layer::of(
                &layer.coding,
                name,
                layer.norm.forward(x.clone(), &scn_models::Pass::Training),
            ))?;
            x = layer.forward(x, &scn_models::Pass::Training).0.detach();
        }
        Ok(())
    }
}

/// A layer on tensors without autodiff.
struct Layer {
    name: String,
    geometry: ConvGeometry,
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda1: Tensor<1>,
    options: SolverOptions,
}

/// What a layer did.
struct Measured {
    name: String,
    geometry: ConvGeometry,
    options: SolverOptions,
    iterations: f64,
    kkt_median: f64,
    kkt_p99: f64,
    forward: Pass,
    backward: Pass,
}

/// What the repeats of a pass took.
struct Pass {
    seconds: Repeated,
    repeats: usize,
    /// `None` on a device that does not tell.
    profile: Option<Profile>,
}

impl Layer {
    fn of(coding: &SparseCoding2d, name: &str, x: Tensor<4>) -> Self {
        let (x, weight) = (x.without_autodiff(), coding.weight.val().without_autodiff());
        Self {
            name: name.into(),
            geometry: ConvGeometry::new(x.dims(), weight.dims(), coding.stride())
                .unwrap_or_else(|error| panic!("a layer fits its input: {error}")),
            x,
            weight,
            lambda1: coding.lambda1.val().without_autodiff(),
            options: coding.options(),
        }
    }

    fn measure(&self, options: SolverOptions, repeats: usize, device: &Device) -> anyhow::Result<Measured> {
        let stride = self.geometry.stride;
        let forward = || {
            let (x, weight, lambda1) = (self.x.clone(), self.weight.clone(), self.lambda1.clone());
            sparse_code2d(x, weight, lambda1, stride, options)
        };
        let (codes, info) = forward();
        let grad_codes = spread(self.geometry.codes_shape(), device);
        let backward = || {
            let (x, weight) = (self.x.clone(), self.weight.clone());
            sparse_code2d_vjp(x, weight, codes.clone(), grad_codes.clone(), stride, options)
        };
        let (iterations, mut residuals) = iterations_and_residuals(info.solves);
        Ok(Measured {
            name: self.name.clone(),
            geometry: self.geometry,
            options,
            iterations: iterations.iter().sum::<f64>() / iterations.len() as f64,
            kkt_median: quantile(&mut residuals, 0.5),
            kkt_p99: quantile(&mut residuals, 0.99),
            forward: Pass::measure(forward, repeats, device)?,
            backward: Pass::measure(backward, repeats, device)?,
        })
    }
}

/// Values spread evenly over −½..½ in an irregular order: the fractions of multiples of the golden ratio.
fn spread(shape: [usize; 4], device: &Device) -> Tensor<4> {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    let value = |i: usize| ((i as f64 * GOLDEN_RATIO).fract() - 0.5) as f32;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Pass {
    fn measure<T>(pass: impl Fn() -> T, repeats: usize, device: &Device) -> anyhow::Result<Self> {
        // A GPU compiles its kernels first.
        pass();
        synchronize(device)?;
        let mut seconds = Vec::with_capacity(repeats);
        profile::start();
        for _ in 0..repeats {
            let started = Instant::now();
            let result = pass();
            synchronize(device)?;
            seconds.push(started.elapsed().as_secs_f64());
            drop(result);
        }
        let profile = profile::stop();
        Ok(Self {
            seconds: Repeated::of(seconds),
            repeats,
            profile: has_tile_kernels(device).then_some(profile),
        })
    }
}
