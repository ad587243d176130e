//! What is told of the codes of whole images.

use burn::tensor::Tensor;

use super::image_means;

/// How many codes of each atom are not 0 in each image of `codes [s, n, h, w]`: `[s, n]`.
pub(crate) fn active_codes(codes: &Tensor<4>) -> Tensor<2> {
    let [images, atoms, ..] = codes.dims();
    let active = codes.clone().not_equal_elem(0.0).float().sum_dim(3).sum_dim(2);
    active.reshape([images, atoms])
}

/// The relative residual of a fixed point, `ρ = ‖c − c′‖ / ‖c‖` of each image `[s]`, of codes `[s, n, h, w]` and of the
/// next ones; 0 where both norms are.
pub(crate) fn relative_residual(codes: Tensor<4>, next: Tensor<4>) -> Tensor<1> {
    let norms = |values: Tensor<4>| image_means(values.powi_scalar(2)).sqrt();
    norms(codes.clone() - next) / norms(codes).clamp_min(f64::from(f32::MIN_POSITIVE))
}
