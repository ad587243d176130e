//! Errors of learning dictionaries.

use std::path::PathBuf;

use scn_data::DataError;
use scn_solver::SolverError;
use scn_train::checkpoint::CheckpointError;
use scn_train::{RunFolderError, TrainError};

/// Why a dictionary is not learned or shown.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// The run, its files or its experiment.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunFolderError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An inference that is not possible.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// A λ that leaves nothing to learn from.
    #[error(
        "dictionary.lambda is {lambda}, and no patch of the first batch has a code: the largest product of an atom and a \
         patch is {largest:.4}: take a dictionary.lambda well below it"
    )]
    NoCodes {
        /// The λ of the experiment.
        lambda: f64,
        /// The largest `|dᵀx|` of the batch.
        largest: f64,
    },
    /// Fewer different patches than a dictionary starts from.
    #[error(
        "{found} of {drawn} patches differ from the mean patch, and {atoms} atoms start from such: take other images"
    )]
    FewPatches {
        /// Patches that are not zero.
        found: usize,
        /// Patches that were drawn.
        drawn: usize,
        /// Atoms.
        atoms: usize,
    },
    /// A ridge that does not make the system regular.
    #[error("dictionary.lambda is {0}, too small for the system of ridge regression to be solved: take a larger one")]
    Ridge(f64),
    /// Eigenvalues that were not found.
    #[error("the nearest orthogonal matrix to that of {0} atoms was not found: its values are not finite")]
    Orthogonal(usize),
    /// A folder that holds no run of a dictionary.
    #[error("{0}: no run of scn dictionary learn lies here: expected the folder that it printed")]
    NoRun(PathBuf),
    /// A run without a checkpoint.
    #[error("{0}: nothing was saved here yet")]
    NothingSaved(PathBuf),
    /// A picture that cannot be made.
    #[error("the picture of {columns}×{rows} pixels cannot be encoded: {source}")]
    Picture {
        /// Its columns.
        columns: usize,
        /// Its rows.
        rows: usize,
        /// Why.
        source: image::ImageError,
    },
}
