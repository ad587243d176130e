//! Convolutional sparse coding: one code for a whole image instead of one for each patch,
//! `min_c ½‖x − D∗c‖² + λ‖c‖₁ + μ/2·‖c‖²`, by a fixed number of steps of FISTA that gradients pass through (SDNet: Dai et
//! al., arXiv:2210.12945, eq. 4; FISTA: Beck & Teboulle, 2009).

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use scn_solver::{ConvGeometry, Placement};

use crate::proximal_gradient::{Acceleration, Point, momentum, proximal_gradient};
use crate::{ProximalOptions, ProximalStep, convolve2d, convolve2d_adjoint, geometry};

/// What a convolutional sparse-coding layer computes besides its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionalOptions {
    /// Steps of FISTA. One step from 0 is a convolution with a threshold after it.
    pub steps: usize,
    /// The ridge μ.
    pub mu: f64,
    /// Whether codes are non-negative.
    pub non_negative: bool,
    /// Where the places of the codes lie.
    pub placement: Placement,
}

impl Default for ConvolutionalOptions {
    /// Two steps, non-negative, no ridge, a code at every pixel: the published SDNet.
    fn default() -> Self {
        Self {
            steps: 2,
            mu: 0.0,
            non_negative: true,
            placement: Placement::same(1),
        }
    }
}

/// The codes `[b, n, h', w']`, of the sides of [`convolve2d`], of `x [b, c, h, w]` after so many steps of FISTA from 0.
///
/// `weight [n, c, k, k]` holds one atom a row; `lambda`, the weight of the 1-norm, has one row or one for each image, of
/// one value or one for each atom: `[1 or b, 1 or n]`; `step_size [1]` is to be below `2/‖D‖²` (see [`dictionary_norm`]).
/// Gradients reach all four. The gradient of every step is taken at the extrapolated point, as FISTA defines it; the
/// published program takes it at the last codes from the third step on, and agrees up to the second.
///
/// # Panics
/// Where the shapes do not form a layer (see [`scn_solver::ConvGeometry::new`]), or λ or the step size have another
/// number of values.
pub fn convolutional_sparse_code2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda: Tensor<2>,
    step_size: Tensor<1>,
    options: ConvolutionalOptions,
) -> Tensor<4> {
    let step = step(weight, lambda, step_size, options);
    let iterations = options.steps.saturating_sub(1);
    proximal_gradient(step.first(x.clone()), iterations, Acceleration::Nesterov, |point| {
        step.step(x.clone(), point)
    })
}

/// The step of a layer whose threshold follows from λ and the step size.
fn step(weight: Tensor<4>, lambda: Tensor<2>, step_size: Tensor<1>, options: ConvolutionalOptions) -> ProximalStep {
    let threshold = lambda * step_size.clone().reshape([1, 1]);
    let ConvolutionalOptions {
        mu,
        non_negative,
        placement,
        ..
    } = options;
    let options = ProximalOptions {
        mu,
        non_negative,
        placement,
    };
    ProximalStep::new(weight, threshold, step_size, options)
}

/// How far a solution is to be approached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convergence {
    /// Forward, FISTA stops where a step from the extrapolated point is at most this times the length of the first step, in
    /// every image; backward, conjugate gradients at this relative residual.
    pub tolerance: f64,
    /// The cap on either.
    pub max_iterations: usize,
}

/// The gradient of a convolutional sparse code at the solution of its problem.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait ImplicitCode: Backend {
    /// The solution `codes [b, n, h', w']` as they are; `Autodiff` routes tracked tensors to the implicit gradient of `x
    /// [b, c, h, w]`, `weight [n, c, k, k]` and `lambda [1 or b, 1 or n]`.
    fn implicit_code2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        geometry: ConvGeometry,
        mu: f64,
        convergence: Convergence,
    ) -> FloatTensor<Self>;
}

/// The codes of [`convolutional_sparse_code2d`] after as many steps as `convergence` asks for, whatever `options.steps` says.
/// Gradients reach `x`, `weight` and `lambda` by implicit differentiation of the optimality conditions; the step size has
/// none.
///
/// # Panics
/// As [`convolutional_sparse_code2d`].
pub fn converged_convolutional_sparse_code2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda: Tensor<2>,
    step_size: Tensor<1>,
    options: ConvolutionalOptions,
    convergence: Convergence,
) -> Tensor<4> {
    let geometry = geometry::of_input(&x, &weight, options.placement);
    let values = x.clone().without_autodiff();
    let step = step(
        weight.clone().without_autodiff(),
        lambda.clone().without_autodiff(),
        step_size.without_autodiff(),
        options,
    );
    let codes = converge(&step, &values, convergence);
    let codes = match x.device().is_autodiff() {
        true => Tensor::from_inner(codes),
        false => codes,
    };
    Tensor::from_dispatch(Dispatch::implicit_code2d(
        x.into_dispatch(),
        weight.into_dispatch(),
        lambda.into_dispatch(),
        codes.into_dispatch(),
        geometry,
        options.mu,
        convergence,
    ))
}

/// The codes after steps of FISTA from 0 until they are short enough.
fn converge(step: &ProximalStep, x: &Tensor<4>, convergence: Convergence) -> Tensor<4> {
    let first = step.ascent(x.clone());
    let length = divisor(squared_lengths(first.clone()));
    let mut codes = step.proximal(first);
    let mut previous = codes.clone();
    for factor in momentum(Acceleration::Nesterov).take(convergence.max_iterations.saturating_sub(1)) {
        let point = Point::beyond(codes.clone(), previous, factor).values();
        previous = codes;
        codes = step.step(x.clone(), point.clone());
        let moved = squared_lengths(codes.clone() - point) / length.clone();
        let largest = moved.max().into_data().iter::<f64>().next().unwrap_or_default();
        // Not a number where the images hold one: no step will help.
        if largest.is_nan() || largest <= convergence.tolerance.powi(2) {
            break;
        }
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
    placement: impl Into<Placement>,
    sides: [usize; 2],
    iterations: usize,
) -> (Tensor<1>, Tensor<4>) {
    let placement = placement.into();
    let (weight, mut vector) = (weight.without_autodiff(), start.without_autodiff());
    let signal = |codes: Tensor<4>| convolve2d_adjoint(codes, weight.clone(), placement, sides);
    for _ in 0..iterations {
        let next = convolve2d(signal(vector.clone()), weight.clone(), placement);
        vector = next.clone() / divisor(squared_length(&next).sqrt());
    }
    let norm = squared_length(&signal(vector.clone())) / divisor(squared_length(&vector));
    (norm.reshape([1]), vector)
}

/// The squared length of each image of `values [b, n, h, w]`: `[b, 1, 1, 1]`.
fn squared_lengths(values: Tensor<4>) -> Tensor<4> {
    let [batch, atoms, height, width] = values.dims();
    let rows: Tensor<2> = values.powi_scalar(2).reshape([batch, atoms * height * width]);
    rows.sum_dim(1).reshape([batch, 1, 1, 1])
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
