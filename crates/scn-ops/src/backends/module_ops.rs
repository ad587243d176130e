//! Convolution and batch norm by burn's own operations, for the backends that have no kernels of ours for them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::{geometry_of, layer};

/// As [`crate::Convolution::convolve2d`].
pub(super) fn convolve2d<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, stride: usize) -> FloatTensor<B> {
    let geometry = geometry_of(&x, &weight, stride);
    layer::correlations::<B>(x, weight, &geometry)
}

/// As [`crate::ConvolutionVjp::convolve2d_vjp`].
pub(super) fn convolve2d_vjp<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    stride: usize,
    wants_x: bool,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let options = layer::conv_options(&geometry_of(&x, &weight, stride));
    let grad_x = match wants_x {
        true => B::conv2d_x_backward(x.clone(), weight.clone(), grad.clone(), options.clone()),
        false => layer::nothing::<B>(&x.device()),
    };
    (grad_x, B::conv2d_weight_backward(x, weight, grad, options))
}

/// As [`crate::BatchNorm::normalize_batch`].
pub(super) fn normalize_batch<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let result = B::batch_norm_train(x, weight, bias, epsilon);
    (result.output, result.mean, result.variance)
}

/// As [`crate::BatchNormVjp::normalize_batch_vjp`].
pub(super) fn normalize_batch_vjp<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    epsilon: f64,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let result = B::batch_norm_train_backward(x, weight, mean, variance, epsilon, grad);
    (result.x_grad, result.gamma_grad, result.beta_grad)
}
