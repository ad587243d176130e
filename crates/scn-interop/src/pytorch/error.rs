//! Errors of reading published weights.

use std::io;

use scn_data::DataError;
use scn_models::ModelError;

use crate::tensors::TensorsError;

/// Why no network could be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file system's error.
    #[error("cannot read the state dict: {0}")]
    Io(io::Error),
    /// Not a state dict, or a damaged one.
    #[error(
        "not a state dict that can be read ({0}): expected what `torch.save(model.state_dict(), FILE)` or `scn export` wrote"
    )]
    Format(String),
    /// Tensors that are missing, unknown, ill-shaped or hold no weights.
    #[error("its tensors are not those of a {kind}: {}", .problems.join("; "))]
    Mismatch {
        /// Name of the network.
        kind: &'static str,
        /// What is wrong with each, by its published name.
        problems: Vec<String>,
    },
    /// The network.
    #[error("model: {0}")]
    Model(#[from] ModelError),
    /// What the images are normalised by.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Tensors that do not fit the network after all.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
}
