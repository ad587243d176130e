//! Batch normalisation: burn's on every backend, and its gradient as a timed operation of the autodiff graph.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex};
use scn_solver::profile::{Part, timed};

use crate::BatchNormalization;

/// Output, mean and variance, as [`BatchNormalization::normalize_batch`] returns them.
type Normalized<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

fn normalize<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> Normalized<B> {
    let result = B::batch_norm_train(x, gamma, beta, epsilon);
    (result.output, result.mean, result.variance)
}

impl BatchNormalization for Flex {
    fn normalize_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> Normalized<Self> {
        normalize::<Self>(x, gamma, beta, epsilon)
    }
}

#[cfg(feature = "wgpu")]
impl BatchNormalization for burn_cubecl::CubeBackend {
    fn normalize_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> Normalized<Self> {
        normalize::<Self>(x, gamma, beta, epsilon)
    }
}

#[cfg(feature = "ndarray")]
#[allow(deprecated)] // burn deprecates the backend in favour of flex.
impl BatchNormalization for burn::backend::NdArray {
    fn normalize_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> Normalized<Self> {
        normalize::<Self>(x, gamma, beta, epsilon)
    }
}

#[derive(Debug)]
struct NormalizeBatchBackward;

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct State<T> {
    x: T,
    gamma: T,
    mean: T,
    variance: T,
    epsilon: f64,
}

impl<B: Backend> Backward<B, 3> for NormalizeBatchBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_gamma, node_beta] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let State {
            x,
            gamma,
            mean,
            variance,
            epsilon,
        } = ops.state;
        let result = timed(Part::BatchNorm, || {
            B::batch_norm_train_backward(x, gamma, mean, variance, epsilon, grad)
        });
        for (node, grad) in [
            (node_x, result.x_grad),
            (node_gamma, result.gamma_grad),
            (node_beta, result.beta_grad),
        ] {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

impl<B: BatchNormalization, C: CheckpointStrategy> BatchNormalization for Autodiff<B, C> {
    fn normalize_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> Normalized<Self> {
        let parents = [x.node(), gamma.node(), beta.node()];
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        let (output, mean, variance) = timed(Part::BatchNorm, || {
            B::normalize_batch(x.clone(), gamma.clone(), beta, epsilon)
        });
        let output = match NormalizeBatchBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                State {
                    x,
                    gamma,
                    mean: mean.clone(),
                    variance: variance.clone(),
                    epsilon,
                },
                output,
            ),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (
            output,
            FloatTensor::<Self>::new(mean),
            FloatTensor::<Self>::new(variance),
        )
    }
}
