//! The convolution and its adjoint, which are each other's gradient.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use scn_solver::ConvGeometry;

use crate::{Convolution, ConvolutionVjp};

#[derive(Debug)]
struct Convolve2dBackward;

impl<B: Convolution + ConvolutionVjp> Backward<B, 2> for Convolve2dBackward {
    /// x, weight, geometry.
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, geometry) = ops.state;
        if let Some(node) = node_x {
            let grad_x = B::convolve2d_adjoint(grad.clone(), weight, geometry);
            grads.register::<B>(node.id, grad_x);
        }
        if let Some(node) = node_weight {
            let grad_weight = B::convolve2d_weight_gradient(x, grad, geometry);
            grads.register::<B>(node.id, grad_weight);
        }
    }
}

#[derive(Debug)]
struct Convolve2dAdjointBackward;

impl<B: Convolution + ConvolutionVjp> Backward<B, 2> for Convolve2dAdjointBackward {
    /// Values, weight, geometry.
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_values, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (values, weight, geometry) = ops.state;
        if let Some(node) = node_values {
            grads.register::<B>(node.id, B::convolve2d(grad.clone(), weight, geometry));
        }
        if let Some(node) = node_weight {
            // The operation is bilinear: the signal takes the place of the input, the codes that of the output.
            let grad_weight = B::convolve2d_weight_gradient(grad, values, geometry);
            grads.register::<B>(node.id, grad_weight);
        }
    }
}

impl<B: Convolution + ConvolutionVjp, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self> {
        let parents = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let output = B::convolve2d(x.clone(), weight.clone(), geometry);
        match Convolve2dBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, geometry), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn convolve2d_adjoint(
        values: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let parents = [values.node(), weight.node()];
        let (values, weight) = (values.into_primitive(), weight.into_primitive());
        let output = B::convolve2d_adjoint(values.clone(), weight.clone(), geometry);
        match Convolve2dAdjointBackward
            .prepare::<C>(parents)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((values, weight, geometry), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
