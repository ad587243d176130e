//! `scn dictionary`: unsupervised dictionaries of image patches.

mod learn;
mod patches;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

/// Learn dictionaries of image patches without labels, and show them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn dictionary learn configs/dictionary/orthogonal-144.toml
  scn dictionary show runs/orthogonal-144/2026-01-01T00-00-00Z --out atoms.png
  scn dictionary patches configs/dictionary/orthogonal-144.toml --out patches.safetensors")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Learn(learn::Args),
    Show(show::Args),
    Patches(patches::Args),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Learn(args) => learn::run(args),
        Action::Show(args) => show::run(args),
        Action::Patches(args) => patches::run(args),
    }
}
