//! `scn import`: a checkpoint from weights that were trained in PyTorch.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use scn_data::DatasetKind;
use scn_interop::pytorch::{self, DATASETS, ImportError, KINDS, StateDict};
use scn_models::{ModelConfig, ModelKind};
use scn_ops::DeviceRequest;
use scn_study::imported;

use crate::arguments::one_of;
use crate::exit::{BadInput, Usage};
use crate::output::{check_new_folder, print};
use crate::{device, log};

/// Make a checkpoint of weights that were trained in PyTorch
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn import sdnet18.pth --model sdnet18 --out imported
  scn import resnet18.safetensors --model resnet18 --out imported --dataset cifar100

The file is what torch.save(model.state_dict(), FILE) wrote, or a safetensors file with the same
names, as of scn export; docs/checkpoints.md lists them. Every command that takes a checkpoint
takes the folder.")]
pub(crate) struct Args {
    /// The weights, a PyTorch or safetensors file
    file: PathBuf,
    /// The network
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS).try_map(|name| name.parse::<ModelKind>()))]
    model: ModelKind,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The dataset that it was trained on [default: the one with as many classes]
    #[arg(long, value_parser = one_of(DATASETS, DatasetKind::name))]
    dataset: Option<DatasetKind>,
    /// SDNet: the weight of the 1-norm that it was trained with [default: 0.1]
    #[arg(long)]
    lambda: Option<f64>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    check_new_folder(&args.out)?;
    let mut config = ModelConfig::new(args.model);
    if let Some(lambda) = args.lambda {
        let changed = config.with("csc.lambda", lambda);
        config = changed.map_err(|error| Usage(format!("--lambda: {error}")))?;
    }

    let refuse = |error: ImportError| BadInput(format!("{}: {error}", args.file.display()));
    let file = StateDict::read(&args.file).map_err(refuse)?;
    let dataset = match args.dataset {
        Some(dataset) => dataset,
        None => dataset_of(&file).map_err(|reason| Usage(format!("{}: {reason}", args.file.display())))?,
    };
    let device = device::open(DeviceRequest::Cpu, 0)?;
    let network = pytorch::import(&file, &config, dataset, &device).map_err(refuse)?;
    imported(network).save(&args.out, None)?;
    print(&format!(
        "{} for {} of {} in {}\n",
        args.model.name(),
        dataset.info().title,
        args.file.display(),
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The dataset with as many classes as the network.
fn dataset_of(file: &StateDict) -> Result<DatasetKind, String> {
    // Without a classifier any will do: it is refused by the names of what is missing.
    let Some(classes) = file.classes() else {
        return Ok(DATASETS[0]);
    };
    let found = DATASETS.into_iter().find(|dataset| dataset.classes() == classes);
    found.ok_or_else(|| {
        let known = DATASETS.map(|dataset| format!("{} has {}", dataset.name(), dataset.classes()));
        format!(
            "its classifier has {classes} classes, and of the datasets {}: choose one with --dataset",
            known.join(", ")
        )
    })
}
