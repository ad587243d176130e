//! The normalisation in front of a layer, its gradient, and the moments of a batch.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::layer::{Gradients, nothing};
use crate::Statistics;

/// `(x − mean)·scale` for each channel of `x [b, c, h, w]`.
pub(crate) fn normalized<B: Backend>(
    x: FloatTensor<B>,
    mean: &FloatTensor<B>,
    scale: &FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_mul(B::float_sub(x, per_channel::<B>(mean)), per_channel::<B>(scale))
}

/// The gradient of `x`, given that of the `normalized` x: with means over batch and pixels
/// `scale·(g − mean(g) − x̂·mean(g·x̂))` where the statistics are the batch's, else `scale·g`.
fn through_normalization<B: Backend>(
    grad: FloatTensor<B>,
    normalized: FloatTensor<B>,
    scale: &FloatTensor<B>,
    statistics: Statistics,
) -> FloatTensor<B> {
    let scale = per_channel::<B>(scale);
    if statistics == Statistics::Given {
        return B::float_mul(grad, scale);
    }
    let projection = mean_of_channels::<B>(B::float_mul(grad.clone(), normalized.clone()));
    let mean = mean_of_channels::<B>(grad.clone());
    let centered = B::float_sub(B::float_sub(grad, mean), B::float_mul(normalized, projection));
    B::float_mul(centered, scale)
}

/// The gradients of a layer whose input was normalised, given those with the `normalized` input in its place.
pub(crate) fn before_normalization<B: Backend>(
    (grad_x, weight, lambda1, lambda2, solves): Gradients<B>,
    normalized: FloatTensor<B>,
    scale: &FloatTensor<B>,
    statistics: Statistics,
    wants_x: bool,
) -> Gradients<B> {
    let grad_x = match wants_x {
        true => through_normalization::<B>(grad_x, normalized, scale, statistics),
        false => nothing::<B>(&normalized.device()),
    };
    (grad_x, weight, lambda1, lambda2, solves)
}

/// Mean and biased variance `[c]` of `x [b, c, h, w]`.
pub(crate) fn moments<B: Backend>(x: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let [_, channels, _, _] = x.shape().dims();
    let flat = |tensor| B::float_reshape(tensor, Shape::new([channels]));
    let mean = mean_of_channels::<B>(x.clone());
    let centered = B::float_sub(x, mean.clone());
    let variance = mean_of_channels::<B>(B::float_mul(centered.clone(), centered));
    (flat(mean), flat(variance))
}

/// The mean over batch and pixels of each channel, `[1, c, 1, 1]`.
fn mean_of_channels<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, channels, height, width] = x.shape().dims();
    let planes = B::float_reshape(x, Shape::new([batch, channels, height * width]));
    let mean = B::float_mean_dim(B::float_mean_dim(planes, 2), 0);
    B::float_reshape(mean, Shape::new([1, channels, 1, 1]))
}

fn per_channel<B: Backend>(values: &FloatTensor<B>) -> FloatTensor<B> {
    let channels = values.shape().num_elements();
    B::float_reshape(values.clone(), Shape::new([1, channels, 1, 1]))
}
