//! `scn robust`: robust inference on corrupted images.

use std::path::PathBuf;
use std::process::ExitCode;

use scn_data::{Corruption, DataError, Noise};
use scn_study::robust::{Options, Report, study};
use scn_study::{StudyError, Trained};

use crate::arguments::{TestArgs, count};
use crate::exit::Usage;
use crate::output::{json, show_then_store};
use crate::stderr::say;
use crate::{exit, log, signals};

/// Choose the sparsity by the residual, and evaluate on corrupted images
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn robust runs/sdnet18
  scn robust runs/sdnet18 --noise gaussian,shot --severities 1,3,5 --lambdas 0.1,0.2,0.4,0.8
  scn robust runs/scn-1 --test-images 1000 --json

λ (for an SCN, a factor on every λ₁) is fitted as a linear function of the first layer's residual on corrupted
training images and stored as robust.json with the run; a batch gets the λ of its mean residual. The corrupted test
images are those of CIFAR-10-C where its files lie in the data folder, and made by its formulas elsewhere. `best`
is that of the tried λ which the test labels choose: not a result. A network without sparse codes is evaluated as it is.")]
pub(crate) struct Args {
    /// Folder of a run or of one of its checkpoints
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// Corruptions
    #[arg(long, value_delimiter = ',', default_value = "gaussian,shot,speckle,impulse")]
    noise: Vec<Noise>,
    /// Severities from 1 to 5, as in 1-5 or 1,3,5
    #[arg(long, default_value = "1-5", value_parser = severities)]
    severities: Severities,
    /// Values that are tried [default: λ from 0.1 to 1.4, for an SCN factors from 0.25 to 6]
    #[arg(long, value_delimiter = ',')]
    lambdas: Vec<f64>,
    /// Training images of the fit
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = count(1))]
    fit_images: usize,
    #[command(flatten)]
    test: TestArgs,
    /// Seed of the corruptions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Severities, rising.
#[derive(Clone)]
struct Severities(Vec<u8>);

fn severities(text: &str) -> Result<Severities, String> {
    let number = |text: &str| text.trim().parse::<u8>().ok().filter(|number| (1..=5).contains(number));
    let list: Option<Vec<u8>> = match text.split_once('-') {
        Some((first, last)) => number(first)
            .zip(number(last))
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| (first..=last).collect()),
        None => text.split(',').map(number).collect(),
    };
    let mut list = list.ok_or("expected severities from 1 to 5, as in 1-5 or 1,3,5")?;
    list.sort_unstable();
    list.dedup();
    Ok(Severities(list))
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    let trained = Trained::load(&args.path)?;
    let data = args.test.data(&trained.checkpoint.description.data)?;
    let options = Options {
        sparsities: args.lambdas.clone(),
        corruptions: args.corruptions()?,
        fit_images: args.fit_images,
        seed: args.seed,
    };
    let device = args.test.open_device()?;
    let report = study(&trained, &data, &options, &device, &stop, &mut |step| {
        say!("{step}");
    });
    let report = match report {
        Err(error @ (StudyError::NoCodes | StudyError::Sparsity { .. })) => {
            return Err(Usage(format!("--lambdas: {error}")).into());
        }
        other => other?,
    };
    let Some(report) = report else {
        return Ok(exit::stopped(stop.signal().unwrap_or_default()));
    };
    let text = match args.json {
        true => json(&report)?,
        false => table(&report),
    };
    show_then_store(&text, || report.store(&args.path))?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The corruptions, one after the other.
    fn corruptions(&self) -> Result<Vec<Corruption>, DataError> {
        let mut corruptions = Vec::new();
        for &noise in &self.noise {
            for &severity in &self.severities.0 {
                corruptions.push(Corruption::new(noise, severity)?);
            }
        }
        Ok(corruptions)
    }
}

/// A number, or `-`.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

/// The report for people.
fn table(report: &Report) -> String {
    let mut text = format!(
        "{}, a {}, on {} test images; corruptions {}\n",
        report.checkpoint, report.model, report.test_images, report.corruptions
    );
    if let (Some(sparsity), Some(trained), Some(fit)) = (report.sparsity, report.trained, report.fit) {
        text += &format!(
            "{sparsity} {trained} in training, {:.4} + {:.4}·residual fitted on {} training images, kept in {}..{}\n",
            fit.intercept, fit.slope, report.fit_images, fit.least, fit.largest
        );
    }
    text += "\nnoise     severity  residual    fixed   fitted     best (at, by the test labels)\n";
    for row in &report.rows {
        let at = row.best_value.map_or_else(String::new, |value| format!(" ({value})"));
        text += &format!(
            "{:<9} {:>8}  {:>8}  {:>7.2}  {:>7}  {:>7}{at}\n",
            row.noise,
            row.severity,
            number(row.residual, 4),
            row.fixed,
            number(row.fitted, 2),
            number(row.best, 2),
        );
    }
    text
}
