//! What surrounds the solves on every tensor backend: `Dᵀx` for all pixels as one convolution, `Q = DᵀD + λ₂I`, and
//! the gradients that follow from the solution γ of the implicit system (Sun, Nasrabadi & Tran, arXiv:1701.08349,
//! eqs. 11, 13 and 17). No patch matrix is ever formed.

use burn::backend::ops::{ConvOptions, ConvTransposeOptions, PadMode};
use burn::backend::tensor::{BoolTensor, Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{FloatDType, Shape, Slice};
use scn_solver::ConvGeometry;

use super::solves_shape;
use crate::Statistics;

/// Codes, solves and active counts, as [`crate::SparseCoding::sparse_code2d`] returns them.
pub(super) type Solution<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Gradients of x, weight, λ₁ and λ₂, and solves, as [`crate::SparseCodingVjp::sparse_code2d_vjp`] returns them.
pub(super) type Gradients<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Steps of the power iteration for `L = λ_max(Q)`. A starting vector that holds 1/n of its energy along the largest
/// eigenvector reaches `n^(-1/64)·λ_max` at least (0.92 at n = 256), and FISTA is stable down to 3/4.
pub(super) const POWER_ITERATIONS: u32 = 32;

/// What the estimate of `L` is multiplied by, as power iteration approaches λ_max from below.
pub(super) const LIPSCHITZ_MARGIN: f32 = 1.01;

/// Component `j` of the power iteration's start: irregular and positive, so that no structured eigenvector is
/// orthogonal to it (multiples of the golden ratio modulo 1).
pub(super) fn power_start(j: usize) -> f32 {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    (0.5 + ((j + 1) as f64 * GOLDEN_RATIO).fract()) as f32
}

/// Whether there is nothing to solve: no images, no pixels or no atoms.
pub(super) fn is_empty(geometry: &ConvGeometry) -> bool {
    geometry.codes_shape().contains(&0)
}

/// The solution of a layer that [`is_empty`].
pub(super) fn empty_solution<B: Backend>(geometry: &ConvGeometry, device: &Device<B>) -> Solution<B> {
    (
        zeros::<B>(geometry.codes_shape(), device),
        zeros::<B>(solves_shape(geometry), device),
        zeros::<B>([geometry.batch, geometry.atoms], device),
    )
}

/// The gradients of a layer that [`is_empty`].
pub(super) fn empty_gradients<B: Backend>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    geometry: &ConvGeometry,
) -> Gradients<B> {
    let device = x.device();
    (
        zeros::<B>(x.shape(), &device),
        zeros::<B>(weight.shape(), &device),
        zeros::<B>([geometry.atoms], &device),
        zeros::<B>([1], &device),
        zeros::<B>(solves_shape(geometry), &device),
    )
}

/// The place of a gradient that is not wanted.
pub(super) fn nothing<B: Backend>(device: &Device<B>) -> FloatTensor<B> {
    zeros::<B>([0, 0, 0, 0], device)
}

