//! The solve of a layer and its gradient, by layer shape.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use scn_data::{DatasetKind, Loader, MeanSubtraction, Normalization, noise};
use scn_models::layers::SparseCoding2d;
use scn_models::scn::Scn;
use scn_models::{Model, ModelConfig, ModelKind, Network as _};
use scn_ops::{Placement, describe, has_tile_kernels, sparse_code2d, sparse_code2d_vjp, workgroup_limits};
use scn_solver::profile::{self, Profile};
use scn_solver::{ConvGeometry, ForwardOptions, Method, SolverOptions};
use scn_train::{DataConfig, EvaluationSplit, Splits, TrainError};

use super::kernel_report::{KernelsReport, LayerReport};
use super::measure::{Peak, Repeated, iterations_and_residuals, quantile, synchronize};
use crate::{StudyError, Trained};

/// FISTA is run for a fixed number of iterations, as in the authors' program, on layers of at least so many atoms.
const FISTA_ITERATIONS: usize = 50;
const FISTA_ATOMS: usize = 32;
/// Seed of initial weights and of noise.
const SEED: u64 = 0;

/// The networks whose layers are measured.
pub enum Networks<'a> {
    /// The initial SCN-K of these K for CIFAR-10, on noise.
    Initial(&'a [usize]),
    /// A trained one, on the images that it was trained for, or on noise.
    Trained {
        /// Its weights.
        weights: &'a Trained,
        /// Whether images are noise.
        synthetic: bool,
    },
}

/// Measures every layer shape of some networks, and FISTA for every number of atoms from 32 on: passes of `batch` images,
/// `repeats` times.
///
/// # Errors
/// [`StudyError::NoKernels`], [`StudyError::Device`], and whatever keeps networks from being made.
///
/// # Panics
/// Of no networks.
pub fn kernels(
    networks: &Networks,
    batch: usize,
    repeats: usize,
    device: &Device,
) -> Result<KernelsReport, StudyError> {
    let networks = match *networks {
        Networks::Initial(widths) => widths
            .iter()
            .map(|&width| Network::initial(width, batch, device))
            .collect::<Result<Vec<_>, _>>()?,
        Networks::Trained { weights, synthetic } => vec![Network::trained(weights, synthetic, batch, device)?],
    };

    let peak = Peak::begin(device);
    let mut measured: Vec<Measured> = Vec::new();
    for network in &networks {
        network.layers(|layer| {
            if measured.iter().all(|other| other.geometry != layer.geometry) {
                measured.push(layer.measure(layer.options, repeats, device)?);
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
                measured.push(layer.measure(options, repeats, device)?);
            }
            Ok(())
        })?;
    }
    let peak_gflops = peak.end();
    let limits = workgroup_limits(device);

    Ok(KernelsReport {
        device: describe(device),
        threads: rayon::current_num_threads(),
        images: networks[0].images.clone(),
        weights: networks[0].weights.clone(),
        batch: measured[0].geometry.batch,
        repeats,
        peak_gflops,
        layers: measured
            .into_iter()
            .map(|layer| LayerReport::new(layer, peak_gflops, limits))
            .collect(),
    })
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
    fn initial(width: usize, batch: usize, device: &Device) -> Result<Self, StudyError> {
        let width = i64::try_from(width).unwrap_or(i64::MAX);
        let config = ModelConfig::new("scn".parse::<ModelKind>()?).with("width", width)?;
        let dataset = DatasetKind::Cifar10;
        let set = noise(dataset, batch, SEED);
        let normalization = Normalization::fit(&set, MeanSubtraction::PerChannel, false);
        let loader = Loader::evaluation(set, normalization, None, batch)?;
        let device = device.clone().autodiff();
        let model = Model::new(&config, loader.image_shape(), dataset.classes(), SEED, &device)?;
        Self::of(model, &loader, &device, format!("noise of {dataset}"), None)
    }

    /// That of a checkpoint, without autodiff.
    fn trained(weights: &Trained, synthetic: bool, batch: usize, device: &Device) -> Result<Self, StudyError> {
        let description = &weights.checkpoint.description;
        let data = DataConfig {
            batch_size: batch,
            ..description.data.clone()
        };
        let dataset = data.dataset;
        let normalization = &description.normalization;
        let (loader, source) = if synthetic {
            let set = noise(dataset, batch, SEED);
            let loader = Loader::evaluation(set, normalization.clone(), data.augment.crop, batch)?;
            (loader, "noise")
        } else {
            let loader = Splits::evaluation(EvaluationSplit::Test, &data, description.seed, normalization)?;
            (loader, "images")
        };
        let model = weights.network(&description.model, loader.image_shape(), device)?;
        let images = format!("{source} of {dataset}");
        Self::of(model, &loader, device, images, Some(weights))
    }

    fn of(
        model: Model,
        loader: &Loader,
        device: &Device,
        images: String,
        weights: Option<&Trained>,
    ) -> Result<Self, StudyError> {
        let names = model.coding_layers().into_iter().map(|layer| layer.name).collect();
        let Model::Scn(scn) = model else {
            let path = weights.map(|weights| weights.path.clone()).unwrap_or_default();
            return Err(StudyError::NoKernels(path));
        };
        let split = EvaluationSplit::Test.name();
        let batch = loader.epoch(0, 0).next().ok_or(TrainError::EmptySplit { split })?;
        Ok(Self {
            scn,
            names,
            batch: scn_train::images(&batch, device),
            images,
            weights: weights.map(|weights| weights.path.display().to_string()),
        })
    }

    /// Calls `visit` with every layer and the input that reaches it.
    fn layers(&self, mut visit: impl FnMut(Layer) -> Result<(), StudyError>) -> Result<(), StudyError> {
        let mut x = self.batch.clone();
        for (layer, name) in self.scn.layers.iter().zip(&self.names) {
            visit(Layer::of(
                &layer.coding,
                name,
                layer.norm.forward(x.clone(), &scn_models::Pass::TRAINING),
            ))?;
            x = layer.forward(x, &scn_models::Pass::TRAINING).0.detach();
        }
        Ok(())
    }
}

