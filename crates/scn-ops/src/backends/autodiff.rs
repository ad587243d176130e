//! Records each operation as one of the autodiff graph, whose backward pass is its vector-Jacobian product; of a
//! solve that is the implicit gradient.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use scn_solver::SolverOptions;

use super::ToTensor;
use crate::{
    BackwardReport, BatchNorm, BatchNormVjp, Convolution, ConvolutionVjp, SparseCoding, SparseCodingVjp, Statistics,
};

#[derive(Debug)]
struct SparseCode2dBackward;

/// What the backward pass of a solve needs.
#[derive(Clone, Debug)]
struct State<T> {
    x: T,
    mean: T,
    scale: T,
    weight: T,
    codes: T,
    stride: usize,
    options: SolverOptions,
    statistics: Statistics,
    report: BackwardReport,
}

impl<B: SparseCodingVjp + ToTensor> Backward<B, 3> for SparseCode2dBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight, node_lambda1] = ops.parents;
        let grad_codes = grads.consume::<B>(&ops.node);
        let State {
            x,
            mean,
            scale,
            weight,
            codes,
            stride,
            options,
            statistics,
            report,
        } = ops.state;
        let wants_x = node_x.is_some();
        let (grad_x, grad_weight, grad_lambda1, _, solves) = B::sparse_code2d_vjp(
            x, mean, scale, weight, codes, grad_codes, stride, options, statistics, wants_x,
        );
        report.fill(B::to_tensor(solves));
        for (node, grad) in [
            (node_x, grad_x),
            (node_weight, grad_weight),
            (node_lambda1, grad_lambda1),
        ] {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: SparseCoding + SparseCodingVjp + ToTensor, C: CheckpointStrategy> SparseCoding for Autodiff<B, C> {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
        statistics: Statistics,
        backward: BackwardReport,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [x.node(), weight.node(), lambda1.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let (mean, scale) = (mean.into_primitive(), scale.into_primitive());
        let (codes, solves, active) = B::sparse_code2d(
            x.clone(),
            mean.clone(),
            scale.clone(),
            weight.clone(),
            lambda1.into_primitive(),
            stride,
            options,
            statistics,
            backward.clone(),
        );
        let codes = match SparseCode2dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                State {
                    x,
                    mean,
                    scale,
                    weight,
                    codes: codes.clone(),
                    stride,
                    options,
                    statistics,
                    report: backward,
                },
                codes,
            ),
            OpsKind::UnTracked(prep) => prep.finish(codes),
        };
        (
            codes,
            FloatTensor::<Self>::new(solves),
            FloatTensor::<Self>::new(active),
        )
    }
}

#[derive(Debug)]
struct Convolve2dBackward;

impl<B: Convolution + ConvolutionVjp> Backward<B, 2> for Convolve2dBackward {
    /// x, weight, stride.
    type State = (FloatTensor<B>, FloatTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, stride) = ops.state;
        let ([_, _, height, width], [_, _, kernel, _]) = (x.shape().dims(), weight.shape().dims());
        if let Some(node) = node_x {
            let grad_x = B::convolve2d_adjoint(grad.clone(), weight, stride, [height, width]);
            grads.register::<B>(node.id, grad_x);
        }
        if let Some(node) = node_weight {
            let grad_weight = B::convolve2d_weight_gradient(x, grad, stride, kernel);
            grads.register::<B>(node.id, grad_weight);
        }
    }
}

#[derive(Debug)]
struct Convolve2dAdjointBackward;

impl<B: Convolution + ConvolutionVjp> Backward<B, 2> for Convolve2dAdjointBackward {
    /// Values, weight, stride.
    type State = (FloatTensor<B>, FloatTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_values, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (values, weight, stride) = ops.state;
        let [_, _, kernel, _] = weight.shape().dims();
        if let Some(node) = node_values {
            grads.register::<B>(node.id, B::convolve2d(grad.clone(), weight, stride));
        }
        if let Some(node) = node_weight {
            // The operation is bilinear: the signal takes the place of the input, the codes that of the output.
            let grad_weight = B::convolve2d_weight_gradient(grad, values, stride, kernel);
            grads.register::<B>(node.id, grad_weight);
        }
    }
}

impl<B: Convolution + ConvolutionVjp, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        let parents = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let output = B::convolve2d(x.clone(), weight.clone(), stride);
        match Convolve2dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, stride), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn convolve2d_adjoint(
        values: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: usize,
        sides: [usize; 2],
    ) -> FloatTensor<Self> {
        let parents = [values.node(), weight.node()];
        let (values, weight) = (values.into_primitive(), weight.into_primitive());
        let output = B::convolve2d_adjoint(values.clone(), weight.clone(), stride, sides);
        match Convolve2dAdjointBackward
            .prepare::<C>(parents)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((values, weight, stride), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

#[derive(Debug)]
struct NormalizeBatchBackward;

impl<B: BatchNormVjp> Backward<B, 3> for NormalizeBatchBackward {
    /// x, weight, mean, variance, ε.
    type State = ([FloatTensor<B>; 4], f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight, node_bias] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let ([x, weight, mean, variance], epsilon) = ops.state;
        let (grad_x, grad_weight, grad_bias) = B::normalize_batch_vjp(x, weight, mean, variance, epsilon, grad);
        for (node, grad) in [(node_x, grad_x), (node_weight, grad_weight), (node_bias, grad_bias)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: BatchNorm + BatchNormVjp, C: CheckpointStrategy> BatchNorm for Autodiff<B, C> {
    fn normalize_batch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let (output, mean, variance) = B::normalize_batch(x.clone(), weight.clone(), bias, epsilon);
        let output = match NormalizeBatchBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = ([x, weight, mean.clone(), variance.clone()], epsilon);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (
            output,
            FloatTensor::<Self>::new(mean),
            FloatTensor::<Self>::new(variance),
        )
    }
}
