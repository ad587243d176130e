//! `scn bench step`: the training step and the evaluation of an experiment.

use std::path::PathBuf;

use scn_ops::DeviceRequest;
use scn_study::bench::{StepOptions, StepReport, step};
use scn_study::{StudyError, Trained};
use scn_train::Experiment;

use super::words::{percent, rate, without_dataset};
use crate::arguments::{count, device_name};
use crate::exit::Usage;
use crate::output::{print, print_json};
use crate::{device, log};

/// Measure an experiment's training step and evaluation
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn bench step configs/quickstart.toml
  scn bench step configs/cifar10/scn-1.toml --synthetic --steps 5
  scn bench step configs/cifar10/scn-1.toml --weights runs/first --threads 1 --json

The step is that of scn train, on its own batches: waiting for the batch, forward, backward and
optimiser. Images/s are medians over the steps, with their quartiles. Shares are of the step's wall
time times the threads; where threads are idle, the time falls to `other`, with everything that is
not named. GFLOP/s are the rate of all threads while they work on a part, 2 for a multiply-add: the
n² of every pixel and sweep that was executed, and the mn of the products around the solves. The
peak is that of multiply-adds in registers on as many threads: the best of forty short bursts, half
of them before and half after. kkt_p99 bounds the residual of 99 % of the pixels of one evaluation
batch, in the worst layer.

Parts are timed on the device cpu only: elsewhere, rates and all shares but `data` and `other` are
null, and of networks without sparse-coding layers those of the solver are. `other` is
what the timed parts leave. On a GPU a step ends when the GPU is done.

Without --weights the network is the initial one, evaluated after the measured steps. With it, the
given weights are trained, and evaluated as given. Without the dataset, --synthetic takes noise.")]
pub(super) struct Args {
    /// The experiment file
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set model.width=2
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Images of a step, at least 2 for batch norm [default: as in the experiment]
    #[arg(long, value_name = "N", value_parser = count(2))]
    batch: Option<usize>,
    /// Steps that are measured, of training and of evaluation
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(1))]
    steps: usize,
    /// Device [default: as in the experiment]
    #[arg(long, value_parser = device_name())]
    device: Option<DeviceRequest>,
    /// Threads; 0 takes all cores [default: as in the experiment]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Weights of a run or a checkpoint [default: initial ones]
    #[arg(long, value_name = "RUN_OR_CHECKPOINT")]
    weights: Option<PathBuf>,
    /// Noise in the shape of the dataset's images instead of the images
    #[arg(long)]
    synthetic: bool,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    let experiment = Experiment::load(&args.experiment, &args.set)?.experiment;
    let request = args.device.unwrap_or(experiment.run.device);
    let device = device::open(request, args.threads.unwrap_or(experiment.run.threads))?;
    let weights = args.weights.as_deref().map(Trained::load).transpose()?;
    let options = StepOptions {
        batch: args.batch,
        steps: args.steps,
        synthetic: args.synthetic,
    };
    let report = step(experiment, weights, options, &device).map_err(|error| match (error, args.batch) {
        (error @ StudyError::Batch { .. }, Some(batch)) => Usage(format!("--batch is {batch}: {error}")).into(),
        (error, _) => without_dataset(error),
    })?;
    if args.json {
        print_json(&report)
    } else {
        print(&table(&report))
    }
}

/// The report for people.
fn table(report: &StepReport) -> String {
    let StepReport {
        experiment,
        device,
        threads,
        images,
        batch,
        steps,
        shares,
        ..
    } = report;
    let weights = report.weights.as_deref().unwrap_or("initial");
    let speed = |name: &str, median: f64, [low, high]: [f64; 2]| {
        format!("{name:<12} {median:.1} images/s, quartiles {low:.1} and {high:.1}\n")
    };
    let of_peak = |gigaflops: Option<f64>| percent(gigaflops.zip(report.peak_gflops).map(|(rate, peak)| rate / peak));
    let memory = report
        .peak_rss_bytes
        .map_or_else(|| "-".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0));
    let mut text = format!(
        "{experiment} on {device}, {threads} threads\n\
         {steps} steps of {batch} {images}, weights: {weights}\n\n"
    );
    text += &speed(
        "training",
        report.train_images_per_second,
        report.train_images_per_second_quartiles,
    );
    text += &speed(
        "evaluation",
        report.eval_images_per_second,
        report.eval_images_per_second_quartiles,
    );
    text += &format!("peak memory  {memory}\n\n");
    text += "part             share    GFLOP/s     of peak\n";
    let row = |name: &str, share: Option<f64>| format!("{name:<12} {:>9}", percent(share));
    for (name, share, gigaflops) in [
        ("solver", shares.solver, report.solver_gflops),
        ("convolution", shares.convolution, report.convolution_gflops),
    ] {
        let rates = format!("{:>10} {:>11}", rate(gigaflops), of_peak(gigaflops));
        text += &format!("{} {rates}\n", row(name, share));
    }
    for (name, share) in [
        ("batch norm", shares.batch_norm),
        ("optimizer", shares.optimizer),
        ("data", Some(shares.data)),
        ("other", Some(shares.other)),
    ] {
        text += &format!("{}\n", row(name, share));
    }
    text += &format!("peak         {:>20}\n", rate(report.peak_gflops));
    if !report.parts.is_empty() {
        text += "\nof which         share    GFLOP/s     of peak\n";
    }
    for part in &report.parts {
        let rates = format!("{:>10} {:>11}", rate(part.gflops), of_peak(part.gflops));
        text += &format!("{:<15} {:>6} {rates}\n", part.part, percent(Some(part.share)));
    }
    if let Some(residual) = report.kkt_p99 {
        text += &format!("\nKKT residual of 99 % of the pixels in the worst layer: at most {residual:.1e}\n");
    }
    text
}
