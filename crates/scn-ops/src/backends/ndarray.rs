//! burn's NdArray backend, which upstream deprecates in favour of flex: the layer in plain tensor operations.
#![allow(deprecated)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, NdArray};
use scn_solver::SolverOptions;

use super::module_ops::by_burn;
use super::{ToTensor, layer, tensor_ops};
use crate::{BackwardReport, SparseCoding, SparseCodingVjp, Statistics};

impl ToTensor for NdArray {
    fn kind(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::NdArray(tensor)
    }
}

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
        _: BackwardReport,
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
        FloatTensor<Self>,
    ) {
        let x = layer::normalized::<Self>(x, &mean, &scale);
        let gradients = tensor_ops::backward::<Self>(x.clone(), weight, codes, grad_codes, stride, options);
        layer::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x)
    }
}

by_burn!(NdArray);
