//! The differentiable tensor operations of sparse coding, and the only crate that names a backend.

mod backends;
// burn deprecates the NdArray backend; here it stays for as long as burn carries it.
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod batch_norm;
mod device;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod sparse_coding;

pub use batch_norm::{BatchNormalization, NormalizedBatch, normalize_batch};
pub use device::{DeviceError, DeviceRequest, adapter_available, describe, has_tile_kernels, open};
pub use sparse_coding::{
    SolverInfo, SparseCoding, SparseCodingGradients, SparseCodingVjp, sparse_code2d, sparse_code2d_vjp,
};
