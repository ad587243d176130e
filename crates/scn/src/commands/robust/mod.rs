//! `scn robust`: robust inference on corrupted images.

mod report;
mod stored;
mod study;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use burn::module::Module;
use scn_data::{Corruption, Noise};
use scn_models::{Network, Sparsity};
use scn_train::checkpoint::Checkpoint;
use scn_train::{EvaluationSplit, Splits, write_file};

use self::report::{csv, table};
pub(crate) use self::stored::{RobustAccuracy, Stored};
use self::study::Study;
use crate::arguments::{TestArgs, count};
use crate::exit::Usage;
use crate::{exit, log, output, signals, weights};

/// Where the fit lies below a run or a checkpoint.
const FILE: &str = "robust.json";
/// The same as a table.
const TABLE: &str = "robust.csv";
/// λ that are tried unless --lambdas says otherwise: those of the authors' program.
const LAMBDAS: [f64; 14] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4];
/// Factors on λ₁ that are tried unless --lambdas says otherwise.
const FACTORS: [f64; 8] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

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
    let (path, checkpoint) = weights::load(&args.path)?;
    let Checkpoint { description, .. } = &checkpoint;
    let data = args.test.data(&description.data)?;
    let test = Splits::images(EvaluationSplit::Test, &data, description.seed)?;
    let train = Splits::images(EvaluationSplit::Train, &data, description.seed)?;
    let device = args.test.open_device()?;
    let image = data.image_shape();
    let model = weights::network(&path, &checkpoint, &description.model, image, &device)?.valid();
    let tried = args.tried(model.sparsity())?;

    let study = Study {
        model: &model,
        checkpoint: &checkpoint,
        data: &data,
        device: &device,
        stop: &stop,
        tried: &tried,
        corruptions: &args.corruptions()?,
        fit_images: args.fit_images,
        seed: args.seed,
    };
    let Some(report) = study.report(&path, train, test)? else {
        return Ok(exit::stopped(stop.signal().unwrap_or_default()));
    };
    let store = |name: &str, text: String| {
        let file = args.path.join(name);
        write_file(&file, text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
    };
    store(FILE, serde_json::to_string_pretty(&report)?)?;
    store(TABLE, csv(&report))?;
    match args.json {
        true => output::print_json(&report)?,
        false => output::print(&table(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The values that are tried on a network, rising.
    fn tried(&self, sparsity: Option<Sparsity>) -> Result<Vec<f64>, Usage> {
        let Some(sparsity) = sparsity else {
            if self.lambdas.is_empty() {
                return Ok(Vec::new());
            }
            return Err(Usage("--lambdas: this network has no sparse codes".into()));
        };
        let mut tried = match (self.lambdas.is_empty(), sparsity) {
            (false, _) => self.lambdas.clone(),
            (true, Sparsity::Lambda(_)) => LAMBDAS.to_vec(),
            (true, Sparsity::Factor) => FACTORS.to_vec(),
        };
        // A factor divides: see the layer. λ may be 0.
        let (allowed, expected): (fn(f64) -> bool, _) = match sparsity {
            Sparsity::Lambda(_) => (|value| value.is_finite() && value >= 0.0, "finite values, at least 0"),
            Sparsity::Factor => (|value| value.is_finite() && value > 0.0, "finite factors above 0"),
        };
        if let Some(wrong) = tried.iter().find(|value| !allowed(**value)) {
            return Err(Usage(format!("--lambdas: found {wrong}, expected {expected}")));
        }
        tried.sort_by(f64::total_cmp);
        tried.dedup();
        Ok(tried)
    }

    /// The corruptions, one after the other, from none on.
    fn corruptions(&self) -> anyhow::Result<Vec<Option<Corruption>>> {
        let mut corruptions = vec![None];
        for &noise in &self.noise {
            for &severity in &self.severities.0 {
                corruptions.push(Some(Corruption::new(noise, severity)?));
            }
        }
        Ok(corruptions)
    }
}
