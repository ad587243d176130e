//! The sparse-coding layer: the codes of every output pixel, and their implicit gradient.

mod backward;
mod forward;

pub use backward::{Gradients, backward};
pub use forward::{Solution, forward};
