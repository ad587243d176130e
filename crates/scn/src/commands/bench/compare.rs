//! `scn bench compare`: models trained on the same data with the same budget, side by side.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use scn_ops::DeviceRequest;
use scn_study::StudyError;
use scn_study::comparison::{Options, comparison};
use scn_train::default_path;
use time::OffsetDateTime;

use crate::arguments::{RUNS, count, device_name};
use crate::exit::Usage;
use crate::output::{json, show_then_store};
use crate::stderr::say;
use crate::{exit, signals};

/// Train several models on the same data and compare them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn bench compare configs/compare/scn-cifar10.toml --out runs/scn-cifar10
  scn bench compare configs/cifar10/scn-1.toml configs/cifar10/resnet20.toml --steps 2000 \\
    --set 'train.schedule={ kind = \"one-cycle\" }' --set data.validation=5000 --target 60

Every model is trained by a process of its own, one after the other, in DIR/<name of the experiment>.
DIR/comparison.json and DIR/comparison.md are written after each. After Ctrl-C or a crash the same
command with the same --out goes on; models that are done are not trained again.

A comparison file is TOML with one key, experiments = [\"../cifar10/scn-1.toml\", …], paths relative to
it. All experiments must have the same dataset, validation split, sizes and seed. --set applies to
every one; a schedule that does not fit the budget is replaced as in the second example.

--steps N makes whole epochs of equal length: as few as N steps take, each on as many of the training
images as its share of the steps needs. So a model may make fewer steps than N, by less than one an
epoch; those really made are in the table.

--robust adds the mean top-1 over the corruptions of each run's robust.json: with the sparsity of
training, and with the one that the residual chooses. For other noises, severities or fewer images run
scn robust on DIR/<name> with its options first.

Multiply-adds are those of scn summary: per image, forward; those of one sweep of the solver, which
each sparse-coding layer makes several of, apart. Images/s are of all training steps, and of the test
of the trained weights. Peak memory is that of the training process. Seconds are of training steps
alone, without validation and pauses.")]
pub(super) struct Args {
    /// Experiment files, or comparison files that list some
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<PathBuf>,
    /// Override a key of every experiment file, as in --set data.validation=5000
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Epochs of every model [default: as in the experiments]
    #[arg(long, value_name = "N", value_parser = count(1), conflicts_with = "steps")]
    epochs: Option<usize>,
    /// Steps of every model, at most [default: as in the experiments]
    #[arg(long, value_name = "N", value_parser = count(1))]
    steps: Option<usize>,
    /// Device [default: as in the experiments]
    #[arg(long, value_parser = device_name())]
    device: Option<DeviceRequest>,
    /// Threads; 0 takes all cores [default: as in the experiments]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seed of every model [default: as in the experiments]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Tell the seconds of training until this accuracy on the validation split, in percent
    #[arg(long, value_name = "TOP1", value_parser = percentage)]
    target: Option<f64>,
    /// Evaluate on corrupted images too, by scn robust with its defaults where that was not done before
    #[arg(long)]
    robust: bool,
    /// Folder of the comparison [default: runs/compare/<UTC time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

fn percentage(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or("expected a percentage from 0 to 100")
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    let out = match args.out {
        Some(out) => out,
        None => default_path(Path::new(RUNS), "compare", OffsetDateTime::now_utc()),
    };
    let options = Options {
        experiments: args.experiments,
        set: args.set,
        epochs: args.epochs,
        steps: args.steps,
        device: args.device,
        threads: args.threads,
        seed: args.seed,
        target: args.target,
        robust: args.robust,
    };
    let program = env::current_exe().context("cannot tell where this program lies")?;
    let found = comparison(&options, &out, &program, &stop, &mut |step| say!("{step}"));
    let found = match (found, args.target) {
        (Err(error @ StudyError::NoValidation(_)), Some(target)) => {
            return Err(Usage(format!("--target {target}: {error}")).into());
        }
        (other, _) => other?,
    };
    let Some(found) = found else {
        let signal = stop.signal().unwrap_or_default();
        say!(
            "stopped by signal {signal}; go on with the same command and --out {}",
            out.display()
        );
        return Ok(exit::stopped(signal));
    };
    let text = match args.json {
        true => json(&found)?,
        false => found.table(),
    };
    show_then_store(&text, || found.store(&out))?;
    Ok(ExitCode::SUCCESS)
}
