//! burn's NdArray backend, which upstream deprecates in favour of flex: the layer in plain tensor operations.
#![allow(deprecated)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, NdArray};
use scn_solver::{ConvGeometry, SolverOptions};

use super::ToTensor;
use super::autodiff::without_gradients;
use super::generic::by_burn;
use super::generic::{layer, normalization, solve};
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
        geometry: ConvGeometry,
        options: SolverOptions,
        _: Statistics,
        _: BackwardReport,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let x = normalization::normalized::<Self>(x, &mean, &scale);
        solve::forward::<Self>(x, weight, lambda1, geometry, options)
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
        geometry: ConvGeometry,
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
        let x = normalization::normalized::<Self>(x, &mean, &scale);
        let gradients = solve::backward::<Self>(x.clone(), weight, codes, grad_codes, geometry, options);
        normalization::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x)
    }

    fn solve_sums(solves: FloatTensor<Self>, max_iterations: usize, tolerance: f64) -> FloatTensor<Self> {
        layer::solve_sums::<Self>(solves, max_iterations, tolerance)
    }
}

by_burn!(NdArray);
without_gradients!(NdArray);
