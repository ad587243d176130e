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
