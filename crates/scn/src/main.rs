//! The command line of scn: one file per subcommand.
// They panic where nobody reads; `output` and `stderr` write.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod allocator;
mod arguments;
mod commands;
mod device;
mod exit;
mod log;
mod output;
mod progress;
mod runtime_dir;
mod signals;
mod stderr;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Train, evaluate and examine deep sparse coding networks.
#[derive(Parser)]
#[command(name = "scn", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  scn train configs/quickstart.toml
  scn eval runs/quickstart/2026-01-01T00-00-00Z
  scn summary configs/cifar10/scn-4.toml

Exit codes: 0 success, 1 failed run, 2 usage, 3 bad experiment file or data, 4 training diverged,
129, 130, 138, 140 and 143 stopped by a signal after saving.";

#[derive(Subcommand)]
enum Command {
    Train(commands::train::Args),
    Eval(commands::eval::Args),
    Predict(commands::predict::Args),
    Import(commands::import::Args),
    Export(commands::export::Args),
    Summary(commands::summary::Args),
    Robust(commands::robust::Args),
    Attack(commands::attack::Args),
    Theory(commands::theory::Args),
    Dictionary(commands::dictionary::Args),
    Bench(commands::bench::Args),
    Solve(commands::solve::Args),
    Data(commands::data::Args),
    Device(commands::device::Args),
    Config(commands::config::Args),
    Completions(commands::completions::Args),
}

fn main() -> ExitCode {
    allocator::keep_memory();
    runtime_dir::settle();
    signals::survive_file_limits();
    let result = match Cli::parse().command {
        Command::Train(args) => commands::train::run(args),
        Command::Eval(args) => commands::eval::run(args),
        Command::Predict(args) => commands::predict::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Summary(args) => commands::summary::run(args),
        Command::Robust(args) => commands::robust::run(args),
        Command::Attack(args) => commands::attack::run(args),
        Command::Theory(args) => commands::theory::run(args),
        Command::Dictionary(args) => commands::dictionary::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Solve(args) => commands::solve::run(args),
        Command::Data(args) => commands::data::run(args),
        Command::Device(args) => commands::device::run(args),
        Command::Config(args) => commands::config::run(args),
        Command::Completions(args) => commands::completions::run(args),
    };
    let code = result.unwrap_or_else(|error| {
        stderr::say!("error: {}", exit::message(&error));
        exit::code(&error)
    });
    stderr::finish();
    code
}
