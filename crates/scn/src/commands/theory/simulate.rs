//! `scn theory simulate`: the theorems on signals of multi-layer models.

use scn_study::theory::simulate::{Options, Report, Tally, study};

use super::network::energy;
use super::words::number;
use crate::arguments::count;
use crate::log;
use crate::output::{print, print_json};

/// Run the pursuits on signals of multi-layer models, inside and outside the theorems' conditions
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn theory simulate
  scn theory simulate --signals 1000 --noise 0.001 --json

Signals are drawn from multi-layer models whose dictionaries allow two or three non-zeros a stripe,
once so sparse and once denser; noise of the given norm in the windows of the first layer is added, where
the deepest codes are about 1. A signal is inside where the conditions hold in every layer: there every
promise is to be kept. Outside, the theorems promise nothing. The error is relative to its bound; that of
exact recovery to 1e-8 of the largest code.")]
pub(super) struct Args {
    /// Sparse signals of each model; a twentieth as many are dense
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(1))]
    signals: usize,
    /// Largest Euclidean norm of the noise in a window of the first layer
    #[arg(long, value_name = "E", default_value_t = 0.0005, value_parser = energy)]
    noise: f64,
    /// Seed of dictionaries, signals and noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    crate::device::start_threads(args.threads)?;
    let Args {
        signals, noise, seed, ..
    } = args;
    let report = study(Options { signals, noise, seed });
    match args.json {
        true => print_json(&report),
        false => print(&table(&report)),
    }
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{} sparse and {} dense signals of each model; noise of norm {} in the windows of the first layer\n",
        report.sparse_signals, report.dense_signals, report.noise
    );
    for model in &report.models {
        text += &format!("\n{}: {}\n", model.name, model.doc);
        for (index, layer) in model.layers.iter().enumerate() {
            text += &format!(
                "  layer {}: {} atoms of {}×{k}×{k}, stride {}: coherence {:.4}, ½(1 + 1/μ) {}, ⅓(1 + 1/μ) {}\n",
                index + 1,
                layer.atoms,
                layer.channels,
                layer.stride,
                layer.coherence,
                number(layer.uniqueness_bound, 2),
                number(layer.stability_bound, 2),
                k = layer.kernel,
            );
        }
        for theorem in &model.theorems {
            text += &format!("  {}\n", theorem.theorem.name());
            text += &tally("inside", &theorem.inside);
            text += &tally("outside", &theorem.outside);
        }
    }
    text
}

fn tally(name: &str, tally: &Tally) -> String {
    format!(
        "    {name:<8} {:>5} signals: {:>5} as promised, {:>5} with equal supports, {:>5} with false atoms, {:>3} not \
         certified, largest error {:.3}\n",
        tally.signals, tally.kept, tally.supports_equal, tally.with_false_atoms, tally.uncertified, tally.worst_error
    )
}
