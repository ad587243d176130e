//! What `scn bench kernels` prints, for machines and for people.

use scn_ops::{A100, DeviceLimits, wgpu_bound};
use scn_solver::ConvGeometry;
use scn_solver::profile::Part;
use serde::Serialize;

use super::super::measure::{percent, rate};
use super::{Measured, Pass};

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) images: String,
    pub(super) weights: Option<String>,
    pub(super) batch: usize,
    pub(super) repeats: usize,
    pub(super) peak_gflops: Option<f64>,
    pub(super) layers: Vec<LayerReport>,
}

/// A layer shape with a solver.
#[derive(Serialize)]
pub(super) struct LayerReport {
    /// The first layer of this shape.
    layer: String,
    channels: usize,
    atoms: usize,
    kernel: usize,
    stride: usize,
    /// Rows and columns of the input.
    input: [usize; 2],
    solver: &'static str,
    /// Mean iterations of a pixel in the forward pass.
    iterations: f64,
    kkt_median: f64,
    kkt_p99: f64,
    forward: PassReport,
    backward: PassReport,
    /// On wgpu: what the forward iterations take at least on a GPU with published figures.
    bound: Option<BoundReport>,
}

/// See `benches/wgpu.md`.
#[derive(Serialize)]
struct BoundReport {
    gpu: &'static str,
    nanoseconds_per_pixel: f64,
    limit: &'static str,
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

/// One pass of a layer. A further figure of a pass is a field here and a column in `table`.
#[derive(Serialize)]
struct PassReport {
    nanoseconds_per_pixel: f64,
    /// The first and the third.
    quartiles: [f64; 2],
    solver_gflops: Option<f64>,
    convolution_gflops: Option<f64>,
    /// All operations of the pass over its wall time.
    gflops: Option<f64>,
    share_of_peak: Option<f64>,
}

impl PassReport {
    fn new(pass: &Pass, pixels: usize, peak_gflops: Option<f64>) -> Self {
        let threads = rayon::current_num_threads();
        let of = |part| pass.profile.map(|profile| profile.of(part));
        let (solver, convolution) = (of(Part::Solver), of(Part::Convolution));
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

/// The report for people.
pub(super) fn table(report: &Report) -> String {
    let weights = report.weights.as_deref().unwrap_or("initial");
    let mut text = format!(
        "{}, {} threads, peak {} GFLOP/s\n\
         {} passes of {} {}, weights: {weights}\n\n",
        report.device,
        report.threads,
        rate(report.peak_gflops),
        report.repeats,
        report.batch,
        report.images,
    );
    text += &format!(
        "{:<24} {:<19} {:<9} {:>9} {:>17} {:>8} {:>8} {:>8} {:>6} {:>9} {:>9}\n",
        "layer", "solver", "pass", "ns/pixel", "quartiles", "solver", "conv.", "of peak", "iter.", "median ρ", "p99 ρ"
    );
    if let Some(bound) = report.layers.iter().find_map(|layer| layer.bound.as_ref()) {
        text = format!("{}  {} at least, ns/pixel\n", text.trim_end(), bound.gpu);
    }
    for layer in &report.layers {
        let [height, width] = layer.input;
        let shape = format!(
            "{}×{height}×{width} → {}{}",
            layer.channels,
            layer.atoms,
            if layer.stride == 1 {
                String::new()
            } else {
                format!(", stride {}", layer.stride)
            }
        );
        for (name, pass) in [("forward", &layer.forward), ("backward", &layer.backward)] {
            let [low, high] = pass.quartiles;
            let row = format!(
                "{shape:<24} {:<19} {name:<9} {:>9.1} {:>17} {:>8} {:>8} {:>8}",
                layer.solver,
                pass.nanoseconds_per_pixel,
                format!("{low:.1} – {high:.1}"),
                rate(pass.solver_gflops),
                rate(pass.convolution_gflops),
                percent(pass.share_of_peak),
            );
            // Iterations, ρ and the bound are those of the forward pass.
            let mut solve = format!(
                " {:>6.1} {:>9.1e} {:>9.1e}",
                layer.iterations, layer.kkt_median, layer.kkt_p99
            );
            if let Some(bound) = &layer.bound {
                solve += &format!("  {:.3} ({})", bound.nanoseconds_per_pixel, bound.limit);
            }
            text += &row;
            text += if name == "forward" { &solve } else { "" };
            text += "\n";
        }
    }
    text
}
