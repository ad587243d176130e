//! What a step of the proximal gradient method consists of: with a dictionary D, codes γ of a signal x and the size t of a
//! step, the residual `r = x − D∗γ` and the next codes `S(γ + t·Dᵀr)`. Each is one convolution and nothing more on the CPU.

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use scn_solver::{ConvGeometry, Placement};

use crate::geometry;

/// The two halves of a step, and the point that FISTA takes it from, for gradients.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait Proximal: Backend {
    /// `S(γ + t·Dᵀr) [b, n, h', w']` of `residual [b, c, h, w]`, `codes [b, n, h', w']`, or none `[0, n, h', w']`, `weight
    /// [n, c, k, k]`, the size t `[1]` of the step and `threshold [1 or b, 1 or n]`.
    fn proximal_ascent(
        residual: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        step_size: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        geometry: ConvGeometry,
        non_negative: bool,
    ) -> FloatTensor<Self>;

    /// `x − D∗γ [b, c, h, w]`.
    fn signal_residual(
        x: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self>;

    /// `γ + factor·(γ − previous)`.
    fn extrapolate(codes: FloatTensor<Self>, previous: FloatTensor<Self>, factor: f64) -> FloatTensor<Self>;
}

/// A step of FISTA that nothing passes back through: its point is formed where it is read, and not written.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait Accelerated: Backend {
    /// `S(γ + t·Dᵀ(x − D∗γ))` at `γ = codes + factor·(codes − previous)`: see [`Proximal::proximal_ascent`].
    fn accelerated_step(
        x: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        previous: FloatTensor<Self>,
        factor: f64,
        weight: FloatTensor<Self>,
        step_size: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        geometry: ConvGeometry,
        non_negative: bool,
    ) -> FloatTensor<Self>;
}

/// What gradients need besides convolutions.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait ProximalVjp: Backend {
    /// A gradient `[b, n, h', w']` where `codes` are not 0, and the sums `[b, n]` over the pixels of it times their signs.
    fn proximal_gate(grad: FloatTensor<Self>, codes: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// `S(γ + t·Dᵀr) [b, n, h', w']` of `residual [b, c, h, w]`, `codes [b, n, h', w']`, `weight [n, c, k, k]` and the size t `[1]` of
/// the step, or without codes `S(t·Dᵀr)`, with the threshold `[1 or b, 1 or n]` and the signs of [`crate::soft_threshold`].
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]) or the codes and the threshold are not its.
pub fn proximal_ascent(
    residual: Tensor<4>,
    codes: Option<Tensor<4>>,
    weight: Tensor<4>,
    step_size: Tensor<1>,
    threshold: Tensor<2>,
    placement: Placement,
    non_negative: bool,
) -> Tensor<4> {
    let geometry = geometry::of_input(&residual, &weight, placement);
    check_threshold(&threshold, &geometry);
    let shape @ [_, atoms, height, width] = geometry.codes_shape();
    let codes = codes.unwrap_or_else(|| Tensor::empty([0, atoms, height, width], &residual.device()));
    let dims = codes.dims();
    assert!(dims[0] == 0 || dims == shape, "codes {dims:?} of a layer of {shape:?}");
    Tensor::from_dispatch(Dispatch::proximal_ascent(
        residual.into_dispatch(),
        codes.into_dispatch(),
        weight.into_dispatch(),
        step_size.into_dispatch(),
        threshold.into_dispatch(),
        geometry,
        non_negative,
    ))
}

/// The step of [`Accelerated::accelerated_step`] from codes `[b, n, h', w']` with the codes before them and the factor.
///
/// # Panics
/// As [`proximal_ascent`], where the codes before have another shape, and where a tensor is one of autodiff.
pub(crate) fn accelerated_step(
    x: Tensor<4>,
    codes: Tensor<4>,
    (previous, factor): (Tensor<4>, f64),
    weight: Tensor<4>,
    step_size: Tensor<1>,
    threshold: Tensor<2>,
    placement: Placement,
    non_negative: bool,
) -> Tensor<4> {
    let geometry = geometry::of_input(&x, &weight, placement);
    check_threshold(&threshold, &geometry);
    check_codes(&codes, &geometry);
    check_codes(&previous, &geometry);
    Tensor::from_dispatch(Dispatch::accelerated_step(
        x.into_dispatch(),
        codes.into_dispatch(),
        previous.into_dispatch(),
        factor,
        weight.into_dispatch(),
        step_size.into_dispatch(),
        threshold.into_dispatch(),
        geometry,
        non_negative,
    ))
}

/// # Panics
/// Where they are not those of the layer.
fn check_codes(codes: &Tensor<4>, geometry: &ConvGeometry) {
    assert_eq!(
        codes.dims(),
        geometry.codes_shape(),
        "codes (left) are not those of the layer (right)"
    );
}

/// # Panics
/// Where it is not `[1 or b, 1 or n]`.
fn check_threshold(threshold: &Tensor<2>, geometry: &ConvGeometry) {
    let ([rows, columns], [batch, atoms, ..]) = (threshold.dims(), geometry.codes_shape());
    assert!(
        (rows == 1 || rows == batch) && (columns == 1 || columns == atoms),
        "a threshold [{rows}, {columns}]: {batch} images with {atoms} atoms need [1 or {batch}, 1 or {atoms}]"
    );
}

/// `x − D∗γ`: see [`Proximal::signal_residual`].
///
/// # Panics
/// Where the shapes do not form a layer whose codes these are.
pub(crate) fn signal_residual(x: Tensor<4>, codes: Tensor<4>, weight: Tensor<4>, placement: Placement) -> Tensor<4> {
    let geometry = geometry::of_input(&x, &weight, placement);
    check_codes(&codes, &geometry);
    Tensor::from_dispatch(Dispatch::signal_residual(
        x.into_dispatch(),
        codes.into_dispatch(),
        weight.into_dispatch(),
        geometry,
    ))
}

/// `γ + factor·(γ − previous)`.
pub(crate) fn extrapolate(codes: Tensor<4>, previous: Tensor<4>, factor: f64) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::extrapolate(
        codes.into_dispatch(),
        previous.into_dispatch(),
        factor,
    ))
}
