//! The sparse-coding layer on the CPU: whole batches in f32, one tile of output pixels at a time.
//!
//! A tile's patches are gathered into `[m][pixels]` scratch, multiplied by the dictionary, solved to convergence and
//! written once; SIMD lanes are pixels, so nothing is transposed and no patch matrix exists. Tasks are groups of
//! whole images whose size depends on the geometry alone, and sums over the batch are taken in a fixed order:
//! results do not depend on the number of threads.

mod aligned;
mod backward;
mod fista;
mod forward;
mod gauss_seidel;
mod layout;
mod operator;
mod peak;
mod product;
mod simd;
mod stopping;

pub use backward::{Gradients, backward};
pub use forward::{Solution, forward};
pub use peak::peak;
pub use simd::SimdLevel;
