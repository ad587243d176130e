//! One file or folder per backend; a new backend is one here and one selector at each operation.

#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod autodiff;
#[cfg(feature = "wgpu")]
mod cube;
mod flex;
#[cfg(any(feature = "wgpu", feature = "ndarray"))]
mod generic;
#[cfg(feature = "ndarray")]
mod ndarray;

#[cfg(feature = "wgpu")]
pub(crate) use cube::limits_of;
