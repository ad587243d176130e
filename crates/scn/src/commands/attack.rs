//! `scn attack`: adversarial images, against the network as it is and against the choice of its sparsity.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use scn_data::Batch;
use scn_models::Model;
use scn_train::attack::{Attack, Norm, Perturbation, PixelScale};
use scn_train::checkpoint::Checkpoint;
use scn_train::loss::Counts;
use scn_train::robust::{Inference, SparsityFit, percent};
use scn_train::{DataConfig, EvaluationSplit, Splits, images, tensors, write_file};
use serde::Serialize;

use super::robust::Stored;
use crate::arguments::{TestArgs, count, length};
use crate::exit::{BadInput, Usage};
use crate::{exit, log, output, signals, weights};

/// Where the report lies below a run or a checkpoint.
const FILE: &str = "attack.json";

/// Attack a network with adversarial images
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn attack runs/sdnet18 --eps 8/255 --steps 20 --test-images 1000
  scn attack runs/sdnet18 --norm l2 --eps 0.5 --restarts 3
  scn attack runs/sdnet18 --transfer runs/resnet18

Projected gradient descent on pixels in 0..1. After `scn robust`, images are attacked and classified both with the
sparsity of training and with the one that the residual chooses; the attack on the latter is adaptive: its gradient
passes through the choice. --transfer adds images made against another network. A sparsity that withstands only the
attacks that do not see it hides its gradient; it is not robust.")]
pub(crate) struct Args {
    /// Folder of a run or of one of its checkpoints
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// What --eps bounds: the change of every value, or the Euclidean length of an image's change
    #[arg(long, value_enum, default_value = "linf")]
    norm: NormName,
    /// Bound on the perturbation, in units of the largest pixel value [default: 8/255, for l2 0.5]
    #[arg(long, value_name = "E", value_parser = length)]
    eps: Option<f64>,
    /// Gradient steps
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = count(1))]
    steps: usize,
    /// Length of a step [default: a quarter of --eps]
    #[arg(long, value_name = "S", value_parser = length)]
    step_size: Option<f64>,
    /// Random starts
    #[arg(long, default_value_t = 1, value_name = "R", value_parser = count(1))]
    restarts: usize,
    /// Attack with images made against this network too
    #[arg(long, value_name = "RUN_OR_CHECKPOINT")]
    transfer: Option<PathBuf>,
    #[command(flatten)]
    test: TestArgs,
    /// Seed of the starts
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// A norm on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum NormName {
    Linf,
    L2,
}

/// What is printed and stored.
#[derive(Serialize)]
struct Report {
    checkpoint: String,
    model: &'static str,
    attack: Attack,
    test_images: usize,
    rows: Vec<Row>,
}

/// Accuracies in percent on one kind of images.
#[derive(Serialize)]
struct Row {
    images: String,
    /// With the sparsity of training.
    fixed: f64,
    /// With the sparsity that the residual chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    fitted: Option<f64>,
    mean_linf: f64,
    mean_l2: f64,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    let attack = args.attack()?;
    let (path, checkpoint) = weights::load(&args.path)?;
    let fit = Stored::read(&args.path)?.and_then(|stored| stored.fit());
    let data = args.test.data(&checkpoint.description.data)?;
    let transfer = match &args.transfer {
        None => None,
        Some(path) => {
            let (path, other) = weights::load(path)?;
            let (shape, expected) = (other.description.data.image_shape(), data.image_shape());
            if shape != expected {
                let message = format!("--transfer {}: its images are {shape:?}", path.display());
                return Err(BadInput(format!("{message}, expected {expected:?} as of the network attacked")).into());
            }
            Some((path, other))
        }
    };
    let description = &checkpoint.description;
    let loader = Splits::evaluation(
        EvaluationSplit::Test,
        &data,
        description.seed,
        &description.normalization,
    )?;
    let device = args.test.open_device()?;
    let target = Network::new(&path, &checkpoint, &data, &device)?;
    let other = match &transfer {
        None => None,
        Some((path, other)) => Some(Network::new(path, other, &data, &device)?),
    };

