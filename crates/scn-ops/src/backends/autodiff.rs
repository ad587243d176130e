//! Records the solve as one operation of the autodiff graph, whose backward pass is the implicit gradient.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use scn_solver::SolverOptions;

use crate::{SparseCoding, SparseCodingVjp};

#[derive(Debug)]
struct SparseCode2dBackward;

/// What the backward pass needs: x, weight, codes.
#[derive(Clone, Debug)]
struct State<T> {
    x: T,
    weight: T,
    codes: T,
    stride: usize,
    options: SolverOptions,
}

impl<B: SparseCodingVjp> Backward<B, 3> for SparseCode2dBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight, node_lambda1] = ops.parents;
        let grad_codes = grads.consume::<B>(&ops.node);
        let State {
            x,
            weight,
            codes,
            stride,
            options,
        } = ops.state;
        let (grad_x, grad_weight, grad_lambda1, _) =
            B::sparse_code2d_vjp(x, weight, codes, grad_codes, stride, options);
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

impl<B: SparseCoding + SparseCodingVjp, C: CheckpointStrategy> SparseCoding for Autodiff<B, C> {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [x.node(), weight.node(), lambda1.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let (codes, solves, active) =
            B::sparse_code2d(x.clone(), weight.clone(), lambda1.into_primitive(), stride, options);
        let codes = match SparseCode2dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                State {
                    x,
                    weight,
                    codes: codes.clone(),
                    stride,
                    options,
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
