//! `scn config`: checks experiment files and writes them out in full.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use scn_dictionary::{DictionaryExperiment, is_dictionary_experiment};
use scn_train::{Experiment, ExperimentError, ExperimentFile, compared_experiments, reference, resolved_toml};

use crate::exit::BadInput;
use crate::output::print;
use crate::stderr::say;

/// Check experiment files, print one in full, or list all keys
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn config check configs/quickstart.toml
  scn config print configs/cifar10/scn-1.toml
  scn config keys")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check(Check),
    Print(Print),
    /// List every key of an experiment file with its meaning, its values and its default, as Markdown
    Keys,
}

/// Check experiment files
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn config check configs/quickstart.toml
  scn config check configs/*/*.toml
  scn config check configs/cifar10/scn-1.toml --set train.epochs=10

All files are checked; the exit code is 3 if any of them is refused. Of a comparison file, as
scn bench compare takes it, the experiments that it lists are checked.")]
struct Check {
    /// The experiment files, or comparison files
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<PathBuf>,
    /// Override a key of every file, as in --set train.epochs=10
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Print an experiment file with every key, its meaning, its value and its default
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn config print configs/quickstart.toml
  scn config print configs/cifar10/scn-1.toml --set model.width=2 > scn-2.toml")]
struct Print {
    /// The experiment file
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set train.epochs=10
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Check(args) => check(&args)?,
        Action::Print(args) => print(&in_full(&args.experiment, &args.set)?)?,
        Action::Keys => print(&keys())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The reference page of the keys of all kinds of experiment files.
fn keys() -> String {
    format!(
        "{}\n# Keys of a dictionary's experiment file\n\nA file with a table `[dictionary]` is for \
         `scn dictionary learn`.\n{}",
        reference(),
        scn_dictionary::reference()
    )
}

fn in_full(path: &Path, overrides: &[String]) -> Result<String, ExperimentError> {
    if is_dictionary_experiment(path) {
        let loaded = DictionaryExperiment::load(path, overrides)?;
        return Ok(resolved_toml(&loaded.experiment));
    }
    Ok(Experiment::load(path, overrides)?.experiment.resolved_toml())
}

fn check(args: &Check) -> anyhow::Result<()> {
    let mut refused = Vec::new();
    for path in &args.experiments {
        match check_file(path, &args.set) {
            Ok(()) => print(&format!("{}: ok\n", path.display()))?,
            Err(error) => refused.push(error),
        }
    }
    let Some(last) = refused.pop() else {
        return Ok(());
    };
    if args.experiments.len() == 1 {
        return Err(last.into());
    }
    let count = refused.len() + 1;
    for error in refused.iter().chain([&last]) {
        say!("error: {error}");
    }
    Err(BadInput(format!(
        "{count} of {} experiment files are refused",
        args.experiments.len()
    ))
    .into())
}

fn check_file(path: &Path, overrides: &[String]) -> Result<(), ExperimentError> {
    if is_dictionary_experiment(path) {
        return DictionaryExperiment::load(path, overrides).map(|_| ());
    }
    let files = compared_experiments(path)?.unwrap_or_else(|| vec![path.to_path_buf()]);
    files
        .iter()
        .try_for_each(|file| Experiment::load(file, overrides).map(|_| ()))
}
