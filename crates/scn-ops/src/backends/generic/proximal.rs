//! The halves of a proximal step in plain tensor operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use scn_solver::ConvGeometry;

use super::convolution;

/// `S(γ + t·Dᵀr)`; codes of another batch stand for none.
pub(crate) fn ascent<B: Backend>(
    residual: FloatTensor<B>,
    codes: FloatTensor<B>,
    weight: FloatTensor<B>,
    step_size: FloatTensor<B>,
    threshold: FloatTensor<B>,
    geometry: &ConvGeometry,
    non_negative: bool,
) -> FloatTensor<B> {
    let step_size = B::float_reshape(step_size, Shape::new([1, 1, 1, 1]));
    let ascent = B::float_mul(convolution::convolve::<B>(residual, weight, geometry), step_size);
    let point = match codes.shape() == ascent.shape() {
        true => B::float_add(codes, ascent),
        false => ascent,
    };
    let [rows, columns] = threshold.shape().dims();
    let threshold = B::float_reshape(threshold, Shape::new([rows, columns, 1, 1]));
    let above = B::relu(B::float_sub(point.clone(), threshold.clone()));
    match non_negative {
        true => above,
        false => B::float_sub(above, B::relu(B::float_sub(B::float_neg(point), threshold))),
    }
}

/// `x − D∗γ`.
pub(crate) fn residual<B: Backend>(
    x: FloatTensor<B>,
    codes: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    B::float_sub(x, convolution::adjoint::<B>(codes, weight, geometry))
}

/// `γ + factor·(γ − previous)`.
pub(crate) fn extrapolate<B: Backend>(codes: FloatTensor<B>, previous: FloatTensor<B>, factor: f64) -> FloatTensor<B> {
    let change = B::float_sub(codes.clone(), previous);
    B::float_add(codes, B::float_mul_scalar(change, factor.into()))
}

/// A gradient where codes are not 0, and `[b, n]` its sums times their signs.
pub(crate) fn gate<B: Backend>(grad: FloatTensor<B>, codes: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, atoms, height, width] = codes.shape().dims();
    let signs = B::float_sign(codes);
    let signed = B::float_mul(grad, signs.clone());
    let rows = B::float_reshape(signed.clone(), Shape::new([batch, atoms, height * width]));
    let sums = B::float_reshape(B::float_sum_dim(rows, 2), Shape::new([batch, atoms]));
    (B::float_mul(signed, signs), sums)
}
