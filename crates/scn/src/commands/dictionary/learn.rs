//! `scn dictionary learn`: learns a dictionary from an experiment file, or goes on with a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use scn_dictionary::{DictionaryExperiment, Outcome, Report, Start, Trainer};
use scn_train::{
    Environment, ExperimentFile, Loaded, RunFolder, RunFolderError, StopFlag, default_path, holds_run, newest_run,
};
use time::OffsetDateTime;
use tracing::info;

use crate::arguments::RUNS;
use crate::progress::Console;
use crate::stderr::say;
use crate::{device, exit, log, output, signals};

/// Learn a dictionary from the patches of images
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn dictionary learn configs/dictionary/orthogonal-144.toml
  scn dictionary learn configs/dictionary/classical.toml --set dictionary.images=photographs
  scn dictionary learn configs/dictionary/classical.toml --out runs/first --resume

Ctrl-C finishes the step, saves and exits; a second Ctrl-C exits at once without saving. SIGTERM,
SIGHUP, SIGUSR1 and SIGUSR2 save and exit too.")]
pub(super) struct Args {
    /// The experiment file, which has a table [dictionary]
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set dictionary.epochs=10
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run [default: runs/<name>/<UTC time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the newest good checkpoint of the run in --out, or of the newest run of that name; a folder in --out
    /// without a run gets a new one
    #[arg(long)]
    resume: bool,
    /// Print one JSON object with the results on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    let loaded = match args.resume {
        true => DictionaryExperiment::load_started(&args.experiment, &args.set)?,
        false => DictionaryExperiment::load(&args.experiment, &args.set)?,
    };
    let experiment = &loaded.experiment;
    let device = device::open(experiment.run.device, experiment.run.threads)?;
    let runs = Path::new(RUNS);
    let path = match (args.out, args.resume) {
        (Some(out), _) => out,
        (None, false) => default_path(runs, &experiment.name, OffsetDateTime::now_utc()),
        (None, true) => newest_run(runs, &experiment.name)?
            .ok_or_else(|| RunFolderError::NothingToResume(runs.join(&experiment.name)))?,
    };
    let resume = args.resume && holds_run(&path);
    if args.resume && !resume {
        experiment.validate()?;
        say!(
            "{}: nothing was saved here yet; starting from the start",
            path.display()
        );
    }
    let environment = Environment::now(scn_ops::describe(&device));
    let mut console = Console::new();
    let begun = match resume {
        true => resumed(&path, loaded, &environment, &mut console).map(Some),
        false => new(&path, loaded, &environment, &stop, &mut console),
    };
    let outcome = begun.and_then(|begun| match begun {
        None => Ok(None),
        Some((start, folder)) => {
            let trainer = Trainer::new(start, folder, stop.clone())?;
            Ok(Some(trainer.run(&mut console)?))
        }
    });
    drop(console);
    match outcome {
        Ok(Some(Outcome::Finished(report))) => {
            print(&report, args.json).with_context(|| {
                let run = path.display();
                format!("the results, which are in {run}/metrics.jsonl too, cannot be shown")
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Some(Outcome::Stopped(signal))) => {
            let path = path.display();
            say!("stopped by signal {signal}; saved in {path}; go on with --out {path} --resume");
            info!("stopped by signal {signal}");
            Ok(exit::stopped(signal))
        }
        Ok(None) => {
            let signal = stop.signal().unwrap_or_default();
            say!("stopped by signal {signal} before the first step; nothing was begun");
            Ok(exit::stopped(signal))
        }
        Err(error) => {
            // Standard error gets it from main.
            info!("failed: {error}");
            Err(error)
        }
    }
}

/// A new run in `path`. Its folder is made last, so that a start that fails leaves none; `None` where a signal came first.
fn new(
    path: &Path,
    loaded: Loaded<DictionaryExperiment>,
    environment: &Environment,
    stop: &StopFlag,
    console: &mut Console,
) -> anyhow::Result<Option<(Start, RunFolder)>> {
    // Before the images are read, which may take long.
    RunFolder::check_new(path)?;
    announce(path, &loaded.experiment, environment, console);
    let start = Start::new(loaded.experiment.clone(), environment)?;
    if stop.signal().is_some() {
        return Ok(None);
    }
    let folder = RunFolder::create(path, &loaded)?;
    match record(&folder, &loaded.experiment, environment) {
        Ok(()) => Ok(Some((start, folder))),
        Err(error) => {
            folder.discard();
            Err(error.into())
        }
    }
}

/// The run in `path`, where it was left.
fn resumed(
    path: &Path,
    loaded: Loaded<DictionaryExperiment>,
    environment: &Environment,
    console: &mut Console,
) -> anyhow::Result<(Start, RunFolder)> {
    let mut folder = RunFolder::resume(path, &loaded.experiment)?;
    announce(path, &loaded.experiment, environment, console);
    record(&folder, &loaded.experiment, environment)?;
    let start = Start::resumed(loaded.experiment, environment, &mut folder, console)?;
    Ok((start, folder))
}

fn announce(path: &Path, experiment: &DictionaryExperiment, environment: &Environment, console: &Console) {
    let Environment { device, .. } = environment;
    console.line(&format!("{} on {device}, in {}", experiment.name, path.display()));
}

/// Writes down what the run is started on.
fn record(
    folder: &RunFolder,
    experiment: &DictionaryExperiment,
    environment: &Environment,
) -> Result<(), RunFolderError> {
    log::start(Some(folder.log()?));
    folder.add_environment(environment)?;
    info!("{} on {}", experiment.name, environment.device);
    Ok(())
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return output::print_json(report);
    }
    let Report {
        run_dir,
        epochs,
        evaluation,
        high_frequency_share,
        orthogonality,
        seconds,
        patches_per_second,
    } = report;
    let orthogonality = orthogonality.map_or_else(String::new, |deviation| format!("orthogonal  to {deviation:.1e}\n"));
    output::print(&format!(
        "run         {run_dir}\n\
         epochs      {epochs} in {seconds:.1} s, {patches_per_second:.0} patches/s\n\
         objective   {:.6} on the patches of evaluation, {:.1} % of codes are not 0\n\
         atoms       {:.1} % of high frequency\n{orthogonality}",
        evaluation.objective,
        100.0 * evaluation.activity,
        100.0 * high_frequency_share
    ))
}
