//! The layers that families share.

mod batch_norm;
mod classifier;
mod convolution;
pub mod residual;
mod sparse_coding;

pub use batch_norm::BatchNorm;
pub use classifier::Classifier;
pub use convolution::Convolution;
pub use sparse_coding::{Lambda1Config, SolverConfig, SolverMethod, SparseCoding2d};

use burn::tensor::Tensor;

/// The mean over each image of `values [b, c, h, w]`: `[b]`.
pub(crate) fn image_means(values: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = values.dims();
    let rows: Tensor<2> = values.reshape([batch, channels * height * width]);
    rows.mean_dim(1).reshape([batch])
}
