//! The mathematics of a sparse-coding layer on plain slices: the non-negative elastic net, its optimality
//! certificate, its solvers and its implicit gradient.

mod conv;
mod coordinate_descent;
mod elastic_net;
mod error;
mod fista;
mod geometry;
mod implicit;
mod options;
pub mod profile;
mod scalar;
mod scratch;
mod solve;
pub mod tile;
mod validation;
mod vector;

pub use conv::{ConvGradients, ConvSolution, conv_backward, conv_forward};
pub use elastic_net::Dictionary;
pub use error::SolverError;
pub use geometry::ConvGeometry;
pub use implicit::{ImplicitGradients, implicit_gradients};
pub use options::{BackwardOptions, ForwardOptions, Method, SolveInfo, SolverOptions};
pub use scalar::Scalar;
pub use scratch::Scratch;
pub use solve::solve;
pub use tile::SimdLevel;
