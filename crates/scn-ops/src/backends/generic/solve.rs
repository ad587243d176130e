//! The sparse-coding layer in plain tensor operations, for any backend: all pixels of the batch are the columns of
//! `b = Dᵀx − λ₁ [n, N]` and advance together, until the worst of them has reached the tolerance.
//!
//! Coordinate descent, `αⱼ ← max(0, αⱼ + rⱼ/Qⱼⱼ)` with `r = b − Qα`, updates one row of all codes at a time and
//! corrects `r` by the rank-1 product `Q·ⱼ δⱼ`; FISTA is whole-matrix arithmetic (Sun, Nasrabadi & Tran,
//! arXiv:1701.08349, appendix A). One number a sweep is read back to decide whether to stop.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use scn_solver::{BackwardOptions, ConvGeometry, ForwardOptions, Method, SolverOptions};

use super::convolution;
use super::layer::{self, Gradients, Solution};
use super::matrix::Matrix;
use crate::backends::solves_shape;

/// The forward solve of every pixel; see [`crate::SparseCoding::sparse_code2d`].
pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    lambda1: FloatTensor<B>,
    geometry: ConvGeometry,
    options: SolverOptions,
) -> Solution<B> {
    if layer::is_empty(&geometry) {
        return layer::empty_solution::<B>(&geometry, &x.device());
    }
    let quadratic = Quadratic::<B>::new(Matrix(layer::quadratic::<B>(weight.clone(), options.lambda2)));
    let lambda1 = Matrix::<B>(B::float_reshape(lambda1, Shape::new([geometry.atoms, 1])));
    // A negative one is refused like one that is not a number.
    let negative = lambda1.clone().scale(-1.0).is_positive();
    let lambda1 = lambda1.fill_where(&negative, f64::NAN);
    let b = Matrix::<B>::from_planes(convolution::convolve::<B>(x, weight, &geometry)) - lambda1;

    let broken = b.columns_with_nan_or_infinity();
    let b = b.fill_where(&broken, 0.0);
    let units = b.column_units();
    let (codes, iterations, residual) = quadratic.solve(&(b / units.clone()), &options.forward);
    let iterations = broken.is_zero().scale(iterations as f64);
    let codes = (codes * units).fill_where(&broken, f64::NAN).into_planes(&geometry);
    let residual = residual.fill_where(&broken, f64::NAN);

    let solves = report(iterations, residual, &geometry);
    let active = layer::active_counts::<B>(codes.clone(), &geometry);
    (codes, solves, active)
}

/// The implicit gradient; see [`crate::SparseCodingVjp::sparse_code2d_vjp`].
pub(crate) fn backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    codes: FloatTensor<B>,
    grad_codes: FloatTensor<B>,
    geometry: ConvGeometry,
    options: SolverOptions,
) -> Gradients<B> {
    if layer::is_empty(&geometry) {
        return layer::empty_gradients::<B>(&x, &weight, &geometry);
    }
    let quadratic = Matrix::<B>(layer::quadratic::<B>(weight.clone(), options.lambda2));
    let mask = Matrix::<B>::from_planes(codes.clone()).is_positive();
    let right_side = Matrix::<B>::from_planes(grad_codes).fill_where(&mask.is_zero(), 0.0);
    let broken = right_side.columns_with_nan_or_infinity();
    let right_side = right_side.fill_where(&broken, 0.0);
    let units = right_side.column_units();
    let right_side = right_side / units.clone();
    let (gamma, iterations, residual) = masked_gauss_seidel(&quadratic, &mask, &right_side, &options.backward);
    let iterations = broken.is_zero().scale(iterations as f64);
    let solves = report(iterations, residual.fill_where(&broken, f64::NAN), &geometry);
    let gamma = (gamma * units)
        .fill_where(&(mask * broken), f64::NAN)
        .into_planes(&geometry);
    layer::gradients::<B>(x, weight, codes, gamma, solves, &geometry)
}

/// Iterations and residuals `[1, N]` as `[b, 2, h', w']`.
fn report<B: Backend>(iterations: Matrix<B>, residual: Matrix<B>, geometry: &ConvGeometry) -> FloatTensor<B> {
    let [batch, _, height, width] = solves_shape(geometry);
    let plane = |row: Matrix<B>| B::float_reshape(row.0, Shape::new([batch, 1, height, width]));
    B::float_cat(vec![plane(iterations), plane(residual)], 1)
}

/// `Q` and what the solvers need of it.
struct Quadratic<B: Backend> {
    matrix: Matrix<B>,
    columns: Vec<Matrix<B>>,
    /// `1/Qⱼⱼ`, or 0 where `Qⱼⱼ = 0`, which keeps that atom's code 0.
    inverse_diagonal: Vec<Matrix<B>>,
    /// `1/L`, or 1 for `Q = 0`.
    step: Matrix<B>,
}

impl<B: Backend> Quadratic<B> {
    fn new(matrix: Matrix<B>) -> Self {
        let columns = matrix.columns();
        let inverse_diagonal = matrix.diagonal().inverse_or(0.0).into_rows();
        let step = matrix.largest_eigenvalue().inverse_or(1.0);
        Self {
            matrix,
            columns,
            inverse_diagonal,
            step,
        }
    }

