//! `scn export`: the weights of a run or a checkpoint for PyTorch.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use scn_interop::{pytorch, tensors};
use scn_study::{Trained, write_file};

use crate::log;
use crate::output::{check_target, print};

/// Write the weights of a run or a checkpoint for PyTorch
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn export runs/first --out weights.safetensors
  scn export runs/first/checkpoints/last --out weights.safetensors

Of ResNet-18 and -34 and of SDNets the tensors are named as in the published PyTorch programs:
model.load_state_dict(safetensors.torch.load_file(FILE), strict=False). Those of other networks keep
the names of model.safetensors. docs/checkpoints.md lists the names. A file that --out names is
replaced.")]
pub(crate) struct Args {
    /// Folder of a run or of one of its checkpoints
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// Where the weights are written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    let Trained { path, checkpoint } = Trained::load(&args.path)?;
    check_target(&args.out, &path.join("model.safetensors"), "checkpoint")?;
    let exported = pytorch::export(checkpoint.description.model.kind(), checkpoint.model);
    write_file(&args.out, &tensors::to_safetensors(&exported))
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    print(&format!(
        "{} tensors of {} in {}\n",
        exported.len(),
        path.display(),
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
