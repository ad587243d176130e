//! Batch normalisation.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;

use crate::{BatchNorm, BatchNormVjp};

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
