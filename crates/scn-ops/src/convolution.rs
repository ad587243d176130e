//! The plain convolution, its adjoint and its gradients, on kernels as good as those of the sparse-coding layer.

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use scn_solver::{ConvGeometry, Placement};

use crate::geometry;

/// A convolution without bias.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait Convolution: Backend {
    /// The output `[b, n, h', w']` of the layer for `x [b, c, h, w]` and `weight [n, c, k, k]`.
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self>;

    /// The adjoint in x: `[b, c, h, w]` of `values [b, n, h', w']`.
    fn convolve2d_adjoint(
        values: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self>;
}

/// What gradients need besides the two operations themselves; not offered for `Autodiff`, so that no double backward is
/// needed.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait ConvolutionVjp: Backend {
    /// The gradient of a weight `[n, c, k, k]`, given `x [b, c, h, w]` and the gradient `[b, n, h', w']` of the output.
    fn convolve2d_weight_gradient(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self>;
}

/// The convolution of `x [b, c, h, w]` with `weight [n, c, k, k]`: `[b, n, h', w']` with
/// `h' = ⌊(h + 2·padding − dilation·(k − 1) − 1)/stride⌋ + 1`. A `placement` that is a number is a stride with padding
/// `k / 2` for odd k, which gives `h' = ⌈h/stride⌉`.
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]): where the image with its padding is smaller than the
/// dilated window, say.
pub fn convolve2d(x: Tensor<4>, weight: Tensor<4>, placement: impl Into<Placement>) -> Tensor<4> {
    let geometry = geometry::of_input(&x, &weight, placement.into());
    Tensor::from_dispatch(Dispatch::convolve2d(
        x.into_dispatch(),
        weight.into_dispatch(),
        geometry,
    ))
}

/// The adjoint of [`convolve2d`] in x: with atoms `weight [n, c, k, k]` and codes `[b, n, h', w']`, the signal
/// `D∗c [b, c, h, w]` of `sides = [h, w]`. With a stride several sides have codes of the same shape, so that they are to be
/// given; pixels that no window reaches are 0.
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]) whose output the codes are.
pub fn convolve2d_adjoint(
    codes: Tensor<4>,
    weight: Tensor<4>,
    placement: impl Into<Placement>,
    sides: [usize; 2],
) -> Tensor<4> {
    let geometry = geometry::of_codes(&codes, &weight, placement.into(), sides);
    Tensor::from_dispatch(Dispatch::convolve2d_adjoint(
        codes.into_dispatch(),
        weight.into_dispatch(),
        geometry,
    ))
}
