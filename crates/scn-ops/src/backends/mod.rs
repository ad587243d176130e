//! One file per backend; a new backend is one file here and one selector in `sparse_coding.rs`.

mod autodiff;
#[cfg(feature = "wgpu")]
mod cube;
mod flex;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod implicit_code;
#[cfg(any(feature = "wgpu", feature = "ndarray"))]
mod layer;
#[cfg(any(feature = "wgpu", feature = "ndarray"))]
mod module_ops;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(any(feature = "wgpu", feature = "ndarray"))]
mod tensor_ops;

#[cfg(feature = "wgpu")]
pub(crate) use cube::limits_of;

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, TensorMetadata,
};
use burn::tensor::Tensor;
use scn_solver::ConvGeometry;

/// A backend whose primitives become tensors of the program: what a backward pass reports leaves it outside the graph.
trait ToTensor: Backend {
    /// The backend's place among those that a tensor dispatches to.
    fn kind(tensor: BackendTensor<Self>) -> DispatchTensorKind;

    /// A tensor without autodiff.
    fn to_tensor<const D: usize>(tensor: FloatTensor<Self>) -> Tensor<D> {
        Tensor::from_dispatch(DispatchTensor {
            kind: Self::kind(BackendTensor::Float(tensor)),
            autodiff: DispatchAutodiffContext::Disabled,
        })
    }
}

/// The shape `[b, 2, h', w']` of what the solves of a layer report: iterations and residuals.
fn solves_shape(geometry: &ConvGeometry) -> [usize; 4] {
    [geometry.batch, 2, geometry.output_height(), geometry.output_width()]
}

/// The geometry of primitives whose shapes the public functions have checked.
fn checked(x: [usize; 4], weight: [usize; 4], stride: usize) -> ConvGeometry {
    match ConvGeometry::new(x, weight, stride) {
        Ok(geometry) => geometry,
        Err(error) => panic!("{error}"),
    }
}

/// Of a layer's input and weight.
fn geometry_of(x: &impl TensorMetadata, weight: &impl TensorMetadata, stride: usize) -> ConvGeometry {
    checked(x.shape().dims(), weight.shape().dims(), stride)
}

/// Of a layer's output and weight, for an input with these `sides`.
fn adjoint_geometry(
    output: &impl TensorMetadata,
    weight: &impl TensorMetadata,
    stride: usize,
    [height, width]: [usize; 2],
) -> ConvGeometry {
    let ([batch, ..], weight) = (output.shape().dims::<4>(), weight.shape().dims());
    checked([batch, weight[1], height, width], weight, stride)
}

/// Of a layer's input and output, for a window of this side.
fn weight_geometry(
    x: &impl TensorMetadata,
    output: &impl TensorMetadata,
    stride: usize,
    kernel: usize,
) -> ConvGeometry {
    let (x, [_, atoms, ..]) = (x.shape().dims::<4>(), output.shape().dims::<4>());
    checked(x, [atoms, x[1], kernel, kernel], stride)
}
