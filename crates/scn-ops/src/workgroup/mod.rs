//! How a GPU's workgroup solves a tile of pixels, and how fast it can at most: arithmetic alone, which asks no device and
//! is compiled without one.

mod bound;
mod plan;

pub use bound::{A100, GpuFigures, Limit, WgpuBound, wgpu_bound};
pub use plan::{ATOMS_PER_UNIT, DeviceLimits, PIXELS_PER_UNIT, TilePlan};
