//! The layers that families share.

mod batch_norm;
mod classifier;
mod codes;
mod convolution;
mod image_codes;
pub mod mixed_scale;
pub mod residual;
mod sparse_coding;
mod threshold;

pub use batch_norm::BatchNorm;
pub use classifier::Classifier;
pub(crate) use codes::{active_codes, relative_residual};
pub use convolution::Convolution;
pub(crate) use image_codes::{report_step, reported};
pub use sparse_coding::{Lambda1Config, SolverConfig, SolverMethod, SparseCoding2d};
pub use threshold::Threshold;
pub(crate) use threshold::batch_norm_doc;

use burn::tensor::Tensor;

/// The mean over each image of `values [b, c, h, w]`: `[b]`.
pub(crate) fn image_means(values: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = values.dims();
    let rows: Tensor<2> = values.reshape([batch, channels * height * width]);
    rows.mean_dim(1).reshape([batch])
}
