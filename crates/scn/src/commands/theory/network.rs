//! `scn theory RUN_OR_EXPERIMENT`: what the theorems ask of a network and promise of it.

use std::path::PathBuf;

use scn_data::Split;
use scn_ops::DeviceRequest;
use scn_study::theory::network::{Condition, LayerReport, Options, Report, Subject, study};
use scn_train::DataConfig;

use super::words::{named, number, pair, yes};
use crate::arguments::{count, device_name};
use crate::exit::Usage;
use crate::output::{json, print, show_then_store};
use crate::{device, log};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of a run or of one of its checkpoints, or an experiment file
    #[arg(value_name = "RUN_OR_EXPERIMENT", required = true)]
    path: Option<PathBuf>,
    /// Override a key of the experiment file, as in --set model.width=2
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Test images of the sample
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count(1))]
    images: usize,
    /// Largest Euclidean norm of the noise in a window of the first layer, in units of the network's input
    #[arg(long, value_name = "E", default_value_t = 0.1, value_parser = energy)]
    noise: f64,
    /// Seed of the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the datasets lie [default: as in the run or the experiment]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
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

/// A finite number of at least 0.
pub(super) fn energy(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok();
    value
        .filter(|value| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| "expected a finite number of at least 0, as in 0.1".into())
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    log::start(None);
    let Some(path) = &args.path else {
        return Err(Usage("expected a run, a checkpoint or an experiment file".into()).into());
    };
    if path.is_dir() && !args.set.is_empty() {
        let message = format!(
            "--set: {} is a folder: expected an experiment file, whose keys it overrides",
            path.display()
        );
        return Err(Usage(message).into());
    }
    let subject = Subject::load(path, &args.set)?;
    let data = args.data(subject.data())?;
    let device = device::open(args.device, args.threads)?;
    let Args { noise, seed, .. } = args;
    let report = study(&subject, &data, Options { noise, seed }, &device)?;
    let text = match args.json {
        true => json(&report)?,
        false => table(&report),
    };
    match &subject {
        Subject::Trained(_) => show_then_store(&text, || report.store(path)),
        Subject::Experiment(..) => print(&text),
    }
}

impl Args {
    /// The data of the run, with what the command line changes.
    fn data(&self, of_run: &DataConfig) -> Result<DataConfig, Usage> {
        let available = of_run.dataset.info().images(Split::Test);
        if self.images > available {
            let message = format!(
                "--images {}: {} has {available} test images",
                self.images, of_run.dataset
            );
            return Err(Usage(format!("{message}: expected 1 to {available}")));
        }
        let mut data = of_run.clone();
        data.test_images = Some(self.images);
        if let Some(dir) = &self.data_dir {
            data.dir.clone_from(dir);
        }
        Ok(data)
    }
}

/// The report for people.
fn table(report: &Report) -> String {
    let mut text = format!(
        "{}, a {}, on {} test images; noise of norm {} in the windows of the first layer\n",
        report.subject, report.model, report.images, report.noise
    );
    for layer in &report.layers {
        text += &of_layer(layer);
    }
    text
}

fn of_layer(layer: &LayerReport) -> String {
    let mut text = format!(
        "\n{}: {} atoms of {}×{k}×{k}, stride {}, dilation {}\n",
        layer.name,
        layer.atoms,
        layer.channels,
        layer.stride,
        layer.dilation,
        k = layer.kernel
    );
    let at = layer
        .coherent_pair
        .as_ref()
        .map_or_else(String::new, |found| format!(" (atoms {})", pair(found)));
    let patch = layer
        .patch
        .map_or_else(|| "the whole code".into(), |side| format!("{side}×{side}"));
    text += &named(&layer.zero_atoms, &layer.repeated_atoms);
    text += &format!(
        "coherence                  {:.6}{at}\n\
         ½(1 + 1/μ), ⅓(1 + 1/μ)     {}, {}\n\
         stripe norm, patch norm    {}, {} ({patch})\n\
         |Γmin|, |Γmax|             {}, {}\n\
         guarantees                 for each {}: coherence {:.6}, {} non-zeros\n",
        layer.coherence,
        number(layer.uniqueness_bound, 3),
        number(layer.stability_bound, 3),
        layer.stripe_norm,
        layer.patch_norm,
        layer
            .smallest_code
            .map_or_else(|| "-".into(), |smallest| format!("{smallest:.2e}")),
        number(Some(layer.largest_code), 4),
        layer.guarantees.unit,
        layer.guarantees.coherence,
        layer.guarantees.stripe_norm,
    );
    let condition = |name: &str, condition: &Condition, rest: String| {
        let Condition { bound, holds, excess } = condition;
        let by = excess.map_or_else(String::new, |excess| format!(", {} above it", number(Some(excess), 3)));
        format!("{name:<26} {}: bound {}{by}{rest}\n", yes(*holds), number(*bound, 3))
    };
    let [least, most] = layer.thresholding.beta_interval;
    let interval = match least < most {
        true => format!("; β in {least:.3e}..{most:.3e}"),
        false => format!("; no β: at least {least:.3e} and at most {most:.3e}"),
    };
    let beta = layer.thresholding.network_beta;
    text += &condition("unique", &layer.uniqueness, String::new());
    text += &condition(
        "thresholding",
        &layer.thresholding.condition,
        format!("{interval}, λ₁ is {beta:.3e}"),
    );
    text += &condition(
        "basis pursuit",
        &layer.basis_pursuit.condition,
        format!("; ξ {:.3e}", layer.basis_pursuit.xi),
    );
    text += &format!(
        "error                      {:.3e} of the code, {:.3e} of its input; {} supports changed\n\
         bounds on it               thresholding {:.3e}, basis pursuit {:.3e}\n",
        layer.real_error,
        layer.input_error,
        layer.supports_changed,
        layer.thresholding.epsilon,
        layer.basis_pursuit.epsilon,
    );
    for broken in &layer.broken_assumptions {
        text += &format!("not met                    {broken}\n");
    }
    text
}
