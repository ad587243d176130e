//! Batch normalisation in training (Ioffe & Szegedy, 2015) as one operation whose backward pass is timed like its
//! forward pass: burn's own says nothing about its backward pass.

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Batch normalisation with the batch's own statistics.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait BatchNormalization: Backend {
    /// The normalised `x [b, c, h, w]`, and mean and biased variance of its channels `[c]`, for the scale
    /// `gamma [c]` and the shift `beta [c]`.
    fn normalize_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// A normalised batch and its statistics.
#[derive(Clone, Debug)]
pub struct NormalizedBatch {
    /// `[b, c, h, w]`.
    pub output: Tensor<4>,
    /// `[c]`, without gradient.
    pub mean: Tensor<1>,
    /// `[c]`, biased, without ε and without gradient.
    pub variance: Tensor<1>,
}

/// `gamma·(x − mean)/√(variance + epsilon) + beta` by channel of `x [b, c, h, w]`. Gradients reach `x`, `gamma [c]` and
/// `beta [c]`, those through the statistics included.
///
/// # Panics
/// Where `gamma` or `beta` has not one value per channel.
pub fn normalize_batch(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> NormalizedBatch {
    let channels = x.dims()[1];
    assert_eq!(
        (gamma.dims(), beta.dims()),
        ([channels], [channels]),
        "values of gamma and beta (left) are not one a channel (right)"
    );
    let (output, mean, variance) =
        Dispatch::normalize_batch(x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), epsilon);
    NormalizedBatch {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}
