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

    /// The adjoint in x: `[b, c, h, w]` of `values [b, n, h', w']`, for `sides = [h, w]`.
    fn convolve2d_adjoint(
        values: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: usize,
        sides: [usize; 2],
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
        stride: usize,
        kernel: usize,
    ) -> FloatTensor<Self>;
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

/// The adjoint of [`convolve2d`] in x: with atoms `weight [n, c, k, k]` and codes `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]`, the
/// signal `D∗c [b, c, h, w]` of `sides = [h, w]`.
///
/// # Panics
/// Where the shapes do not form a layer (see [`ConvGeometry::new`]) whose output the codes are.
pub fn convolve2d_adjoint(codes: Tensor<4>, weight: Tensor<4>, stride: usize, sides: [usize; 2]) -> Tensor<4> {
    let [batch, ..] = codes.dims();
    let [_, channels, _, _] = weight.dims();
    match ConvGeometry::new([batch, channels, sides[0], sides[1]], weight.dims(), stride) {
        Ok(geometry) => assert_eq!(
            codes.dims(),
            geometry.codes_shape(),
            "shape of codes (left) is not that of the layer (right)"
        ),
        Err(error) => panic!("{error}"),
    }
    Tensor::from_dispatch(Dispatch::convolve2d_adjoint(
        codes.into_dispatch(),
        weight.into_dispatch(),
        stride,
        sides,
    ))
}
