//! What surrounds the solves on every tensor backend: `Q = DᵀD + λ₂I`, and the gradients that follow from the solution γ
//! of the implicit system (Sun, Nasrabadi & Tran, arXiv:1701.08349, eqs. 11, 13 and 17). No patch matrix is ever formed:
//! `Dᵀx` of all pixels is one convolution.

use burn::backend::tensor::{BoolTensor, Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{FloatDType, Shape, Slice};
use scn_solver::ConvGeometry;

use super::convolution;
use crate::backends::solves_shape;

/// Codes, solves and active counts, as [`crate::SparseCoding::sparse_code2d`] returns them.
pub(crate) type Solution<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Gradients of x, weight, λ₁ and λ₂, and solves, as [`crate::SparseCodingVjp::sparse_code2d_vjp`] returns them.
pub(crate) type Gradients<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Steps of the power iteration for `L = λ_max(Q)`. A starting vector that holds 1/n of its energy along the largest
/// eigenvector reaches `n^(-1/64)·λ_max` at least (0.92 at n = 256), and FISTA is stable down to 3/4.
pub(crate) const POWER_ITERATIONS: u32 = 32;

/// What the estimate of `L` is multiplied by, as power iteration approaches λ_max from below.
pub(crate) const LIPSCHITZ_MARGIN: f32 = 1.01;

/// Component `j` of the power iteration's start: irregular and positive, so that no structured eigenvector is
/// orthogonal to it (multiples of the golden ratio modulo 1).
pub(crate) fn power_start(j: usize) -> f32 {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    (0.5 + ((j + 1) as f64 * GOLDEN_RATIO).fract()) as f32
}

/// Whether there is nothing to solve: no images, no pixels or no atoms.
pub(crate) fn is_empty(geometry: &ConvGeometry) -> bool {
    geometry.codes_shape().contains(&0)
}

/// The solution of a layer that [`is_empty`].
pub(crate) fn empty_solution<B: Backend>(geometry: &ConvGeometry, device: &Device<B>) -> Solution<B> {
    (
        zeros::<B>(geometry.codes_shape(), device),
        zeros::<B>(solves_shape(geometry), device),
        zeros::<B>([geometry.batch, geometry.atoms], device),
    )
}

/// The gradients of a layer that [`is_empty`].
pub(crate) fn empty_gradients<B: Backend>(
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
pub(crate) fn nothing<B: Backend>(device: &Device<B>) -> FloatTensor<B> {
    zeros::<B>([0, 0, 0, 0], device)
}

/// `Q = DᵀD + λ₂I [n, n]` of `weight [n, c, k, k]`.
pub(crate) fn quadratic<B: Backend>(weight: FloatTensor<B>, lambda2: f64) -> FloatTensor<B> {
    let [n, channels, height, width] = weight.shape().dims();
    let atoms = B::float_reshape(weight, Shape::new([n, channels * height * width]));
    let gram = B::float_matmul(atoms.clone(), B::float_transpose(atoms));
    if lambda2 == 0.0 {
        return gram;
    }
    let ridge = B::float_mul_scalar(identity::<B>(n, &gram.device()), lambda2.into());
    B::float_add(gram, ridge)
}

/// `I [n, n]`, made on the device: ones followed by rows of n zeros, reread in rows of n, lie on the diagonal.
pub(crate) fn identity<B: Backend>(n: usize, device: &Device<B>) -> FloatTensor<B> {
    let ones = B::float_ones(Shape::new([n, 1]), device, FloatDType::F32);
    let padded = B::float_cat(vec![ones, zeros::<B>([n, n], device)], 1);
    let flat = B::float_reshape(padded, Shape::new([n * (n + 1)]));
    B::float_reshape(B::float_slice(flat, &[Slice::from(0..n * n)]), Shape::new([n, n]))
}

/// At how many pixels of each image an atom is active `[b, n]`.
pub(crate) fn active_counts<B: Backend>(codes: FloatTensor<B>, geometry: &ConvGeometry) -> FloatTensor<B> {
    let planes = Shape::new([geometry.batch, geometry.atoms, geometry.pixels()]);
    let counts = B::float_sum_dim(B::float_reshape(indicator::<B>(codes), planes), 2);
    B::float_reshape(counts, Shape::new([geometry.batch, geometry.atoms]))
}

/// Sums over solves `[b, 2, h', w']`, `[4]`: iterations, residuals, the largest residual, and how many ended at their cap.
pub(crate) fn solve_sums<B: Backend>(solves: FloatTensor<B>, max_iterations: usize, tolerance: f64) -> FloatTensor<B> {
    let [batch, _, height, width] = solves.shape().dims();
    let places = batch * height * width;
    if places == 0 {
        return zeros::<B>([4], &solves.device());
    }
    let dtype = bool_dtype::<B>(&solves);
    let of_kind = |kind: usize| {
        let values = B::float_slice(solves.clone(), &[Slice::full(), Slice::from(kind..kind + 1)]);
        B::float_reshape(values, Shape::new([places]))
    };
    let (iterations, residuals) = (of_kind(0), of_kind(1));
    let spent = B::float_greater_equal_elem(iterations.clone(), (max_iterations as f64).into(), dtype);
    let missed = B::float_greater_elem(residuals.clone(), tolerance.into(), dtype);
    let capped = B::float_sum(to_float::<B>(B::bool_and(spent, missed)));
    let sums = vec![
        B::float_sum(iterations),
        B::float_sum(residuals.clone()),
        B::float_max(residuals),
        capped,
    ];
    B::float_cat(sums, 0)
}

/// 1 where a value is positive, 0 elsewhere, also at NaN.
pub(crate) fn indicator<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let mask = B::float_greater_elem(values.clone(), 0.0.into(), bool_dtype::<B>(&values));
    to_float::<B>(mask)
}

/// A mask as ones and zeros.
pub(crate) fn to_float<B: Backend>(mask: BoolTensor<B>) -> FloatTensor<B> {
    B::bool_into_float(mask, FloatDType::F32)
}

/// The type that masks have on the device of `tensor`.
pub(crate) fn bool_dtype<B: Backend>(tensor: &FloatTensor<B>) -> burn::tensor::BoolDType {
    get_or_init_device_settings::<B>(&tensor.device()).bool_dtype
}

/// The gradients that follow from γ, beside the report of its solves: with `S = Σ γαᵀ`, `∂L/∂x = Dγ` folded back, `∂L/∂D = Σ xγᵀ − D(S + Sᵀ)`,
/// `∂L/∂λ₁ = −Σ γ` and `∂L/∂λ₂ = −trace(S)`.
pub(crate) fn gradients<B: Backend>(
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
    let grad_x = convolution::adjoint::<B>(gamma.clone(), weight.clone(), geometry);
    let signal_part = convolution::weight_gradient::<B>(x, gamma.clone(), geometry);
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

/// `Σ abᵀ [m, n]` over all pixels of `a [b, m, p]` and `b [b, n, p]`: one product an image and their sum, as the sum
/// over all pixels in one product would leave a GPU idle.
pub(super) fn sum_of_products<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
    let sum = B::float_sum_dim(B::float_matmul(a, B::float_swap_dims(b, 1, 2)), 0);
    let [_, m, n] = sum.shape().dims();
    B::float_reshape(sum, Shape::new([m, n]))
}

pub(super) fn zeros<B: Backend>(shape: impl Into<Shape>, device: &Device<B>) -> FloatTensor<B> {
    B::float_zeros(shape.into(), device, FloatDType::F32)
}
