//! The layers that families share.

mod batch_norm;
mod classifier;
mod codes;
mod convolution;
pub mod residual;
mod sparse_coding;
pub(crate) mod step_size;

pub use batch_norm::BatchNorm;
pub use classifier::Classifier;
pub(crate) use codes::{active_codes, relative_residual};
pub use convolution::Convolution;
pub use sparse_coding::{Lambda1Config, SolverConfig, SolverMethod, SparseCoding2d};
pub use step_size::NormStep;

use burn::tensor::Tensor;

/// The mean over each image of `values [b, c, h, w]`: `[b]`.
pub(crate) fn image_means(values: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = values.dims();
    let rows: Tensor<2> = values.reshape([batch, channels * height * width]);
    rows.mean_dim(1).reshape([batch])
}
