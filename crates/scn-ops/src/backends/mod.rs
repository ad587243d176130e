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

use burn::backend::TensorMetadata;
use scn_solver::ConvGeometry;

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
