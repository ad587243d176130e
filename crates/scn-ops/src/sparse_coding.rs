//! The convolutional sparse-coding layer `x ↦ argmin_{α ≥ 0} ½‖x_p − Dα‖² + λ₁ᵀα + ½λ₂‖α‖²` at every output
//! pixel `p` (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1), differentiated implicitly at its solution.

// The macro of burn's extensions reads the types of tensors one by one and knows no alias.
#![allow(clippy::type_complexity)]

use std::sync::{Arc, OnceLock};

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use scn_solver::{ConvGeometry, Placement, SolverOptions};

use crate::geometry;

/// The forward solve; `Autodiff` routes tracked tensors to the implicit gradient.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait SparseCoding: Backend {
    /// Codes `[b, n, h', w']`, iterations and residual ρ of every pixel `[b, 2, h', w']`, and the number of pixels
    /// at which each atom is active `[b, n]`, of `(x − mean)·scale` for `x [b, c, h, w]`, `mean [c]` and `scale [c]`,
    /// `weight [n, c, k, k]` and `lambda1 [n]`. `Autodiff` leaves what the solves of the backward pass report in
    /// `backward`.
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        geometry: ConvGeometry,
        options: SolverOptions,
        statistics: Statistics,
        backward: BackwardReport,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// The vector-Jacobian product, and what else no gradient passes through; not offered for `Autodiff`, so that no double
/// backward is needed.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait SparseCodingVjp: Backend {
    /// Gradients of `x`, `weight`, `lambda1 [n]` and λ₂ `[1]`, given the codes and the gradient that reaches them, and
    /// the price and relative residual of every pixel's system `[b, 2, h', w']`. The gradient of x is empty where it is
    /// not wanted.
    fn sparse_code2d_vjp(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad_codes: FloatTensor<Self>,
        geometry: ConvGeometry,
        options: SolverOptions,
        statistics: Statistics,
        wants_x: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// The sums `[4]` of [`solve_sums`].
    fn solve_sums(solves: FloatTensor<Self>, max_iterations: usize, tolerance: f64) -> FloatTensor<Self>;
}

/// Where the mean and the scale of a normalisation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// They are given, and constant for gradients.
    Given,
    /// They are those of the batch, so that gradients reach the input through them too.
    Batch,
}

/// A batch normalisation without learned scale and shift (Ioffe & Szegedy, arXiv:1502.03167): channel `i` becomes
/// `(x − mean[i])/√(variance[i] + ε)`.
#[derive(Clone, Debug)]
pub struct Normalization {
    /// `[c]`, without autodiff.
    pub mean: Tensor<1>,
    /// `[c]`, without autodiff; biased.
    pub variance: Tensor<1>,
    /// ε.
    pub epsilon: f64,
    /// Whether mean and variance are those of the batch.
    pub statistics: Statistics,
}

/// What the solves of one call report. The tensors stay on the device and carry no gradient.
#[derive(Clone, Debug)]
pub struct SolverInfo {
    /// `[b, 2, h', w']`: iterations (channel 0) and relative natural residual ρ (channel 1) of every pixel's solve.
    pub solves: Tensor<4>,
    /// `[b, n]`: at how many pixels of each image an atom is active.
    pub active: Tensor<2>,
    /// What the backward pass through these solves reports, once it was made.
    pub backward: BackwardReport,
    /// What the solves were asked for.
    pub options: SolverOptions,
}

/// Sums over the solves `[b, 2, h', w']` of a call, on the device and without autodiff, `[4]`: iterations, residuals, the
/// largest residual, and how many ended at their cap, with a residual above the tolerance. Forward and backward solves are
/// summed alike, with their own options; solves that are not finite made no iterations.
pub fn solve_sums(solves: Tensor<4>, max_iterations: usize, tolerance: f64) -> Tensor<1> {
    let solves = match solves.device().is_autodiff() {
        true => solves.without_autodiff(),
        false => solves,
    };
    Tensor::from_dispatch(Dispatch::solve_sums(solves.into_dispatch(), max_iterations, tolerance))
}

/// What the backward pass through one call reports. It is made with the call, and filled by the backward pass.
#[derive(Clone, Debug, Default)]
pub struct BackwardReport(Arc<OnceLock<Tensor<4>>>);

impl BackwardReport {
    /// `[b, 2, h', w']`, on the device and without autodiff: of every pixel's system `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ` its price
    /// (channel 0) and the relative residual `‖g_Λ − (Q_ΛΛ + ridge·I) γ_Λ‖/‖g_Λ‖` that was reached (channel 1). The price
    /// is the number of sweeps; where the CPU kernels factorised the system it is 0, and 1 where they refined the
    /// solution.
    ///
    /// [`solve_sums`] counts the solves that ended at their cap.
    ///
    /// `None` before the first backward pass, and where none reaches the codes. Later passes do not change it.
    pub fn get(&self) -> Option<Tensor<4>> {
        self.0.get().cloned()
    }

    pub(crate) fn fill(&self, solves: Tensor<4>) {
        // A graph that is gone through again solves the same systems for other gradients; the first pass is reported.
        self.0.get_or_init(|| solves);
    }
}

/// Gradients of a scalar loss with respect to everything a sparse-coding layer's solution depends on.
#[derive(Clone, Debug)]
pub struct SparseCodingGradients {
    /// `[b, c, h, w]`.
    pub x: Tensor<4>,
    /// `[n, c, k, k]`.
    pub weight: Tensor<4>,
    /// `[n]`; where λ₁ is one scalar its gradient is the sum.
    pub lambda1: Tensor<1>,
    /// `[1]`.
    pub lambda2: Tensor<1>,
    /// `[b, 2, h', w']`: price and residual of every pixel's system, as [`BackwardReport::get`] says.
    pub solves: Tensor<4>,
}

