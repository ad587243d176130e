//! Robust inference by the choice of the sparsity: fitted on corrupted training images, tested on corrupted test images.

mod inference;
mod report;
mod stored;
mod study;

pub use inference::{FitPoint, Inference, SparsityFit, best_of, evaluate, mean_residual, percent};
pub use report::{Report, Row};
pub use stored::{RobustAccuracy, Stored};
pub use study::{Options, Step, study};

/// Where the report lies below a run or a checkpoint.
const FILE: &str = "robust.json";
/// Its rows as a table.
const TABLE: &str = "robust.csv";
