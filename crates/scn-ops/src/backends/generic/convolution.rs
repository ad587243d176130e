//! The convolution by burn's own, with its adjoint and the gradient of its weight.

use burn::backend::ops::{ConvOptions, ConvTransposeOptions, PadMode};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};
use scn_solver::ConvGeometry;

use super::layer::{is_empty, sum_of_products, zeros};

/// The output `[b, n, h', w']`: `Dᵀx` of every patch, where the weight is a dictionary.
pub(crate) fn convolve<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    if is_empty(geometry) {
        return zeros::<B>(geometry.codes_shape(), &x.device());
    }
    let ConvGeometry {
        stride,
        padding,
        dilation,
        ..
    } = *geometry;
    let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], 1);
    B::conv2d(x, weight, None, options)
}

/// The adjoint of [`convolve`]: `[b, c, h, w]` of `values [b, n, h', w']`.
pub(crate) fn adjoint<B: Backend>(
    values: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    let ConvGeometry {
        height,
        width,
        stride,
        padding,
        dilation,
        ..
    } = *geometry;
    if is_empty(geometry) {
        return zeros::<B>(geometry.input_shape(), &values.device());
    }
    // What the last window of a row or column leaves over, with the padding.
    let left = |side: usize, windows: usize| side + 2 * padding - geometry.span() - stride * (windows - 1);
    let left = [
        left(height, geometry.output_height()),
        left(width, geometry.output_width()),
    ];
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], left, [dilation; 2], 1);
    B::conv_transpose2d(values, weight, None, options)
}

/// `Σ γxᵀ [n, c, k, k]` for `gamma [b, n, h', w']`, the gradient of a convolution's weight and the part of a dictionary's
/// gradient that the signals have: one product with the image, shifted, for each place in the window.
///
/// burn's own gradient of a convolution's weight lets one unit walk the whole batch for each of these few numbers; on
/// Mesa's software adapter it is silently wrong beyond 65,535 steps.
pub(crate) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    let ConvGeometry {
        batch,
        channels,
        atoms,
        kernel,
        stride,
        padding,
        dilation,
        ..
    } = *geometry;
    if is_empty(geometry) {
        return zeros::<B>(geometry.weight_shape(), &x.device());
    }
    let gamma = B::float_reshape(gamma, Shape::new([batch, atoms, geometry.pixels()]));
    let pad = (padding, padding);
    let padded = B::float_pad(x, &[(0, 0), (0, 0), pad, pad], PadMode::Constant(0.0));
    let steps = |place: usize, outputs: usize| {
        let offset = dilation * place;
        let end = offset + stride * (outputs - 1) + 1;
        Slice::new(offset as isize, Some(end as isize), stride as isize)
    };
    let shifted = (0..kernel * kernel).map(|place| {
        let rows = steps(place / kernel, geometry.output_height());
        let columns = steps(place % kernel, geometry.output_width());
        let pixels = B::float_slice(padded.clone(), &[Slice::full(), Slice::full(), rows, columns]);
        let pixels = B::float_reshape(pixels, Shape::new([batch, channels, geometry.pixels()]));
        B::float_reshape(
            sum_of_products::<B>(gamma.clone(), pixels),
            Shape::new([atoms, channels, 1]),
        )
    });
    let products = B::float_cat(shifted.collect(), 2);
    B::float_reshape(products, Shape::new(geometry.weight_shape()))
}
