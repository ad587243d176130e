//! One file per backend; a new backend is one file here and one selector in `sparse_coding.rs`.

mod autodiff;
#[cfg(feature = "wgpu")]
mod cube;
mod flex;
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
fn geometry_of(x: &impl TensorMetadata, weight: &impl TensorMetadata, stride: usize) -> ConvGeometry {
    match ConvGeometry::new(x.shape().dims(), weight.shape().dims(), stride) {
        Ok(geometry) => geometry,
        Err(error) => panic!("{error}"),
    }
}
