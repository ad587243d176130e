//! The plain convolution of the baselines, on kernels as good as those of the sparse-coding layer.

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use scn_solver::ConvGeometry;

/// A convolution with zero padding `k / 2` and no bias.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff,
)]
pub trait Convolution: Backend {
    /// `[b, n, h', w']` of `x [b, c, h, w]` and `weight [n, c, k, k]`.
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;
}

/// The vector-Jacobian product; not offered for `Autodiff`, so that no double backward is needed.
#[backend_extension(
    Flex,
    Cube: cfg(feature = "wgpu"),
    NdArray: cfg(feature = "ndarray"),
)]
pub trait ConvolutionVjp: Backend {
    /// Gradients of `x`, empty where it is not wanted, and `weight`, given that of the output.
    fn convolve2d_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        stride: usize,
        wants_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The convolution of `x [b, c, h, w]` with `weight [n, c, k, k]`: `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]`, zero padding `k / 2`.
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]).
pub fn convolve2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    if let Err(error) = ConvGeometry::new(x.dims(), weight.dims(), stride) {
        panic!("{error}");
    }
    Tensor::from_dispatch(Dispatch::convolve2d(x.into_dispatch(), weight.into_dispatch(), stride))
}
