//! Convolution, what follows from it and batch norm by burn's own operations, for the backends that have no kernels of ours for them.

/// Implements convolution, proximal steps and batch norm for a backend by burn's own operations.
macro_rules! by_burn {
    ($backend:ty) => {
        impl $crate::Convolution for $backend {
            fn convolve2d(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::convolution::convolve::<Self>(x, weight, &geometry)
            }

            fn convolve2d_adjoint(
                values: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::convolution::adjoint::<Self>(values, weight, &geometry)
            }
        }

        impl $crate::ConvolutionVjp for $backend {
            fn convolve2d_weight_gradient(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                grad: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::convolution::weight_gradient::<Self>(x, grad, &geometry)
            }
        }

        impl $crate::Proximal for $backend {
            fn proximal_ascent(
                residual: ::burn::backend::tensor::FloatTensor<Self>,
                codes: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                step_size: ::burn::backend::tensor::FloatTensor<Self>,
                threshold: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
                non_negative: bool,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::proximal::ascent::<Self>(
                    residual,
                    codes,
                    weight,
                    step_size,
                    threshold,
                    &geometry,
                    non_negative,
                )
            }

            fn signal_residual(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                codes: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::proximal::residual::<Self>(x, codes, weight, &geometry)
            }

            fn extrapolate(
                codes: ::burn::backend::tensor::FloatTensor<Self>,
                previous: ::burn::backend::tensor::FloatTensor<Self>,
                factor: f64,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                $crate::backends::generic::proximal::extrapolate::<Self>(codes, previous, factor)
            }
        }

        impl $crate::Accelerated for $backend {
            fn accelerated_step(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                codes: ::burn::backend::tensor::FloatTensor<Self>,
                previous: ::burn::backend::tensor::FloatTensor<Self>,
                factor: f64,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                step_size: ::burn::backend::tensor::FloatTensor<Self>,
                threshold: ::burn::backend::tensor::FloatTensor<Self>,
                geometry: ::scn_solver::ConvGeometry,
                non_negative: bool,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                use $crate::backends::generic::proximal;
                let point = proximal::extrapolate::<Self>(codes, previous, factor);
                let residual = proximal::residual::<Self>(x, point.clone(), weight.clone(), &geometry);
                proximal::ascent::<Self>(
                    residual,
                    point,
                    weight,
                    step_size,
                    threshold,
                    &geometry,
                    non_negative,
                )
            }
        }

        impl $crate::ProximalVjp for $backend {
            fn proximal_gate(
                grad: ::burn::backend::tensor::FloatTensor<Self>,
                codes: ::burn::backend::tensor::FloatTensor<Self>,
            ) -> (
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
            ) {
                $crate::backends::generic::proximal::gate::<Self>(grad, codes)
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
                let result =
                    <Self as ::burn::backend::ops::ModuleOps<Self>>::batch_norm_train(x, weight, bias, epsilon);
                (result.output, result.mean, result.variance)
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
                let result = <Self as ::burn::backend::ops::ModuleOps<Self>>::batch_norm_train_backward(
                    x, weight, mean, variance, epsilon, grad,
                );
                (result.x_grad, result.gamma_grad, result.beta_grad)
            }

            fn normalize(
                x: ::burn::backend::tensor::FloatTensor<Self>,
                weight: ::burn::backend::tensor::FloatTensor<Self>,
                bias: ::burn::backend::tensor::FloatTensor<Self>,
                mean: ::burn::backend::tensor::FloatTensor<Self>,
                variance: ::burn::backend::tensor::FloatTensor<Self>,
                epsilon: f64,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                <Self as ::burn::backend::ops::ModuleOps<Self>>::batch_norm(x, weight, bias, mean, variance, epsilon)
            }

            fn channel_moments(
                x: ::burn::backend::tensor::FloatTensor<Self>,
            ) -> (
                ::burn::backend::tensor::FloatTensor<Self>,
                ::burn::backend::tensor::FloatTensor<Self>,
            ) {
                $crate::backends::generic::normalization::moments::<Self>(x)
            }
        }
    };
}
pub(crate) use by_burn;
