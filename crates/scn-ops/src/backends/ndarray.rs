//! burn's NdArray backend, which upstream deprecates in favour of flex: the layer in plain tensor operations.
#![allow(deprecated)]

use burn::backend::NdArray;
use burn::backend::tensor::FloatTensor;
use scn_solver::SolverOptions;

use super::{layer, module_ops, tensor_ops};
use crate::{BatchNorm, BatchNormVjp, Convolution, ConvolutionVjp, SparseCoding, SparseCodingVjp, Statistics};

impl SparseCoding for NdArray {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
        _: Statistics,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let x = layer::normalized::<Self>(x, &mean, &scale);
        tensor_ops::forward::<Self>(x, weight, lambda1, stride, options)
    }
}

impl SparseCodingVjp for NdArray {
    fn sparse_code2d_vjp(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad_codes: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
        statistics: Statistics,
        wants_x: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let x = layer::normalized::<Self>(x, &mean, &scale);
        let gradients = tensor_ops::backward::<Self>(x.clone(), weight, codes, grad_codes, stride, options);
        layer::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x)
    }
}

impl Convolution for NdArray {
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        module_ops::convolve2d::<Self>(x, weight, stride)
    }
}

impl ConvolutionVjp for NdArray {
    fn convolve2d_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        stride: usize,
        wants_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::convolve2d_vjp::<Self>(x, weight, grad, stride, wants_x)
    }
}

impl BatchNorm for NdArray {
    fn normalize_batch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::normalize_batch::<Self>(x, weight, bias, epsilon)
    }
}

impl BatchNormVjp for NdArray {
    fn normalize_batch_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::normalize_batch_vjp::<Self>(x, weight, mean, variance, epsilon, grad)
    }

    fn channel_moments(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        layer::moments::<Self>(x)
    }
}
