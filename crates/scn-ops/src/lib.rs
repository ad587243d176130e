//! The differentiable tensor operations of sparse coding, and the only crate that names a backend.

mod backends;
// burn deprecates the NdArray backend; here it stays for as long as burn carries it.
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod batch_norm;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod convolution;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod convolutional_sparse_coding;
mod device;
mod geometry;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod proximal;
mod proximal_gradient;
mod proximal_step;
#[cfg_attr(feature = "ndarray", allow(deprecated))]
mod sparse_coding;
mod workgroup;

pub use batch_norm::{BatchNorm, BatchNormVjp, channel_moments, normalize, normalize_batch};
pub use convolution::{Convolution, ConvolutionVjp, convolve2d, convolve2d_adjoint};
pub use convolutional_sparse_coding::{
    Convergence, ConvolutionalOptions, ImplicitCode, converged_convolutional_sparse_code2d,
    convolutional_sparse_code2d, dictionary_norm,
};
pub use device::{DeviceError, DeviceRequest, adapter_available, describe, has_tile_kernels, open, workgroup_limits};
pub use proximal::{Accelerated, Proximal, ProximalVjp, proximal_ascent};
pub use proximal_gradient::{Acceleration, Point, proximal_gradient};
pub use proximal_step::{ProximalOptions, ProximalStep, soft_threshold};
/// Where the windows of a layer lie.
pub use scn_solver::{Padding, Placement};
pub use sparse_coding::{
    BackwardReport, Normalization, SolverInfo, SparseCoding, SparseCodingGradients, SparseCodingVjp, Statistics,
    normalized_sparse_code2d, solve_sums, sparse_code2d, sparse_code2d_vjp,
};
pub use workgroup::{
    A100, ATOMS_PER_UNIT, DeviceLimits, GpuFigures, Limit, PIXELS_PER_UNIT, TilePlan, WgpuBound, wgpu_bound,
};
