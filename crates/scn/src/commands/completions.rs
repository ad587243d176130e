//! `scn completions`: completion scripts for shells.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::output::print;

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn completions bash > ~/.local/share/bash-completion/completions/scn
  scn completions zsh > ~/.zfunc/_scn
  scn completions fish > ~/.config/fish/completions/scn.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    // `generate` panics where a write fails, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "scn", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
