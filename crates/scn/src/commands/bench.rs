//! `scn bench`: how fast training, evaluation and single layers are, how far from what the machine can do, and how
//! networks compare.

mod compare;
mod kernels;
mod step;
mod words;

use std::process::ExitCode;

use clap::Subcommand;

/// Measure the speed of training, of evaluation and of single layers, or compare models
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn bench step configs/quickstart.toml
  scn bench kernels --threads 1
  scn bench compare configs/compare/scn-cifar10.toml --out runs/scn-cifar10")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Step(step::Args),
    Kernels(kernels::Args),
    Compare(compare::Args),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Step(args) => step::run(args)?,
        What::Kernels(args) => kernels::run(args)?,
        What::Compare(args) => return compare::run(args),
    }
    Ok(ExitCode::SUCCESS)
}
