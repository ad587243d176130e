//! `scn train`: trains a model from an experiment file, or goes on with a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use scn_train::{
    Environment, Experiment, Outcome, Report, RunFolder, RunFolderError, Trainer, default_path, holds_run, newest_run,
};
use time::OffsetDateTime;
use tracing::info;

use crate::progress::Console;
use crate::{device, exit, log, output, signals};

/// Where runs lie unless --out says otherwise.
pub(crate) const RUNS: &str = "runs";

/// Train a model from an experiment file
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn train configs/quickstart.toml
  scn train configs/cifar10/scn-1.toml --set data.dir=/data --set run.threads=8
  scn train configs/cifar10/scn-1.toml --out runs/first
  scn train configs/cifar10/scn-1.toml --out runs/first --resume

Ctrl-C finishes the step, saves and exits; a second Ctrl-C exits at once.")]
pub(crate) struct Args {
    /// The experiment file
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set train.epochs=10
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

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    let loaded = match args.resume {
        true => Experiment::load_started(&args.experiment, &args.set)?,
        false => Experiment::load(&args.experiment, &args.set)?,
    };
    let experiment = &loaded.experiment;
    let device = device::open(experiment.run.device, experiment.run.threads)?;
    let runs = Path::new(RUNS);
    let folder = match (args.out, args.resume) {
        (Some(out), _) => out,
        (None, false) => default_path(runs, &experiment.name, OffsetDateTime::now_utc()),
        (None, true) => newest_run(runs, &experiment.name)?
            .ok_or_else(|| RunFolderError::NothingToResume(runs.join(&experiment.name)))?,
    };
    let resume = args.resume && holds_run(&folder);
    if args.resume && !resume {
        experiment.validate()?;
        eprintln!(
            "{}: nothing was saved here yet; starting from the start",
            folder.display()
        );
    }
    let folder = if resume {
        RunFolder::resume(&folder, experiment)?
    } else {
        RunFolder::create(&folder, &loaded)?
    };
    log::start(Some(folder.log()?));
    let environment = Environment::now(scn_ops::describe(&device));
    folder.add_environment(&environment)?;
    eprintln!(
        "{} on {}, in {}",
        experiment.name,
        environment.device,
        folder.path().display()
    );
    info!("{} on {}", experiment.name, environment.device);
    let mut console = Console::new();
    let trainer = Trainer::new(loaded.experiment, &device, folder, stop, &mut console)?;
    let path = trainer.path().to_path_buf();
    let outcome = trainer.run(&mut console);
    drop(console);
    match outcome {
        Ok(Outcome::Finished(report)) => {
            print(&report, args.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Outcome::Stopped(signal)) => {
            eprintln!(
                "stopped by signal {signal}; saved in {}; go on with --out {} --resume",
                path.display(),
                path.display()
            );
            info!("stopped by signal {signal}");
            Ok(exit::stopped(signal))
        }
        Err(error) => {
            // Standard error gets it from main.
            info!("failed: {error}");
            Err(error.into())
        }
    }
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    info!("test top-1 {:.2} %, top-5 {:.2} %", report.test_top1, report.test_top5);
    if json {
        return output::print_json(report);
    }
    let validation = report
        .validation_top1
        .map_or_else(String::new, |top1| format!("validation  top-1 {top1:.2} %\n"));
    output::print(&format!(
        "run         {}\nepochs      {} in {:.1} s, {:.0} images/s\n{validation}test        top-1 {:.2} %, top-5 {:.2} %\n",
        report.run_dir, report.epochs, report.seconds, report.images_per_second, report.test_top1, report.test_top5
    ))
}
