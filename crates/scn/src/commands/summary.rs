//! `scn summary`: layers, shapes, parameters and arithmetic of an experiment's model.

use std::path::PathBuf;
use std::process::ExitCode;

use scn_models::{LayerSummary, Model, Network};
use scn_ops::DeviceRequest;
use scn_train::{Experiment, TrainError};
use serde::Serialize;

use crate::output::{by, grouped, print, print_json};

/// Show the layers, parameters and arithmetic of a model
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn summary configs/quickstart.toml
  scn summary configs/cifar10/scn-1.toml --set model.width=2
  scn summary configs/cifar10/scn-4.toml --json

Arithmetic is in multiply-adds per image, forward: that of the convolutions (of a sparse-coding
layer, Dᵀx of every pixel), and that of one iteration or sweep of the solver in every layer (n² a
pixel for n atoms).")]
pub(crate) struct Args {
    /// The experiment file
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set model.width=2
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    model: &'static str,
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    convolution_macs: u64,
    solver_iteration_macs: u64,
    layers: Vec<LayerSummary>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Experiment { data, model, .. } = Experiment::load(&args.experiment, &args.set)?.experiment;
    let image = data.image_shape();
    let classes = model.classes.unwrap_or_else(|| data.dataset.classes());
    let device = scn_ops::open(DeviceRequest::Cpu)?;
    let network = Model::empty(&model, image, classes, &device).map_err(TrainError::Model)?;
    let summary = network.summary(model.kind().name(), image);
    let report = Report {
        model: model.kind().name(),
        input: summary.input,
        classes,
        parameters: summary.parameters(),
        convolution_macs: summary.convolution(),
        solver_iteration_macs: summary.solver_iteration(),
        layers: summary.layers,
    };
    if args.json {
        print_json(&report)?;
    } else {
        print(&table(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Report) -> String {
    let columns = |cells: [&str; 6]| {
        let [name, kind, output, parameters, convolution, iteration] = cells;
        let row = format!("{name:<26} {kind:<28} {output:>11} {parameters:>12} {convolution:>15} {iteration:>15}");
        format!("{}\n", row.trim_end())
    };
    let count = |number: u64| if number == 0 { "-".to_owned() } else { grouped(number) };
    let mut text = format!(
        "{}, images {}, {} classes\n\n",
        report.model,
        by(report.input),
        report.classes
    );
    text += &columns(["layer", "kind", "output", "parameters", "convolution", "solver iter."]);
    for layer in &report.layers {
        text += &columns([
            &layer.name,
            &layer.kind,
            &by(layer.output),
            &count(layer.parameters as u64),
            &count(layer.convolution),
            &count(layer.solver_iteration),
        ]);
    }
    text += &columns([
        "total",
        "",
        "",
        &grouped(report.parameters as u64),
        &count(report.convolution_macs),
        &count(report.solver_iteration_macs),
    ]);
    text += "\nparameters: trainable ones; convolution and solver iteration: multiply-adds per image\n";
    text
}
