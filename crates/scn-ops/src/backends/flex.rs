//! The CPU: burn's flex backend with the tile kernels of the solver crate.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use scn_solver::{SimdLevel, SolverOptions, tile};

use super::geometry_of;
use crate::{SparseCoding, SparseCodingVjp};

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

impl SparseCoding for Flex {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let geometry = geometry_of(&x, &weight, stride);
        let (x, weight, lambda1) = (x.to_contiguous(), weight.to_contiguous(), lambda1.to_contiguous());
        let solution = tile::forward(
            &geometry,
            x.storage(),
            weight.storage(),
            lambda1.storage(),
            &options,
            SimdLevel::detect(),
        );
        let solves = [geometry.batch, 2, geometry.output_height(), geometry.output_width()];
        (
            tensor(solution.codes, geometry.codes_shape()),
            tensor(solution.solves, solves),
            tensor(solution.active, [geometry.batch, geometry.atoms]),
        )
    }
}

impl SparseCodingVjp for Flex {
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
        let geometry = geometry_of(&x, &weight, stride);
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (codes, grad_codes) = (codes.to_contiguous(), grad_codes.to_contiguous());
        let gradients = tile::backward(
            &geometry,
            x.storage(),
            weight.storage(),
            codes.storage(),
            grad_codes.storage(),
            &options,
            SimdLevel::detect(),
        );
        (
            tensor(gradients.x, x.shape()),
            tensor(gradients.weight, weight.shape()),
            tensor(gradients.lambda1, [geometry.atoms]),
            tensor(vec![gradients.lambda2], [1]),
        )
    }
}
