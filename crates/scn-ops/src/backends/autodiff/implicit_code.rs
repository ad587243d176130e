//! The gradient of a convolutional sparse code at its solution: on the support S of the codes, where they are not 0,
//! `D_Sᵀ(x − D∗c) = λ·sign(c) + μc`, so that `(D_SᵀD_S + μI)·dc = D_Sᵀdx + …`. With the solution v of
//! `(D_SᵀD_S + μI)·v = grad` on S the vector-Jacobian products are `D∗v` for x, `−⟨v, sign(c)⟩` for λ, and for the atoms those
//! of `⟨D∗v, x − D∗c⟩` with v and c held fixed.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, read_sync};
use scn_solver::ConvGeometry;

use crate::{Convergence, Convolution, ConvolutionVjp, ImplicitCode};

/// Implements the operation for a backend without autodiff, which has nothing to add to the codes.
macro_rules! without_gradients {
    ($backend:ty) => {
        impl $crate::ImplicitCode for $backend {
            fn implicit_code2d(
                _: ::burn::backend::tensor::FloatTensor<Self>,
                _: ::burn::backend::tensor::FloatTensor<Self>,
                _: ::burn::backend::tensor::FloatTensor<Self>,
                codes: ::burn::backend::tensor::FloatTensor<Self>,
                _: ::scn_solver::ConvGeometry,
                _: f64,
                _: $crate::Convergence,
            ) -> ::burn::backend::tensor::FloatTensor<Self> {
                codes
            }
        }
    };
}
pub(in crate::backends) use without_gradients;

#[derive(Debug)]
struct ImplicitCodeBackward;

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct State<T> {
    x: T,
    weight: T,
    codes: T,
    /// The shape of λ: one row or one for each image, of one value or one for each atom.
    lambdas: [usize; 2],
    geometry: ConvGeometry,
    mu: f64,
    convergence: Convergence,
}

impl<B: Convolution + ConvolutionVjp> Backward<B, 3> for ImplicitCodeBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight, node_lambda] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let State {
            x,
            weight,
            codes,
            lambdas,
            geometry,
            mu,
            convergence,
        } = ops.state;
        let signal = |codes| B::convolve2d_adjoint(codes, weight.clone(), geometry);
        let signs = B::float_sign(codes.clone());
        let support = B::float_mul(signs.clone(), signs.clone());
        let gram = |v: FloatTensor<B>| {
            let product = B::convolve2d(signal(v.clone()), weight.clone(), geometry);
            B::float_add(product, B::float_mul_scalar(v, mu.into()))
        };
        let v = conjugate_gradients::<B>(&gram, grad, &support, convergence);
        let grad_x = signal(v.clone());
        if let Some(node) = node_weight {
            let residual = B::float_sub(x, signal(codes.clone()));
            let of_v = B::convolve2d_weight_gradient(residual, v.clone(), geometry);
            let of_codes = B::convolve2d_weight_gradient(grad_x.clone(), codes, geometry);
            grads.register::<B>(node.id, B::float_sub(of_v, of_codes));
        }
        if let Some(node) = node_lambda {
            let places = B::float_neg(B::float_mul(v, signs));
            grads.register::<B>(node.id, sum_to::<B>(places, lambdas));
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, grad_x);
        }
    }
}

impl<B: ImplicitCode + Convolution + ConvolutionVjp, C: CheckpointStrategy> ImplicitCode for Autodiff<B, C> {
    fn implicit_code2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        geometry: ConvGeometry,
        mu: f64,
        convergence: Convergence,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), weight.node(), lambda.node()];
        let lambdas = lambda.shape().dims();
        let (x, weight, codes) = (x.into_primitive(), weight.into_primitive(), codes.into_primitive());
        match ImplicitCodeBackward.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                State {
                    x,
                    weight,
                    codes: codes.clone(),
                    lambdas,
                    geometry,
                    mu,
                    convergence,
                },
                codes,
            ),
            OpsKind::UnTracked(prep) => prep.finish(codes),
        }
    }
}

/// v on the support with `gram(v) = grad` on the support, for each image by itself, to a relative residual of at most the
/// tolerance in the worst image; one number an iteration is read back.
fn conjugate_gradients<B: Backend>(
    gram: &dyn Fn(FloatTensor<B>) -> FloatTensor<B>,
    grad: FloatTensor<B>,
    support: &FloatTensor<B>,
    convergence: Convergence,
) -> FloatTensor<B> {
    let on_support = |values| B::float_mul(values, support.clone());
    let squares = |values: &FloatTensor<B>| image_sums::<B>(B::float_mul(values.clone(), values.clone()));
    // Of an image without a gradient every vector is 0: its divisors are 1.
    let nonzero = |values: FloatTensor<B>| {
        let sign = B::float_sign(values.clone());
        let missing = B::float_add_scalar(B::float_neg(B::float_mul(sign.clone(), sign)), 1.0.into());
        B::float_add(values, missing)
    };
    let mut residual = on_support(grad);
    let mut v = B::float_mul_scalar(residual.clone(), 0.0.into());
    let mut direction = residual.clone();
    let mut square = squares(&residual);
    let first = nonzero(square.clone());
    for _ in 0..convergence.max_iterations {
        if largest::<B>(B::float_div(square.clone(), first.clone())) <= convergence.tolerance.powi(2) {
            break;
        }
        let product = on_support(gram(direction.clone()));
        let curvature = image_sums::<B>(B::float_mul(direction.clone(), product.clone()));
        let step = B::float_div(square.clone(), nonzero(curvature));
        v = B::float_add(v, B::float_mul(direction.clone(), step.clone()));
        residual = B::float_sub(residual, B::float_mul(product, step));
        let next = squares(&residual);
        let share = B::float_div(next.clone(), nonzero(square));
        direction = B::float_add(residual.clone(), B::float_mul(direction, share));
        square = next;
    }
    v
}

/// `values [b, n, h, w]` summed over their places, and over images and atoms where λ has one value for all of them.
fn sum_to<B: Backend>(values: FloatTensor<B>, [rows, columns]: [usize; 2]) -> FloatTensor<B> {
    let [batch, atoms, height, width] = values.shape().dims();
    debug_assert!((rows == 1 || rows == batch) && (columns == 1 || columns == atoms));
    let places = B::float_reshape(values, Shape::new([batch, atoms, height * width]));
    let mut sums = B::float_reshape(B::float_sum_dim(places, 2), Shape::new([batch, atoms]));
    for (dimension, kept) in [rows, columns].into_iter().enumerate() {
        if kept == 1 {
            sums = B::float_sum_dim(sums, dimension);
        }
    }
    sums
}

/// The sum over each image of `values [b, n, h, w]`: `[b, 1, 1, 1]`.
fn image_sums<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, atoms, height, width] = values.shape().dims();
    let rows = B::float_reshape(values, Shape::new([batch, atoms * height * width]));
    B::float_reshape(B::float_sum_dim(rows, 1), Shape::new([batch, 1, 1, 1]))
}

/// The largest value, read back.
fn largest<B: Backend>(values: FloatTensor<B>) -> f64 {
    match read_sync(B::float_into_data(B::float_max(values))) {
        Ok(data) => data.iter::<f64>().next().unwrap_or(f64::NAN),
        Err(error) => panic!("reading a residual back from the device failed: {error}"),
    }
}
