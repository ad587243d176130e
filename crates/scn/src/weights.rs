//! The weights that a command is given as RUN_OR_CHECKPOINT.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use scn_models::{Model, ModelConfig};
use scn_train::checkpoint::{self, Checkpoint};
use scn_train::{TrainError, holds_run, tensors};

use crate::exit::BadInput;

/// The checkpoint in `path`, or the best or newest good one of the run in `path`.
pub(crate) fn load(path: &Path) -> anyhow::Result<(PathBuf, Checkpoint)> {
    if !holds_run(path) {
        if path.join("manifest.json").exists() {
            return Ok((path.to_path_buf(), Checkpoint::load(path)?));
        }
        let message = "is neither the folder of a run (with resolved.toml) nor of a checkpoint (with manifest.json)";
        return Err(BadInput(format!("{} {message}", path.display())).into());
    }
    let folder = path.join("checkpoints");
    let Some(found) = checkpoint::preferred(&folder)? else {
        return Err(BadInput(format!("{}: no checkpoint was saved yet", folder.display())).into());
    };
    found.notices().for_each(|message| tracing::warn!("{message}"));
    Ok((found.path, found.checkpoint))
}

/// The network of the checkpoint that was loaded from `path`, for images `[c, h, w]`; `config` may differ from the
/// checkpoint's in how the layers solve.
pub(crate) fn network(
    path: &Path,
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    image: [usize; 3],
    device: &Device,
) -> anyhow::Result<Model> {
    let Checkpoint { description, model, .. } = checkpoint;
    let classes = config.classes.unwrap_or_else(|| description.data.dataset.classes());
    let network = Model::empty(config, image, classes, device).map_err(TrainError::Model)?;
    let fitted = tensors::into_module(network, model);
    Ok(fitted.map_err(|error| BadInput(format!("{}: {error}", path.display())))?)
}
