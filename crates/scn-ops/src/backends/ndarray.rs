//! burn's NdArray backend, which upstream deprecates in favour of flex: the layer in plain tensor operations.
#![allow(deprecated)]

use burn::backend::NdArray;
use burn::backend::tensor::FloatTensor;
use scn_solver::SolverOptions;

use super::tensor_ops;
use crate::{SparseCoding, SparseCodingVjp};

impl SparseCoding for NdArray {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        tensor_ops::forward::<Self>(x, weight, lambda1, stride, options)
    }
}

impl SparseCodingVjp for NdArray {
    fn sparse_code2d_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad_codes: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        tensor_ops::backward::<Self>(x, weight, codes, grad_codes, stride, options)
    }
}
