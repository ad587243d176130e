//! The differentiable tensor operations of sparse coding, and the only crate that names a backend.

mod backends;
mod device;
// burn deprecates the NdArray backend; here it stays for as long as burn carries it.
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod sparse_coding;
mod tile_plan;
mod wgpu_bound;

pub use device::{DeviceError, DeviceRequest, adapter_available, describe, open, workgroup_limits};
pub use sparse_coding::{
    SolverInfo, SparseCoding, SparseCodingGradients, SparseCodingVjp, sparse_code2d, sparse_code2d_vjp,
};
pub use tile_plan::{ATOMS_PER_UNIT, DeviceLimits, PIXELS_PER_UNIT, TilePlan};
pub use wgpu_bound::{A100, GpuFigures, Limit, WgpuBound, wgpu_bound};
