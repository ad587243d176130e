//! Batch normalisation (Ioffe & Szegedy, arXiv:1502.03167) of `[b, c, h, w]`: `(x − mean)/√(variance + ε)·weight + bias`
//! for each channel.

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn::tensor::module::batch_norm;

/// Normalisation by the statistics of the batch; `Autodiff` sends gradients through them too.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait BatchNorm: Backend {
    /// The normalised `x [b, c, h, w]`, and the batch's mean and biased variance `[c]`.
    fn normalize_batch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// What needs no gradient of its own.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait BatchNormVjp: Backend {
    /// Gradients of x, weight and bias of [`BatchNorm::normalize_batch`], given that of its output.
    fn normalize_batch_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `x [b, c, h, w]` normalised by a mean and a variance `[c]` that are given.
    fn normalize(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// The mean and biased variance `[c]` of `x [b, c, h, w]`.
    fn channel_moments(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// `x [b, c, h, w]` normalised by its own mean and variance, and these, `[c]`, the variance biased and both without
/// autodiff.
pub fn normalize_batch(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (output, mean, variance) =
        Dispatch::normalize_batch(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch(), epsilon);
    let (mean, variance) = (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance));
    (
        Tensor::from_dispatch(output),
        without_autodiff(mean),
        without_autodiff(variance),
    )
}

/// `x [b, c, h, w]` normalised by a mean and a variance `[c]` that are given, such as running ones. With autodiff gradients
/// reach all of them, by burn's own operations.
pub fn normalize(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    if x.device().is_autodiff() {
        return batch_norm(x, weight, bias, mean, variance, epsilon);
    }
    let output = Dispatch::normalize(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        mean.into_dispatch(),
        variance.into_dispatch(),
        epsilon,
    );
    Tensor::from_dispatch(output)
}

/// The mean and biased variance `[c]` of `x [b, c, h, w]`, without autodiff.
pub fn channel_moments(x: Tensor<4>) -> (Tensor<1>, Tensor<1>) {
    let x = match x.device().is_autodiff() {
        true => x.without_autodiff(),
        false => x,
    };
    let (mean, variance) = Dispatch::channel_moments(x.into_dispatch());
    (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

fn without_autodiff(tensor: Tensor<1>) -> Tensor<1> {
    match tensor.device().is_autodiff() {
        true => tensor.without_autodiff(),
        false => tensor,
    }
}
