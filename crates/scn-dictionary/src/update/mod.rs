//! How a dictionary is made from what was seen of signals and their codes.

mod block_coordinate_descent;
mod procrustes;
mod surrogate;

pub(crate) use block_coordinate_descent::block_coordinate_descent;
pub use procrustes::nearest_orthogonal;
pub(crate) use procrustes::procrustes;
pub(crate) use surrogate::{Surrogate, kept};
