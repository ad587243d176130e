//! `scn predict`: logits of images from a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use scn_interop::archive::{self, Archive, ArchiveError};
use scn_interop::tensors::{Array, Arrays, floats, to_safetensors};
use scn_models::{Network, Pass};
use scn_ops::DeviceRequest;
use scn_study::{Trained, write_file};

use crate::arguments::device_name;
use crate::exit::{self, BadInput};
use crate::output::{check_target, print};
use crate::{device, log, signals};

/// What an input holds, in words.
const EXPECTED: &str = "`images` [b, c, h, w]";

/// Compute the logits of images from a file
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn predict runs/first images.safetensors --out logits.safetensors
  scn predict runs/first/checkpoints/last images.safetensors --out logits.safetensors --device wgpu

The input holds `images` [b, c, h, w], F32 or F64, already normalised as in training; the output
`logits` [b, classes], F32. A file that --out names is replaced.")]
pub(crate) struct Args {
    /// Folder of a run or of one of its checkpoints
    #[arg(value_name = "RUN_OR_CHECKPOINT")]
    path: PathBuf,
    /// The images, a safetensors file
    input: PathBuf,
    /// Where the logits are written
    #[arg(long, value_name = "OUTPUT")]
    out: PathBuf,
    /// Normalise by the statistics of the images, all in one batch, as in training
    #[arg(long)]
    batch_statistics: bool,
    /// Device
    #[arg(long, value_parser = device_name(), default_value = "auto")]
    device: DeviceRequest,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_flag()?;
    log::start(None);
    check_target(&args.out, &args.input, "input")?;
    let trained = Trained::load(&args.path)?;
    let description = &trained.checkpoint.description;
    let shape = description.data.image_shape();
    let (images, [batch, channels, height, width]) = read(&args.input, shape[0])?;
    let device = device::open(args.device, args.threads)?;
    let model = trained.network(&description.model, shape, &device)?.valid();

    let image = channels * height * width;
    let mut logits = Vec::new();
    let (pass, together) = match args.batch_statistics {
        true => (Pass::TRAINING, batch),
        false => (Pass::EVALUATION, description.data.batch_size),
    };
    for images in images.chunks(together * image) {
        if let Some(signal) = stop.signal() {
            return Ok(exit::stopped(signal));
        }
        let shape = [images.len() / image, channels, height, width];
        let input = Tensor::from_data(TensorData::new(images.to_vec(), shape), &device);
        logits.extend(floats(model.forward(input, &pass).logits.into_data()));
    }
    let classes = logits.len() / batch;
    let (shape, values) = (vec![batch, classes], logits);
    let file = to_safetensors(&Arrays::from([("logits".to_owned(), Array { shape, values })]));
    write_file(&args.out, &file).with_context(|| format!("cannot write {}", args.out.display()))?;
    print(&format!(
        "logits [{batch}, {classes}] of {} in {}\n",
        trained.path.display(),
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The images of a file, for a network that takes so many channels.
fn read(path: &Path, channels: usize) -> Result<(Vec<f32>, [usize; 4]), BadInput> {
    let fail = |message: String| BadInput(format!("{}: {message}", path.display()));
    let damaged = |error| match error {
        ArchiveError::Io(error) => fail(format!("cannot read the images: {error}")),
        claim => fail(format!(
            "not a whole safetensors file ({claim}): expected a safetensors file with {EXPECTED}"
        )),
    };
    let wrong = |error: ArchiveError| fail(error.to_string());
    let bytes = archive::read(path).map_err(damaged)?;
    let archive = Archive::parse(&bytes).map_err(damaged)?;
    if !archive.holds("images") {
        return Err(fail(format!("holds {}: expected {EXPECTED}", archive.described())));
    }
    let images = archive.floats("images").map_err(wrong)?;
    let shape: [usize; 4] = images.dimensions("[b, c, h, w]").map_err(wrong)?;
    if shape[1] != channels {
        let expected = format!("[b, {channels}, h, w], as the network was trained");
        return Err(wrong(images.misshapen(expected)));
    }
    let values: Vec<f32> = images.values.iter().map(|&value| value as f32).collect();
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let (value, at) = (images.values[index], images.position(index));
        return Err(fail(format!(
            "`images` is {value:e} at {at:?}, which is too large for f32"
        )));
    }
    Ok((values, shape))
}