    /// Codes `[n, N]` of the problems `b [n, N]`, the iterations of all and ρ of each `[1, N]`.
    fn solve(&self, b: &Matrix<B>, options: &ForwardOptions) -> (Matrix<B>, usize, Matrix<B>) {
        match options.method {
            Method::CoordinateDescent => self.coordinate_descent(b, options),
            Method::Fista => self.fista(b, options, false),
            Method::FistaRestart => self.fista(b, options, true),
        }
    }

    fn coordinate_descent(&self, b: &Matrix<B>, options: &ForwardOptions) -> (Matrix<B>, usize, Matrix<B>) {
        let mut codes = b.zeros_like();
        let mut product = b.zeros_like();
        let mut residual = self.natural_residual(b, &codes, &product);
        let mut iterations = 0;
        while iterations < options.max_iterations && residual.largest() > options.tolerance {
            let mut descent = b.clone() - product;
            let mut rows = Vec::with_capacity(codes.rows());
            for j in 0..codes.rows() {
                let code = codes.row(j);
                let updated = (code.clone() + descent.row(j) * self.inverse_diagonal[j].clone()).positive_part();
                descent = descent - self.columns[j].clone() * (updated.clone() - code);
                rows.push(updated);
            }
            codes = Matrix::stack(rows);
            // A fresh product: the certificate must not carry the rounding of the updates.
            product = self.matrix.product(&codes);
            residual = self.natural_residual(b, &codes, &product);
            iterations += 1;
        }
        (codes, iterations, residual)
    }

    fn fista(&self, b: &Matrix<B>, options: &ForwardOptions, gradient_restart: bool) -> (Matrix<B>, usize, Matrix<B>) {
        let (mut codes, mut product) = (b.zeros_like(), b.zeros_like());
        let (mut gamma, mut gamma_product) = (b.zeros_like(), b.zeros_like());
        let mut residual = self.natural_residual(b, &codes, &product);
        let mut s = residual.zeros_like().shift(1.0);
        let mut iterations = 0;
        while iterations < options.max_iterations && residual.largest() > options.tolerance {
            let descent = (b.clone() - gamma_product) * self.step.clone();
            let next = (gamma.clone() + descent).positive_part();
            let next_product = self.matrix.product(&next);
            let mut s_next = ((s.clone() * s.clone()).scale(4.0).shift(1.0).square_root())
                .shift(1.0)
                .scale(0.5);
            let mut momentum = s.shift(-1.0) / s_next.clone();
            let change = next.clone() - codes;
            if gradient_restart {
                let onwards = ((gamma - next.clone()) * change.clone())
                    .column_sums()
                    .is_positive()
                    .is_zero();
                momentum = momentum * onwards.clone();
                s_next = s_next.shift(-1.0) * onwards;
                s_next = s_next.shift(1.0);
            }
            // Q is linear, so that Qγ⁺ follows from Qα⁺ and Qα without another product.
            gamma_product = next_product.clone() + momentum.clone() * (next_product.clone() - product);
            gamma = next.clone() + momentum * change;
            (codes, product, s) = (next, next_product, s_next);
            residual = self.natural_residual(b, &codes, &product);
            iterations += 1;
        }
        (codes, iterations, residual)
    }

    /// `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖ [1, N]`; for `α = 0` it is 0 where that is the optimum, else infinite.
    fn natural_residual(&self, b: &Matrix<B>, codes: &Matrix<B>, product: &Matrix<B>) -> Matrix<B> {
        // α − max(0, α − ∇/L) = min(α, ∇/L), here without the cancellation.
        let step = (product.clone() - b.clone()) * self.step.clone();
        let gap = step.minimum(codes).column_norms();
        let size = codes.column_norms();
        let ratio = (gap.clone() / size.clone()).fill_where(&size.is_zero(), f64::INFINITY);
        ratio.fill_where(&gap.is_zero(), 0.0)
    }
}

/// Solves `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ`, `γ = 0` elsewhere, for all columns of `g [n, N]` by Gauss–Seidel sweeps. Returns γ,
/// the sweeps of all and the relative residual of each `[1, N]`.
fn masked_gauss_seidel<B: Backend>(
    quadratic: &Matrix<B>,
    mask: &Matrix<B>,
    right_side: &Matrix<B>,
    options: &BackwardOptions,
) -> (Matrix<B>, usize, Matrix<B>) {
    let n = right_side.rows();
    let ridge = Matrix(layer::identity::<B>(n, &right_side.0.device())).scale(options.ridge);
    let system = quadratic.clone() + ridge;
    let columns = system.columns();
    let inverse_diagonal = system.diagonal().inverse_or(0.0).into_rows();
    let masks = mask.clone().into_rows();
    let size = right_side.column_norms();
    let bound = size.scale(options.tolerance);
    let mut gamma = right_side.zeros_like();
    let mut residual = right_side.clone();
    let mut iterations = 0;
    while iterations < options.max_iterations && (residual.column_norms() - bound.clone()).largest() > 0.0 {
        let mut rows = Vec::with_capacity(n);
        for j in 0..n {
            let change = residual.row(j) * masks[j].clone() * inverse_diagonal[j].clone();
            rows.push(gamma.row(j) + change.clone());
            residual = residual - columns[j].clone() * change;
        }
        gamma = Matrix::stack(rows);
        residual = (right_side.clone() - system.product(&gamma)) * mask.clone();
        iterations += 1;
    }
    // Without a right-hand side there is no residual either.
    let relative = residual.column_norms() / (size.clone() + size.is_zero());
    (gamma, iterations, relative)
}