/// Replaces the `k×k` patch of `x [b, c, h, w]` around every output pixel by its non-negative sparse code.
///
/// `weight [n, c, k, k]` holds one atom a row, `lambda1` is `[1]` or `[n]`; a `placement` that is a number is a stride with
/// padding `k / 2`. Returns the codes `[b, n, h', w']`, of the sides of [`crate::convolve2d`], and what the solves report.
/// Gradients reach `x`, `weight` and `lambda1` by implicit differentiation of the optimality conditions. NaN or infinity in
/// a patch gives NaN codes at its pixel after 0 iterations; in the dictionary, its Gram matrix or λ₁ it gives NaN codes at
/// all of them, and so does a negative λ₁.
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]), `lambda1` has neither 1 nor `n` values, or
/// [`SolverOptions::validate`] refuses the options.
pub fn sparse_code2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda1: Tensor<1>,
    placement: impl Into<Placement>,
    options: SolverOptions,
) -> (Tensor<4>, SolverInfo) {
    let identity = identity(&x);
    solve(
        x,
        identity,
        Statistics::Given,
        weight,
        lambda1,
        placement.into(),
        options,
    )
}

/// [`sparse_code2d`] of a normalised input, which is normalised as it is read where the backend can do so.
///
/// # Panics
/// As [`sparse_code2d`], and where the statistics are not one value for each channel.
pub fn normalized_sparse_code2d(
    x: Tensor<4>,
    normalization: Normalization,
    weight: Tensor<4>,
    lambda1: Tensor<1>,
    placement: impl Into<Placement>,
    options: SolverOptions,
) -> (Tensor<4>, SolverInfo) {
    let Normalization {
        mean,
        variance,
        epsilon,
        statistics,
    } = normalization;
    let channels = x.dims()[1];
    assert_eq!(
        [mean.dims()[0], variance.dims()[0]],
        [channels; 2],
        "values of mean and variance (left) are not one for each channel (right)"
    );
    let scale = (variance + epsilon).sqrt().recip();
    solve(x, (mean, scale), statistics, weight, lambda1, placement.into(), options)
}

fn solve(
    x: Tensor<4>,
    (mean, scale): (Tensor<1>, Tensor<1>),
    statistics: Statistics,
    weight: Tensor<4>,
    lambda1: Tensor<1>,
    placement: Placement,
    options: SolverOptions,
) -> (Tensor<4>, SolverInfo) {
    let geometry = geometry::of_input(&x, &weight, placement);
    let [values] = lambda1.dims();
    assert!(
        values == 1 || values == geometry.atoms,
        "lambda1 has {values} values: a layer of {} atoms needs 1 or {}",
        geometry.atoms,
        geometry.atoms
    );
    check(&options);
    let lambda1 = lambda1.expand([geometry.atoms]);
    let (mean, scale) = match x.device().is_autodiff() {
        true => (Tensor::from_inner(mean), Tensor::from_inner(scale)),
        false => (mean, scale),
    };
    let backward = BackwardReport::default();
    let (codes, solves, active) = Dispatch::sparse_code2d(
        x.into_dispatch(),
        mean.into_dispatch(),
        scale.into_dispatch(),
        weight.into_dispatch(),
        lambda1.into_dispatch(),
        geometry,
        options,
        statistics,
        backward.clone(),
    );
    let info = SolverInfo {
        solves: Tensor::from_dispatch(solves),
        active: Tensor::from_dispatch(active),
        backward,
        options,
    };
    (Tensor::from_dispatch(codes), info)
}

/// Mean 0 and scale 1, without autodiff.
fn identity(x: &Tensor<4>) -> (Tensor<1>, Tensor<1>) {
    let (channels, device) = (x.dims()[1], x.device().inner());
    (Tensor::zeros([channels], &device), Tensor::ones([channels], &device))
}

/// The vector-Jacobian product of [`sparse_code2d`] for `grad_codes [b, n, h', w']`, on tensors without autodiff.
///
/// # Panics
/// Where the shapes do not form a layer, or [`SolverOptions::validate`] refuses the options.
pub fn sparse_code2d_vjp(
    x: Tensor<4>,
    weight: Tensor<4>,
    codes: Tensor<4>,
    grad_codes: Tensor<4>,
    placement: impl Into<Placement>,
    options: SolverOptions,
) -> SparseCodingGradients {
    let geometry = geometry::of_input(&x, &weight, placement.into());
    geometry::check_codes("codes", &codes, &geometry);
    geometry::check_codes("grad_codes", &grad_codes, &geometry);
    check(&options);
    let (mean, scale) = identity(&x);
    let (x, weight, lambda1, lambda2, solves) = Dispatch::sparse_code2d_vjp(
        x.into_dispatch(),
        mean.into_dispatch(),
        scale.into_dispatch(),
        weight.into_dispatch(),
        codes.into_dispatch(),
        grad_codes.into_dispatch(),
        geometry,
        options,
        Statistics::Given,
        true,
    );
    SparseCodingGradients {
        x: Tensor::from_dispatch(x),
        weight: Tensor::from_dispatch(weight),
        lambda1: Tensor::from_dispatch(lambda1),
        lambda2: Tensor::from_dispatch(lambda2),
        solves: Tensor::from_dispatch(solves),
    }
}

fn check(options: &SolverOptions) {
    if let Err(error) = options.validate() {
        panic!("options of a sparse-coding layer: {error}");
    }
}
