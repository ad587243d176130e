//! Convolutional sparse coding: one code for a whole image instead of one for each patch,
//! `min_c ½‖x − D∗c‖² + λ‖c‖₁ + μ/2·‖c‖²`, by a fixed number of steps of FISTA that gradients pass through (SDNet: Dai et
//! al., arXiv:2210.12945, eq. 4; FISTA: Beck & Teboulle, 2009).

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::{convolve2d, convolve2d_adjoint};

/// What a convolutional sparse-coding layer computes besides its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionalOptions {
    /// Steps of FISTA. One step from 0 is a convolution with a threshold after it.
    pub steps: usize,
    /// The ridge μ.
    pub mu: f64,
    /// Whether codes are non-negative.
    pub non_negative: bool,
    /// Between the places of the codes.
    pub stride: usize,
}

impl Default for ConvolutionalOptions {
    /// Two steps, non-negative, no ridge, a code at every pixel: the published SDNet.
    fn default() -> Self {
        Self {
            steps: 2,
            mu: 0.0,
            non_negative: true,
            stride: 1,
        }
    }
}

/// The codes `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]` of `x [b, c, h, w]` after so many steps of FISTA from 0.
///
/// `weight [n, c, k, k]` holds one atom a row; `lambda`, the weight of the 1-norm, is `[1]` or one value for each image
/// `[b]`; `step_size [1]` is to be below `2/‖D‖²` (see [`dictionary_norm`]). Gradients reach all four. The gradient of
/// every step is taken at the extrapolated point, as FISTA defines it; the published program takes it at the last codes
/// from the third step on, and agrees up to the second.
///
/// # Panics
/// Where the shapes do not form a layer (see [`scn_solver::ConvGeometry::new`]), or λ or the step size have another
/// number of values.
pub fn convolutional_sparse_code2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda: Tensor<1>,
    step_size: Tensor<1>,
    options: ConvolutionalOptions,
) -> Tensor<4> {
    let ([batch, _, height, width], [values]) = (x.dims(), lambda.dims());
    assert!(
        values == 1 || values == batch,
        "lambda has {values} values: {batch} images need 1 or {batch}"
    );
    assert_eq!(
        step_size.dims(),
        [1],
        "shape of step_size (left) is not that of one value"
    );
    let step_size = step_size.reshape([1, 1, 1, 1]);
    let threshold = lambda.reshape([values, 1, 1, 1]) * step_size.clone();
    let shrink = (step_size.clone() * options.mu + 1.0).recip();
    // The proximal operator of step_size·(λ‖·‖₁ + μ/2·‖·‖²).
    let proximal = |codes: Tensor<4>| {
        let above = relu(codes.clone() - threshold.clone());
        let kept = match options.non_negative {
            true => above,
            false => above - relu(-codes - threshold.clone()),
        };
        if options.mu == 0.0 { kept } else { kept * shrink.clone() }
    };
    let ascent = |residual: Tensor<4>| convolve2d(residual, weight.clone(), options.stride) * step_size.clone();

    let mut codes = proximal(ascent(x.clone()));
    let mut previous: Option<Tensor<4>> = None;
    let mut momentum = 1.0f64;
    for _ in 1..options.steps {
        let next = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
        let point = match previous {
            Some(previous) => codes.clone() + (codes.clone() - previous) * ((momentum - 1.0) / next),
            // The second step starts at the first codes: its momentum is 0.
            None => codes.clone(),
        };
        let signal = convolve2d_adjoint(point.clone(), weight.clone(), options.stride, [height, width]);
        let stepped = point + ascent(x.clone() - signal);
        previous = Some(codes);
        codes = proximal(stepped);
        momentum = next;
    }
    codes
}

/// `‖D‖² [1]`, the largest eigenvalue of `DᵀD` for codes like `start [1, n, h', w']` of signals with these `sides`, and
/// the vector that it was found with: the start for the next call, after the dictionary has changed a little. By so many
/// steps of power iteration, which approach it from below; without gradients.
///
/// # Panics
/// Where the shapes do not form a layer whose codes `start` are.
pub fn dictionary_norm(
    weight: Tensor<4>,
    start: Tensor<4>,
    stride: usize,
    sides: [usize; 2],
    iterations: usize,
) -> (Tensor<1>, Tensor<4>) {
    let (weight, mut vector) = (weight.without_autodiff(), start.without_autodiff());
    let signal = |codes: Tensor<4>| convolve2d_adjoint(codes, weight.clone(), stride, sides);
    for _ in 0..iterations {
        let next = convolve2d(signal(vector.clone()), weight.clone(), stride);
        vector = next.clone() / divisor(squared_length(&next).sqrt());
    }
    let norm = squared_length(&signal(vector.clone())) / divisor(squared_length(&vector));
    (norm.reshape([1]), vector)
}

/// `‖values‖² [1, 1, 1, 1]`.
fn squared_length(values: &Tensor<4>) -> Tensor<4> {
    (values.clone() * values.clone()).sum().reshape([1, 1, 1, 1])
}

/// The same, 1 where it is 0.
fn divisor(length: Tensor<4>) -> Tensor<4> {
    let is_zero = length.clone().equal_elem(0.0);
    length.mask_fill(is_zero, 1.0)
}
