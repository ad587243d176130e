//! The weights that a command is given as RUN_OR_CHECKPOINT.

use std::path::{Path, PathBuf};

use scn_train::checkpoint::{self, BEST, Checkpoint, LAST, Newest};
use scn_train::holds_run;

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
    let best = folder.join(BEST);
    if best.exists() {
        match Checkpoint::load(&best) {
            Ok(checkpoint) => return Ok((best, checkpoint)),
            Err(error) => tracing::warn!("{error}; using checkpoints/{LAST} instead"),
        }
    }
    match checkpoint::newest(&folder)? {
        Some(Newest {
            name,
            checkpoint,
            damaged,
        }) => {
            damaged
                .iter()
                .for_each(|message| tracing::warn!("{message}; using checkpoints/{name} instead"));
            Ok((folder.join(name), checkpoint))
        }
        None => Err(BadInput(format!("{}: no checkpoint was saved yet", folder.display())).into()),
    }
}