/// `(x − mean)·scale` for each channel of `x [b, c, h, w]`.
pub(super) fn normalized<B: Backend>(
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
pub(super) fn before_normalization<B: Backend>(
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
pub(super) fn moments<B: Backend>(x: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
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

/// `Dᵀx [b, n, h', w']` of every patch.
pub(super) fn correlations<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    B::conv2d(x, weight, None, conv_options(geometry))
}

/// The adjoint of [`correlations`]: `[b, c, h, w]` of `values [b, n, h', w']`.
pub(super) fn fold<B: Backend>(
    values: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> FloatTensor<B> {
    let ConvGeometry {
        batch,
        channels,
        height,
        width,
        stride,
        ..
    } = *geometry;
    if is_empty(geometry) {
        return zeros::<B>([batch, channels, height, width], &values.device());
    }
    // What the last window of a row or column leaves over.
    let left = |side: usize, windows: usize| side - stride * (windows - 1) - 1;
    let left = [
        left(height, geometry.output_height()),
        left(width, geometry.output_width()),
    ];
    let options = ConvTransposeOptions::new([stride; 2], [geometry.padding(); 2], left, [1, 1], 1);
    B::conv_transpose2d(values, weight, None, options)
}

/// `Q = DᵀD + λ₂I [n, n]`.
pub(super) fn quadratic<B: Backend>(weight: FloatTensor<B>, geometry: &ConvGeometry, lambda2: f64) -> FloatTensor<B> {
    let atoms = B::float_reshape(weight, Shape::new([geometry.atoms, geometry.patch()]));
    let gram = B::float_matmul(atoms.clone(), B::float_transpose(atoms));
    if lambda2 == 0.0 {
        return gram;
    }
    let ridge = B::float_mul_scalar(identity::<B>(geometry.atoms, &gram.device()), lambda2.into());
    B::float_add(gram, ridge)
}

/// `I [n, n]`, made on the device: ones followed by rows of n zeros, reread in rows of n, lie on the diagonal.
pub(super) fn identity<B: Backend>(n: usize, device: &Device<B>) -> FloatTensor<B> {
    let ones = B::float_ones(Shape::new([n, 1]), device, FloatDType::F32);
    let padded = B::float_cat(vec![ones, zeros::<B>([n, n], device)], 1);
    let flat = B::float_reshape(padded, Shape::new([n * (n + 1)]));
    B::float_reshape(B::float_slice(flat, &[Slice::from(0..n * n)]), Shape::new([n, n]))
}

/// At how many pixels of each image an atom is active `[b, n]`.
pub(super) fn active_counts<B: Backend>(codes: FloatTensor<B>, geometry: &ConvGeometry) -> FloatTensor<B> {
    let planes = Shape::new([geometry.batch, geometry.atoms, geometry.pixels()]);
    let counts = B::float_sum_dim(B::float_reshape(indicator::<B>(codes), planes), 2);
    B::float_reshape(counts, Shape::new([geometry.batch, geometry.atoms]))
}

/// 1 where a value is positive, 0 elsewhere, also at NaN.
pub(super) fn indicator<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let mask = B::float_greater_elem(values.clone(), 0.0.into(), bool_dtype::<B>(&values));
    to_float::<B>(mask)
}

/// A mask as ones and zeros.
pub(super) fn to_float<B: Backend>(mask: BoolTensor<B>) -> FloatTensor<B> {
    B::bool_into_float(mask, FloatDType::F32)
}

/// The type that masks have on the device of `tensor`.
pub(super) fn bool_dtype<B: Backend>(tensor: &FloatTensor<B>) -> burn::tensor::BoolDType {
    get_or_init_device_settings::<B>(&tensor.device()).bool_dtype
}

/// The gradients that follow from γ, beside the report of its solves: with `S = Σ γαᵀ`, `∂L/∂x = Dγ` folded back, `∂L/∂D = Σ xγᵀ − D(S + Sᵀ)`,
/// `∂L/∂λ₁ = −Σ γ` and `∂L/∂λ₂ = −trace(S)`.
pub(super) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    codes: FloatTensor<B>,
    gamma: FloatTensor<B>,
    solves: FloatTensor<B>,
    geometry: &ConvGeometry,
) -> Gradients<B> {
    let n = geometry.atoms;
    let planes = Shape::new([geometry.batch, n, geometry.pixels()]);
    let weight_shape = weight.shape();
    let grad_x = fold::<B>(gamma.clone(), weight.clone(), geometry);
    let signal_part = weight_gradient::<B>(x, gamma.clone(), geometry);
    let (codes, gamma) = (B::float_reshape(codes, planes.clone()), B::float_reshape(gamma, planes));
    let products = sum_of_products::<B>(gamma.clone(), codes.clone());
    let products = B::float_add(products.clone(), B::float_transpose(products));
    let atoms = B::float_reshape(weight, Shape::new([n, geometry.patch()]));
    let atoms_part = B::float_reshape(B::float_matmul(products, atoms), weight_shape);
    let grad_weight = B::float_sub(signal_part, atoms_part);

    let grad_lambda2 = B::float_neg(B::float_sum(B::float_mul(codes, gamma.clone())));
    let grad_lambda1 = B::float_sum_dim(B::float_sum_dim(gamma, 2), 0);
    let grad_lambda1 = B::float_neg(B::float_reshape(grad_lambda1, Shape::new([n])));
    (
        grad_x,
        grad_weight,
        grad_lambda1,
        B::float_reshape(grad_lambda2, Shape::new([1])),
        solves,
    )
}

/// `Σ γxᵀ [n, c, k, k]` for `gamma [b, n, h', w']`, the gradient of a convolution's weight and the part of a dictionary's
/// gradient that the signals have: one product with the image, shifted, for each place in the window.
///
/// burn's own gradient of a convolution's weight lets one unit walk the whole batch for each of these few numbers; on
/// Mesa's software adapter it is silently wrong beyond 65,535 steps.
pub(super) fn weight_gradient<B: Backend>(
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
        ..
    } = *geometry;
    if is_empty(geometry) {
        return zeros::<B>([atoms, channels, kernel, kernel], &x.device());
    }
    let gamma = B::float_reshape(gamma, Shape::new([batch, atoms, geometry.pixels()]));
    let pad = (geometry.padding(), geometry.padding());
    let padded = B::float_pad(x, &[(0, 0), (0, 0), pad, pad], PadMode::Constant(0.0));
    let steps = |offset: usize, outputs: usize| {
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
    B::float_reshape(products, Shape::new([atoms, channels, kernel, kernel]))
}

/// `Σ abᵀ [m, n]` over all pixels of `a [b, m, p]` and `b [b, n, p]`: one product an image and their sum, as the sum
/// over all pixels in one product would leave a GPU idle.
fn sum_of_products<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
    let sum = B::float_sum_dim(B::float_matmul(a, B::float_swap_dims(b, 1, 2)), 0);
    let [_, m, n] = sum.shape().dims();
    B::float_reshape(sum, Shape::new([m, n]))
}

pub(super) fn conv_options(geometry: &ConvGeometry) -> ConvOptions<2> {
    ConvOptions::new([geometry.stride; 2], [geometry.padding(); 2], [1, 1], 1)
}

fn zeros<B: Backend>(shape: impl Into<Shape>, device: &Device<B>) -> FloatTensor<B> {
    B::float_zeros(shape.into(), device, FloatDType::F32)
}
