//! The sparse-coding layer: the codes of every output pixel, and their implicit gradient.

mod backward;
mod forward;
mod solve_sums;

pub use backward::{Gradients, backward};
pub use forward::{Solution, forward};
pub use solve_sums::{SolveSums, solve_sums};