/// A layer on tensors without autodiff.
struct Layer {
    name: String,
    geometry: ConvGeometry,
    placement: Placement,
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda1: Tensor<1>,
    options: SolverOptions,
}

/// What a layer did.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) geometry: ConvGeometry,
    pub(super) options: SolverOptions,
    pub(super) iterations: f64,
    pub(super) kkt_median: f64,
    pub(super) kkt_p99: f64,
    pub(super) forward: Pass,
    pub(super) backward: Pass,
}

/// What the repeats of a pass took.
pub(super) struct Pass {
    pub(super) seconds: Repeated,
    pub(super) repeats: usize,
    /// `None` on a device that does not tell.
    pub(super) profile: Option<Profile>,
}

impl Layer {
    fn of(coding: &SparseCoding2d, name: &str, x: Tensor<4>) -> Self {
        let (x, weight) = (x.without_autodiff(), coding.weight.val().without_autodiff());
        Self {
            name: name.into(),
            geometry: ConvGeometry::new(x.dims(), weight.dims(), coding.placement())
                .unwrap_or_else(|error| panic!("a layer fits its input: {error}")),
            placement: coding.placement(),
            x,
            weight,
            lambda1: coding.lambda1.val().without_autodiff(),
            options: coding.options(),
        }
    }

    fn measure(&self, options: SolverOptions, repeats: usize, device: &Device) -> Result<Measured, StudyError> {
        let placement = self.placement;
        let forward = || {
            let (x, weight, lambda1) = (self.x.clone(), self.weight.clone(), self.lambda1.clone());
            sparse_code2d(x, weight, lambda1, placement, options)
        };
        let (codes, info) = forward();
        let grad_codes = spread(self.geometry.codes_shape(), device);
        let backward = || {
            let (x, weight) = (self.x.clone(), self.weight.clone());
            sparse_code2d_vjp(x, weight, codes.clone(), grad_codes.clone(), placement, options)
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
    fn measure<T>(pass: impl Fn() -> T, repeats: usize, device: &Device) -> Result<Self, StudyError> {
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
