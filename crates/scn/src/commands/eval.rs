//! `scn eval`: evaluates a run or a checkpoint.

use std::path::PathBuf;
use std::process::ExitCode;

use burn::module::Module;
use scn_keys::toml;
use scn_ops::DeviceRequest;
use scn_solver::Method;
use scn_study::Trained;
use scn_train::checkpoint::Checkpoint;
use scn_train::{
    BackwardFigures, CodeFigures, Evaluation, EvaluationSplit, Splits, TestTime, backward_figures, evaluate,
};
use serde::Serialize;

use crate::arguments::{device_name, one_of};
use crate::exit::Usage;
use crate::{device, exit, log, output, signals};

/// Evaluate a run or a checkpoint
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn eval runs/quickstart/2026-01-01T00-00-00Z
  scn eval runs/first/checkpoints/last --split validation
  scn eval runs/first --solver fista --tolerance 1e-6 --json

Of a run, the best checkpoint is evaluated, or the last where there is no best; by the mean of the
views of each image where the run has run.test_time.")]
pub(crate) struct Args {
    /// Folder of a run or of one of its checkpoints
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// Where the datasets lie [default: as in the run]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to evaluate on
    #[arg(long, value_parser = one_of(EvaluationSplit::ALL, EvaluationSplit::name), default_value = "test")]
    split: EvaluationSplit,
    /// Solver of the sparse-coding layers [default: as trained]
    #[arg(long, value_parser = one_of(Method::ALL, Method::name))]
    solver: Option<Method>,
    /// Tolerance of the KKT residual [default: as trained]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Cap on the solver's iterations [default: as trained]
    #[arg(long, value_name = "N")]
    max_iterations: Option<usize>,
    /// Device
    #[arg(long, value_parser = device_name(), default_value = "auto")]
    device: DeviceRequest,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    checkpoint: String,
    split: &'static str,
    epoch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_time: Option<&'static str>,
    classes: &'a [&'a str],
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    images_per_second: f64,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    let trained = Trained::load(&args.path)?;
    let Checkpoint { description, state, .. } = &trained.checkpoint;
    let mut data = description.data.clone();
    if let Some(dir) = args.data_dir {
        data.dir = dir;
    }
    let mut config = description.model.clone();
    if args.solver.is_some() || args.tolerance.is_some() || args.max_iterations.is_some() {
        if !config.kind().has("solver") {
            let message = "--solver, --tolerance and --max-iterations need a model with sparse-coding layers";
            return Err(Usage(format!("{message}; this is a {}", config.kind().name())).into());
        }
        let method = args.solver.map(|method: Method| method.name().into());
        let iterations = args
            .max_iterations
            .map(|count| i64::try_from(count).unwrap_or(i64::MAX).into());
        for (key, value) in [
            ("solver.method", method),
            ("solver.tolerance", args.tolerance.map(toml::Value::from)),
            ("solver.max_iterations", iterations),
        ] {
            if let Some(value) = value {
                config = config.with(key, value).map_err(|error| Usage(error.to_string()))?;
            }
        }
        if let Some(unused) = config.unused().iter().find(|unused| unused.key == "solver") {
            let message = "--solver, --tolerance and --max-iterations change nothing";
            return Err(Usage(format!("{message}: {}", unused.because)).into());
        }
    }
    let device = device::open(args.device, args.threads)?;
    let loader = Splits::evaluation(args.split, &data, description.seed, &description.normalization)?;
    let info = data.dataset.info();
    let classes = config.classes.unwrap_or(info.class_names.len());
    let differentiable = device.clone().autodiff();
    let network = trained.network(&config, loader.image_shape(), &differentiable)?;
    let model = network.valid();
    let Some(mut evaluation) = evaluate(&model, &loader, classes, description.test_time, &device, &stop) else {
        return Ok(exit::stopped(stop.signal().unwrap_or_default()));
    };
    // Evaluation has no backward pass: one batch shows what training's would do with these weights.
    let backward = backward_figures(&network, &loader, &differentiable);
    for (layer, backward) in evaluation.figures.layers.iter_mut().zip(backward) {
        layer.backward = backward;
    }
    let report = Report {
        checkpoint: trained.path.display().to_string(),
        split: args.split.name(),
        epoch: state.epoch,
        test_time: (description.test_time != TestTime::None).then(|| description.test_time.name()),
        classes: info.class_names,
        images_per_second: evaluation.images_per_second(),
        evaluation: &evaluation,
    };
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&table(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The report for people.
fn table(report: &Report) -> String {
    let Report {
        evaluation, classes, ..
    } = report;
    let figures = &evaluation.figures;
    let mut lines = vec![
        format!("checkpoint  {} (epoch {})", report.checkpoint, report.epoch),
        format!(
            "{:<11} {} images, {:.0} images/s",
            report.split, figures.images, report.images_per_second
        ),
        format!("loss        {:.4}", figures.loss),
        format!("top-1       {:.2} %", figures.top1),
        format!("top-5       {:.2} %", figures.top5),
        "\nclass                accuracy   confusion (row: label, column: prediction)".into(),
    ];
    for (label, (accuracy, row)) in evaluation.per_class.iter().zip(&evaluation.confusion).enumerate() {
        let name = classes.get(label).copied().unwrap_or("?");
        let accuracy = accuracy.map_or_else(|| "     -".into(), |accuracy| format!("{accuracy:6.2}"));
        // A hundred columns fit no terminal: --json has them all.
        let row: String = row.iter().take(20).map(|count| format!("{count:5}")).collect();
        lines.push(format!("{label:>3} {name:<16} {accuracy} %  {row}"));
    }
    if let Some(views) = report.test_time {
        lines.insert(2, format!("views       {views}"));
    }
    if !figures.layers.is_empty() {
        lines.push("\nlayer                iterations   KKT mean    KKT max   active   lambda1   unused atoms".into());
    }
    for layer in &figures.layers {
        let codes = layer.codes.map_or_else(String::new, |codes| {
            let CodeFigures {
                active,
                lambda1,
                unused_atoms,
                atoms,
            } = codes;
            format!(" {:>6.1} % {lambda1:>9.4} {unused_atoms:>7} of {atoms}", 100.0 * active)
        });
        lines.push(format!(
            "{:<20} {:>10} {:>10.1e} {:>10.1e}{codes}",
            layer.name,
            layer
                .iterations
                .map_or_else(|| "-".into(), |count| format!("{count:.1}")),
            layer.kkt_mean,
            layer.kkt_max,
        ));
    }
    let solved: Vec<_> = figures
        .layers
        .iter()
        .filter_map(|layer| Some((&layer.name, layer.capped, layer.backward?)))
        .collect();
    if !solved.is_empty() {
        lines.push("\nbackward, one batch  sweeps        mean        max   at the cap   forward at the cap".into());
    }
    for (name, capped, backward) in solved {
        let BackwardFigures {
            iterations,
            residual_mean,
            residual_max,
            capped: backward_capped,
        } = backward;
        lines.push(format!(
            "{name:<20} {iterations:>6.2} {residual_mean:>11.1e} {residual_max:>10.1e} {backward_capped:>12} {capped:>20}"
        ));
    }
    lines.join("\n") + "\n"
}
