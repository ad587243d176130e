//! `scn bench kernels`: the solve of a layer and its gradient, by layer shape.

use std::path::PathBuf;

use scn_ops::DeviceRequest;
use scn_study::bench::{KernelsReport, Networks, kernels};
use scn_study::{StudyError, Trained};
use scn_train::TrainError;

use super::words::{percent, rate, without_dataset};
use crate::arguments::{count, device_name};
use crate::exit::Usage;
use crate::output::{print, print_json};
use crate::{device, log};

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
    #[arg(long, value_parser = device_name(), default_value = "auto")]
    device: DeviceRequest,
    /// Threads; 0 takes all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    let device = device::open(args.device, args.threads)?;
    let weights = args.weights.as_deref().map(Trained::load).transpose()?;
    let networks = match &weights {
        None => Networks::Initial(&args.width),
        Some(weights) => Networks::Trained {
            weights,
            synthetic: args.synthetic,
        },
    };
    let report = kernels(&networks, args.batch, args.repeats, &device).map_err(|error| match &error {
        StudyError::Train(cause) => match (&**cause, &weights) {
            (TrainError::Model(cause), None) => Usage(format!("--width: {cause}")).into(),
            _ => without_dataset(error),
        },
        _ => without_dataset(error),
    })?;
    if args.json {
        print_json(&report)
    } else {
        print(&table(&report))
    }
}

/// The report for people.
fn table(report: &KernelsReport) -> String {
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
