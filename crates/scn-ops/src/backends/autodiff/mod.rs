//! Records each operation as one of the autodiff graph, whose backward pass is its vector-Jacobian product.

mod batch_norm;
mod convolution;
mod implicit_code;
mod proximal;
mod sparse_coding;

pub(super) use implicit_code::without_gradients;