    let mut kinds = vec![
        Kind::Clean,
        Kind::Against(&target, Inference::Trained, "attacked as trained".into()),
    ];
    if let Some(fit) = &fit {
        let adaptive = "attacked through the choice of the sparsity".into();
        kinds.push(Kind::Against(&target, Inference::Fitted(fit), adaptive));
    }
    if let (Some(other), Some((path, _))) = (&other, &transfer) {
        let words = format!("made against {}", path.display());
        kinds.push(Kind::Against(other, Inference::Trained, words));
    }
    let mut tallies: Vec<Tally> = kinds.iter().map(|_| Tally::default()).collect();
    let mut done = 0;
    for batch in loader.epoch(0, 0) {
        let pixels = target.scale.pixels(images(&batch, &device));
        for (kind, tally) in kinds.iter().zip(&mut tallies) {
            if let Some(signal) = stop.signal() {
                return Ok(exit::stopped(signal));
            }
            let attacked = match kind {
                Kind::Clean => pixels.clone(),
                Kind::Against(network, inference, _) => network.attacked(&attack, *inference, &pixels, &batch),
            };
            tally.add(&target, fit.as_ref(), &pixels, attacked, &batch);
        }
        done += batch.labels.len();
        eprintln!("{done}/{} images", loader.images());
    }
    let rows = kinds
        .iter()
        .zip(&tallies)
        .map(|(kind, tally)| tally.row(kind, fit.is_some()));
    let report = Report {
        checkpoint: path.display().to_string(),
        model: description.model.kind().name(),
        attack,
        test_images: loader.images(),
        rows: rows.collect(),
    };
    let file = args.path.join(FILE);
    write_file(&file, serde_json::to_string_pretty(&report)?.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    match args.json {
        true => output::print_json(&report)?,
        false => output::print(&table(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn attack(&self) -> Result<Attack, Usage> {
        let (norm, default) = match self.norm {
            NormName::Linf => (Norm::Linf, 8.0 / 255.0),
            NormName::L2 => (Norm::L2, 0.5),
        };
        let epsilon = self.eps.unwrap_or(default);
        if norm == Norm::Linf && epsilon > 1.0 {
            let message = format!("--eps {epsilon}: pixels lie in 0..1: expected at most 1, as in 8/255");
            return Err(Usage(message));
        }
        Ok(Attack {
            norm,
            epsilon,
            steps: self.steps,
            step_size: self.step_size.unwrap_or(epsilon / 4.0),
            restarts: self.restarts,
            seed: self.seed,
        })
    }
}

/// Images of one kind.
enum Kind<'a> {
    /// As they are.
    Clean,
    /// Made against a network with an inference, in words.
    Against(&'a Network, Inference<'a>, String),
}

/// A network in evaluation, with and without autodiff.
struct Network {
    evaluated: Model,
    differentiable: Model,
    scale: PixelScale,
    differentiable_scale: PixelScale,
}

impl Network {
    fn new(path: &Path, checkpoint: &Checkpoint, data: &DataConfig, device: &Device) -> anyhow::Result<Self> {
        let Checkpoint { description, .. } = checkpoint;
        let autodiff = device.clone().autodiff();
        let model = weights::network(path, checkpoint, &description.model, data.image_shape(), &autodiff)?;
        // Its own normalisation: the images are the other's.
        let scale = |device: &Device| PixelScale::new(data, &description.normalization, device);
        Ok(Self {
            evaluated: model.valid(),
            differentiable: model.no_grad(),
            scale: scale(device)?,
            differentiable_scale: scale(&autodiff)?,
        })
    }

    /// Pixels that an attack makes of `pixels`.
    fn attacked(&self, attack: &Attack, inference: Inference, pixels: &Tensor<4>, batch: &Batch) -> Tensor<4> {
        let logits = |pixels| inference.logits(&self.differentiable, self.differentiable_scale.normalized(pixels));
        attack.perturb(&logits, pixels.clone(), &batch.labels, &batch.records)
    }

    /// What it makes of `pixels`.
    fn counts(&self, inference: Inference, pixels: Tensor<4>, labels: &[i32]) -> Counts {
        let logits = inference.logits(&self.evaluated, self.scale.normalized(pixels));
        Counts::of(&tensors::floats(logits.into_data()), labels, 0.0)
    }
}

/// What the network attacked makes of images of one kind.
#[derive(Default)]
struct Tally {
    fixed: Counts,
    fitted: Counts,
    linf: f64,
    l2: f64,
}

impl Tally {
    fn add(
        &mut self,
        target: &Network,
        fit: Option<&SparsityFit>,
        pixels: &Tensor<4>,
        attacked: Tensor<4>,
        batch: &Batch,
    ) {
        let Perturbation { linf, l2 } = Perturbation::sums(pixels, &attacked);
        self.linf += linf;
        self.l2 += l2;
        self.fixed
            .add(&target.counts(Inference::Trained, attacked.clone(), &batch.labels));
        if let Some(fit) = fit {
            self.fitted
                .add(&target.counts(Inference::Fitted(fit), attacked, &batch.labels));
        }
    }

    fn row(&self, kind: &Kind, fitted: bool) -> Row {
        let images = self.fixed.images.max(1) as f64;
        Row {
            images: match kind {
                Kind::Clean => "as they are".into(),
                Kind::Against(_, _, words) => words.clone(),
            },
            fixed: percent(&self.fixed),
            fitted: fitted.then(|| percent(&self.fitted)),
            mean_linf: self.linf / images,
            mean_l2: self.l2 / images,
        }
    }
}

/// The report for people.
fn table(report: &Report) -> String {
    let Attack {
        norm,
        epsilon,
        steps,
        step_size,
        restarts,
        ..
    } = report.attack;
    let norm = match norm {
        Norm::Linf => "ℓ∞",
        Norm::L2 => "ℓ2",
    };
    let mut text = format!(
        "{}, a {}, on {} test images; {norm} perturbations of at most {epsilon:.5}, {steps} steps of {step_size:.5}, \
         {restarts} random starts\n\ntop-1 in %: fixed   fitted  mean ℓ∞  mean ℓ2  images\n",
        report.checkpoint, report.model, report.test_images
    );
    for row in &report.rows {
        let fitted = row.fitted.map_or_else(|| "-".into(), |top1| format!("{top1:.2}"));
        text += &format!(
            "{:>17.2}  {fitted:>7}  {:>7.4}  {:>7.4}  {}\n",
            row.fixed, row.mean_linf, row.mean_l2, row.images
        );
    }
    text
}
