//! The mathematics of a sparse-coding layer on plain slices: the non-negative elastic net, its optimality
//! certificate, its solvers and its implicit gradient.
//!
//! It is written twice. [`mod@reference`] follows the definitions, one problem after the other, in `f32` or `f64`;
//! [`kernels`] are what a CPU trains with: whole batches in `f32`, SIMD lanes across pixels. Both take the same
//! [`ConvGeometry`] and [`SolverOptions`], and tests hold the second against the first.

mod error;
mod geometry;
pub mod kernels;
mod options;
pub mod profile;
pub mod reference;
mod validation;

pub use error::SolverError;
pub use geometry::{ConvGeometry, Padding, Placement};
pub use kernels::SimdLevel;
pub use options::{BackwardOptions, ForwardOptions, Method, SolveInfo, SolverOptions};
