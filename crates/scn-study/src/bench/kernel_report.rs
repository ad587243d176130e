//! What is measured of single layers.

use scn_interop::figure::figure;
use scn_ops::{A100, DeviceLimits, wgpu_bound};
use scn_solver::ConvGeometry;
use scn_solver::profile::Part;
use serde::Serialize;

use super::kernels::{Measured, Pass};

/// What is measured of layers. Rates are 10⁹ operations per second of all threads; `None` where a device tells none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelsReport {
    /// The device, in words.
    pub device: String,
    /// Threads.
    pub threads: usize,
    /// What the images are.
    pub images: String,
    /// Where the weights come from; `None` for initial ones.
    pub weights: Option<String>,
    /// Images of a pass.
    pub batch: usize,
    /// Passes that were measured.
    pub repeats: usize,
    /// Of multiply-adds in registers.
    pub peak_gflops: Option<f64>,
    /// One for each layer shape and solver.
    pub layers: Vec<LayerReport>,
}

/// A layer shape with a solver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// The first layer of this shape.
    pub layer: String,
    /// Input channels.
    pub channels: usize,
    /// Atoms.
    pub atoms: usize,
    /// Side of the windows.
    pub kernel: usize,
    /// Step between output pixels.
    pub stride: usize,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Name of the solver.
    pub solver: &'static str,
    /// Mean iterations of a pixel in the forward pass.
    pub iterations: f64,
    /// Median of ρ.
    #[serde(serialize_with = "figure")]
    pub kkt_median: f64,
    /// Bound on ρ of 99 % of the pixels.
    #[serde(serialize_with = "figure")]
    pub kkt_p99: f64,
    /// The solve.
    pub forward: PassReport,
    /// Its gradient.
    pub backward: PassReport,
    /// On wgpu: what the forward iterations take at least on a GPU with published figures.
    pub bound: Option<BoundReport>,
}

/// See `benches/wgpu.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundReport {
    /// The GPU.
    pub gpu: &'static str,
    /// At least.
    pub nanoseconds_per_pixel: f64,
    /// What bounds it.
    pub limit: &'static str,
}

impl BoundReport {
    /// Of `iterations` iterations a pixel; `None` where the layer has no kernel within the limits.
    fn new(atoms: usize, pixels: usize, iterations: f64, limits: DeviceLimits) -> Option<Self> {
        let bound = wgpu_bound(atoms, pixels, limits, &A100)?;
        Some(Self {
            gpu: A100.name,
            nanoseconds_per_pixel: 1e9 * iterations * (atoms * atoms) as f64 / bound.multiply_adds_per_second,
            limit: bound.limit.name(),
        })
    }
}

impl LayerReport {
    pub(super) fn new(measured: Measured, peak_gflops: Option<f64>, limits: Option<DeviceLimits>) -> Self {
        let ConvGeometry {
            batch,
            channels,
            height,
            width,
            atoms,
            kernel,
            stride,
            ..
        } = measured.geometry;
        let pixels = batch * measured.geometry.pixels();
        let bound = |limits| BoundReport::new(atoms, pixels, measured.iterations, limits);
        Self {
            bound: limits.and_then(bound),
            layer: measured.name,
            channels,
            atoms,
            kernel,
            stride,
            input: [height, width],
            solver: measured.options.forward.method.name(),
            iterations: measured.iterations,
            kkt_median: measured.kkt_median,
            kkt_p99: measured.kkt_p99,
            forward: PassReport::new(&measured.forward, pixels, peak_gflops),
            backward: PassReport::new(&measured.backward, pixels, peak_gflops),
        }
    }
}

/// One pass of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassReport {
    /// Median of the repeats.
    pub nanoseconds_per_pixel: f64,
    /// The first and the third.
    pub quartiles: [f64; 2],
    /// Of the solves, while threads work on them.
    pub solver_gflops: Option<f64>,
    /// Of the products, while threads work on them.
    pub convolution_gflops: Option<f64>,
    /// All operations of the pass over its wall time.
    pub gflops: Option<f64>,
    /// Of the machine's peak.
    pub share_of_peak: Option<f64>,
}

impl PassReport {
    fn new(pass: &Pass, pixels: usize, peak_gflops: Option<f64>) -> Self {
        let threads = rayon::current_num_threads();
        let of = |parts| pass.profile.map(|profile| profile.of_all(parts));
        let (solver, convolution) = (of(Part::SOLVER), of(Part::CONVOLUTION));
        let gflops = solver.zip(convolution).map(|(solver, convolution)| {
            let flops = (solver.flops + convolution.flops) as f64 / pass.repeats as f64;
            flops / pass.seconds.median.max(f64::MIN_POSITIVE) / 1e9
        });
        let nanoseconds = |seconds: f64| 1e9 * seconds / pixels as f64;
        Self {
            nanoseconds_per_pixel: nanoseconds(pass.seconds.median),
            quartiles: pass.seconds.quartiles.map(nanoseconds),
            solver_gflops: solver.map(|spent| spent.gigaflops(threads)),
            convolution_gflops: convolution.map(|spent| spent.gigaflops(threads)),
            gflops,
            share_of_peak: gflops.zip(peak_gflops).map(|(rate, peak)| rate / peak),
        }
    }
}
