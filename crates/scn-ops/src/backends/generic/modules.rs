//! Convolution and batch norm by burn's own operations, for the backends that have no kernels of ours for them.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use scn_solver::ConvGeometry;

use super::layer;

/// As [`crate::Convolution::convolve2d`].
pub(crate) fn convolve2d<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    layer::correlations::<B>(x, weight, &geometry)
}

/// As [`crate::Convolution::convolve2d_adjoint`].
pub(crate) fn convolve2d_adjoint<B: Backend>(
    values: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    layer::fold::<B>(values, weight, &geometry)
}

/// As [`crate::ConvolutionVjp::convolve2d_weight_gradient`].
pub(crate) fn convolve2d_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    layer::weight_gradient::<B>(x, grad, &geometry)
}

/// As [`crate::BatchNorm::normalize_batch`].
pub(crate) fn normalize_batch<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let result = B::batch_norm_train(x, weight, bias, epsilon);
    (result.output, result.mean, result.variance)
}

/// As [`crate::BatchNormVjp::normalize_batch_vjp`].
pub(crate) fn normalize_batch_vjp<B: Backend>(
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

/// Implements convolution and batch norm for a backend by burn's own operations.
macro_rules! by_burn {
    ($backend:ty) => {
        impl $crate::Convolution for $backend {
            fn convolve2d(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::modules::convolve2d::<Self>(x, weight, geometry)
            }

            fn convolve2d_adjoint(
                values: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::modules::convolve2d_adjoint::<Self>(values, weight, geometry)
            }
        }

        impl $crate::ConvolutionVjp for $backend {
            fn convolve2d_weight_gradient(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                grad: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::modules::convolve2d_weight_gradient::<Self>(x, grad, geometry)
            }
        }

        impl $crate::BatchNorm for $backend {
            fn normalize_batch(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                bias: ::burn::backend::tensor::FloatTensor<Self>,
                epsilon: f64,
            ) -> (
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
            ) {
                $crate::backends::generic::modules::normalize_batch::<Self>(x, weight, bias, epsilon)
            }
        }

        impl $crate::BatchNormVjp for $backend {
            fn normalize_batch_vjp(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                mean: ::burn::backend::tensor::FloatTensor<Self>,
                variance: ::burn::backend::tensor::FloatTensor<Self>,
                epsilon: f64,
                grad: ::burn::backend::tensor::FloatTensor<Self>,
            ) -> (
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
            ) {
                $crate::backends::generic::modules::normalize_batch_vjp::<Self>(
                    x, weight, mean, variance, epsilon, grad,
                )
            }

            fn channel_moments(
                x: ::burn::backend::tensor::FloatTensor<Self>,
            ) -> (
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
            ) {
                $crate::backends::generic::layer::moments::<Self>(x)
            }
        }
    };
}
pub(crate) use by_burn;
