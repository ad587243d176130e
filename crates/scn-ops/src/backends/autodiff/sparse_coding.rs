//! The sparse-coding layer; its backward pass is the implicit gradient.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use scn_solver::{ConvGeometry, SolverOptions};

use crate::backends::ToTensor;
use crate::{BackwardReport, SparseCoding, SparseCodingVjp, Statistics};

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
    geometry: ConvGeometry,
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
            geometry,
            options,
            statistics,
            report,
        } = ops.state;
        let wants_x = node_x.is_some();
        let (grad_x, grad_weight, grad_lambda1, _, solves) = B::sparse_code2d_vjp(
            x, mean, scale, weight, codes, grad_codes, geometry, options, statistics, wants_x,
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
        geometry: ConvGeometry,
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
            geometry,
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
                    geometry,
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
