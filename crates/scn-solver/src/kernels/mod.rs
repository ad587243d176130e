//! The layers on the CPU: whole batches in f32, one tile of output pixels at a time.
//!
//! A tile's patches are read where they lie, multiplied by the dictionary, solved to convergence and written once; SIMD
//! lanes are pixels, so nothing is transposed and no patch matrix exists. Tasks are groups of whole images whose size
//! depends on the geometry alone, and sums over the batch are taken in a fixed order: results do not depend on the
//! number of threads. Plain convolutions and batch norm run on the same tiles.
//!
//! Modules use those before them in this list only: `simd`, `transpose`, `gather`, `aligned` and `output` (vectors and their
//! memory), `product`, `batch_norm` and `normalization`, `pixels` (how pixels lie) and `solve` (the systems of a tile),
//! `point`, `convolution` of them, `proximal` on it, `lasso` and `sparse_coding`.

mod aligned;
mod batch_norm;
mod convolution;
mod gather;
mod lasso;
mod normalization;
mod output;
mod peak;
mod pixels;
mod point;
mod product;
mod proximal;
mod simd;
mod solve;
mod sparse_coding;
mod transpose;

pub use batch_norm::{moments, normalize, normalize_backward};
pub use convolution::{convolution, convolution_adjoint, convolution_weight_gradient};
pub use lasso::{GROUP, LassoSolution, lasso};
pub use normalization::Normalization;
pub use peak::peak;
pub use point::{Momentum, Point};
pub use proximal::{Thresholds, extrapolated, proximal_ascent, proximal_gate, signal_residual};
pub use simd::SimdLevel;
pub use sparse_coding::{Gradients, Solution, SolveSums, backward, forward, solve_sums};
