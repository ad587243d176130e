//! `scn attack`: adversarial images, against the network as it is and against the choice of its sparsity.

use std::path::PathBuf;
use std::process::ExitCode;

use scn_study::attack::{Attack, Norm, Report, study};
use scn_study::robust::Stored;
use scn_study::{StudyError, Trained};

use crate::arguments::{TestArgs, count, length, one_of};
use crate::exit::{BadInput, Usage};
use crate::output::{json, show_then_store};
use crate::stderr::say;
use crate::{exit, log, signals};

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
    #[arg(long, value_parser = one_of(Norm::ALL, Norm::name), default_value = "linf")]
    norm: Norm,
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

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    let attack = args.attack()?;
    let trained = Trained::load(&args.path)?;
    let fit = match Stored::read(&args.path)? {
        Some(stored) => stored.fit_of(&trained)?,
        None => None,
    };
    if let Some((_, false)) = fit {
        say!(
            "warning: {}: robust.json is of before it told which weights its sparsity was fitted to: these are taken to \
             be them; run `scn robust` again to be sure",
            args.path.display()
        );
    }
    let data = args.test.data(&trained.checkpoint.description.data)?;
    let other = match &args.transfer {
        None => None,
        Some(path) => Some(Trained::load(path)?),
    };
    let device = args.test.open_device()?;
    let report = study(
        &trained,
        other.as_ref(),
        fit.map(|(fit, _)| fit),
        attack,
        &data,
        &device,
        &stop,
        &mut |step| say!("{step}"),
    );
    let report = match report {
        Err(error @ StudyError::OtherImages { .. }) => return Err(BadInput(format!("--transfer {error}")).into()),
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
    fn attack(&self) -> Result<Attack, Usage> {
        let epsilon = self.eps.unwrap_or(self.norm.usual_bound());
        if self.norm == Norm::Linf && epsilon > 1.0 {
            let message = format!("--eps {epsilon}: pixels lie in 0..1: expected at most 1, as in 8/255");
            return Err(Usage(message));
        }
        Ok(Attack {
            norm: self.norm,
            epsilon,
            steps: self.steps,
            step_size: self.step_size.unwrap_or(epsilon / 4.0),
            restarts: self.restarts,
            seed: self.seed,
        })
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
    let norm = norm.symbol();
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
