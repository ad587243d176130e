//! The sparse-coding layer on the CPU: whole batches in f32, one tile of output pixels at a time.
//!
//! A tile's patches are read where they lie, multiplied by the dictionary, solved to convergence and written once; SIMD
//! lanes are pixels, so nothing is transposed and no patch matrix exists. Tasks are groups of whole images whose size
//! depends on the geometry alone, and sums over the batch are taken in a fixed order: results do not depend on the
//! number of threads. Plain convolutions and batch norm run on the same tiles.

mod adjoint;
mod aligned;
mod backward;
mod batch_norm;
mod cholesky;
mod convolution;
mod fista;
mod forward;
mod gauss_seidel;
mod layout;
mod normalization;
mod peak;
mod planes;
mod product;
mod quadratic;
mod simd;
mod stopping;
mod weight_gradient;

pub use backward::{Gradients, backward};
pub use batch_norm::{moments, normalize, normalize_backward};
pub use convolution::{convolution, convolution_adjoint, convolution_weight_gradient};
pub use forward::{Solution, forward};
pub use normalization::Normalization;
pub use peak::peak;
pub use simd::SimdLevel;
