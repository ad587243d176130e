//! `scn theory`: the guarantees of sparse coding, held against a network, a dictionary and simulated signals.

mod dictionary;
mod network;
mod simulate;
mod words;

use std::process::ExitCode;

use clap::Subcommand;

/// Hold the guarantees of sparse coding against a network, a dictionary or simulated signals
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  scn theory runs/quickstart/2026-01-01T00-00-00Z
  scn theory configs/quickstart.toml --noise 0.01 --json
  scn theory dictionary weights.safetensors --stride 2
  scn theory simulate

For each coding layer of a trained network, or of the initial one of an experiment: the mutual
coherence of its dictionary, the stripe and patch norms of its codes on test images, what the theorems
on uniqueness, layered thresholding and layered basis pursuit ask, how far the layer is from it, the
error bounds that follow for noise of the given energy, the error that the network really makes under
such noise, and the assumptions that do not hold. The report of a run or of a checkpoint is stored
there as theory.json. docs/theory.md has the conventions. A folder that is named like a subcommand is
written as ./simulate."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    network: network::Args,
}

#[derive(Subcommand)]
enum What {
    Dictionary(dictionary::Args),
    Simulate(simulate::Args),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        None => network::run(args.network)?,
        Some(What::Dictionary(args)) => dictionary::run(args)?,
        Some(What::Simulate(args)) => simulate::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
