//! The halves of a proximal step of size t. With g the gradient of the next codes where these are not 0, and 0 elsewhere, that
//! of the codes before is g, of the threshold −g times their signs, of the residual `t·D∗g`, of the dictionary `t·Σ g rᵀ`, and of
//! t itself `⟨D, Σ g rᵀ⟩`.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use scn_solver::ConvGeometry;

use crate::{Convolution, ConvolutionVjp, Proximal, ProximalVjp};

#[derive(Debug)]
struct AscentBackward;

/// What its backward pass needs.
#[derive(Clone, Debug)]
struct Ascended<T> {
    residual: T,
    weight: T,
    step_size: T,
    next: T,
    /// The shape of the threshold.
    thresholds: [usize; 2],
    geometry: ConvGeometry,
}

impl<B: Convolution + ConvolutionVjp + ProximalVjp> Backward<B, 5> for AscentBackward {
    type State = Ascended<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_residual, node_codes, node_weight, node_step_size, node_threshold] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let Ascended {
            residual,
            weight,
            step_size,
            next,
            thresholds: [rows, columns],
            geometry,
        } = ops.state;
        let (gated, sums) = B::proximal_gate(grad, next);
        if let Some(node) = node_threshold {
            let mut sums = B::float_neg(sums);
            if rows == 1 {
                sums = B::float_sum_dim(sums, 0);
            }
            if columns == 1 {
                sums = B::float_sum_dim(sums, 1);
            }
            grads.register::<B>(node.id, sums);
        }
        let step: FloatTensor<B> = B::float_reshape(step_size, Shape::new([1, 1, 1, 1]));
        if node_weight.is_some() || node_step_size.is_some() {
            let sums = B::convolve2d_weight_gradient(residual, gated.clone(), geometry);
            if let Some(node) = node_step_size {
                let product = B::float_sum(B::float_mul(sums.clone(), weight.clone()));
                grads.register::<B>(node.id, B::float_reshape(product, Shape::new([1])));
            }
            if let Some(node) = node_weight {
                grads.register::<B>(node.id, B::float_mul(sums, step.clone()));
            }
        }
        if let Some(node) = node_residual {
            // The dictionary is the smallest of what the factor can be given to.
            let weight = B::float_mul(weight, step);
            grads.register::<B>(node.id, B::convolve2d_adjoint(gated.clone(), weight, geometry));
        }
        if let Some(node) = node_codes {
            grads.register::<B>(node.id, gated);
        }
    }
}

#[derive(Debug)]
struct ResidualBackward;

impl<B: Convolution + ConvolutionVjp> Backward<B, 3> for ResidualBackward {
    /// Codes, weight, geometry.
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_codes, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (codes, weight, geometry) = ops.state;
        // The weight is the smallest of what a sign can be given to.
        if let Some(node) = node_codes {
            let grad = B::convolve2d(grad.clone(), B::float_neg(weight), geometry);
            grads.register::<B>(node.id, grad);
        }
        if let Some(node) = node_weight {
            let grad = B::convolve2d_weight_gradient(grad.clone(), codes, geometry);
            grads.register::<B>(node.id, B::float_neg(grad));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, grad);
        }
    }
}

#[derive(Debug)]
struct ExtrapolateBackward;

impl<B: Proximal> Backward<B, 2> for ExtrapolateBackward {
    /// The factor.
    type State = f64;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_codes, node_previous] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let factor = ops.state;
        if let Some(node) = node_previous {
            grads.register::<B>(node.id, B::float_mul_scalar(grad.clone(), (-factor).into()));
        }
        if let Some(node) = node_codes {
            grads.register::<B>(node.id, B::float_mul_scalar(grad, (1.0 + factor).into()));
        }
    }
}

impl<B: Proximal + Convolution + ConvolutionVjp + ProximalVjp, C: CheckpointStrategy> Proximal for Autodiff<B, C> {
    fn proximal_ascent(
        residual: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        step_size: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        geometry: ConvGeometry,
        non_negative: bool,
    ) -> FloatTensor<Self> {
        let tensors = [residual, codes, weight, step_size, threshold];
        let parents = tensors.each_ref().map(|tensor| tensor.node());
        let [residual, codes, weight, step_size, threshold] = tensors.map(|tensor| tensor.into_primitive());
        let thresholds = threshold.shape().dims();
        let next = B::proximal_ascent(
            residual.clone(),
            codes,
            weight.clone(),
            step_size.clone(),
            threshold,
            geometry,
            non_negative,
        );
        match AscentBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = Ascended {
                    residual,
                    weight,
                    step_size,
                    next: next.clone(),
                    thresholds,
                    geometry,
                };
                prep.finish(state, next)
            }
            OpsKind::UnTracked(prep) => prep.finish(next),
        }
    }

    fn signal_residual(
        x: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), codes.node(), weight.node()];
        let [x, codes, weight] = [x, codes, weight].map(|tensor| tensor.into_primitive());
        let residual = B::signal_residual(x, codes.clone(), weight.clone(), geometry);
        match ResidualBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((codes, weight, geometry), residual),
            OpsKind::UnTracked(prep) => prep.finish(residual),
        }
    }

    fn extrapolate(codes: FloatTensor<Self>, previous: FloatTensor<Self>, factor: f64) -> FloatTensor<Self> {
        let parents = [codes.node(), previous.node()];
        let point = B::extrapolate(codes.into_primitive(), previous.into_primitive(), factor);
        match ExtrapolateBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(factor, point),
            OpsKind::UnTracked(prep) => prep.finish(point),
        }
    }
}
