//! The definitions, one problem after the other, generic over `f32` and `f64`: what the kernels are compared with.

mod coordinate_descent;
mod elastic_net;
mod fista;
mod implicit;
mod layer;
mod scalar;
mod scratch;
mod solve;
mod vector;

pub use elastic_net::Dictionary;
pub use implicit::{ImplicitGradients, implicit_gradients};
pub use layer::{Gradients, Solution, backward, forward};
pub use scalar::Scalar;
pub use scratch::Scratch;
pub use solve::solve;
