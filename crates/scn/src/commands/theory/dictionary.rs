//! `scn theory dictionary`: the coherence of a file of weights, and the norms of its codes.

use std::path::PathBuf;

use scn_study::theory::dictionary::{Options, Report, study};

use super::words::{named, number, pair};
use crate::arguments::count;
use crate::log;
use crate::output::{print, print_json};
use crate::stderr::say;

/// The coherence of a convolutional dictionary, and the stripe and patch norms of codes
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn theory dictionary weights.safetensors
  scn theory dictionary weights.safetensors --stride 2 --patch 3 --json

The file holds `weight [n, c, k, k]`, one atom a row, and may hold `codes [b, n, h, w]`, F32 or F64.
Atoms are normalised; atoms of zeros are left out and named. The coherence is that of whole atoms at all
shifts that are multiples of the stride. A stripe has 2⌊(k − 1)/stride⌋ + 1 positions a side. The bounds
½(1 + 1/μ) and ⅓(1 + 1/μ) are null where the coherence μ is 0.")]
pub(super) struct Args {
    /// The weights, a safetensors file
    weights: PathBuf,
    /// Rows and columns from one atom to the next
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = count(1))]
    stride: usize,
    /// Side of a patch of codes [default: the whole code]
    #[arg(long, value_name = "K", value_parser = count(1))]
    patch: Option<usize>,
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
    let Args { stride, patch, .. } = args;
    let report = study(&args.weights, Options { stride, patch })?;
    if report.codes.is_none() && patch.is_some() {
        let file = args.weights.display();
        say!("warning: {file}: it holds no `codes`, so that --patch changes nothing");
    }
    match args.json {
        true => print_json(&report),
        false => print(&table(&report)),
    }
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{}: {} atoms of {}×{k}×{k}, stride {}\n\n\
         coherence                  {:.6}{}\n\
         uniqueness, ½(1 + 1/μ)     {}\n\
         stability, ⅓(1 + 1/μ)      {}\n",
        report.weights.display(),
        report.atoms,
        report.channels,
        report.stride,
        report.coherence,
        report
            .coherent_pair
            .as_ref()
            .map_or_else(String::new, |found| format!(" (atoms {})", pair(found))),
        number(report.uniqueness_bound, 3),
        number(report.stability_bound, 3),
        k = report.kernel,
    );
    text += &named(&report.zero_atoms, &report.repeated_atoms);
    if let Some(codes) = &report.codes {
        let patch = codes
            .patch
            .map_or_else(|| "the whole code".into(), |side| format!("{side}×{side}"));
        text += &format!(
            "stripe norm                {}\npatch norm                 {} ({patch})\n",
            codes.stripe_norm, codes.patch_norm
        );
    }
    text
}
