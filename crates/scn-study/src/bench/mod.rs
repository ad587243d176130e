//! How fast training, evaluation and single layers are, and how far from what the machine can do.

mod kernel_report;
mod kernels;
mod measure;
mod step;

pub use kernel_report::{BoundReport, KernelsReport, LayerReport, PassReport};
pub use kernels::{Networks, kernels};
pub use step::{Shares, SolvesReport, StepOptions, StepReport, step};
