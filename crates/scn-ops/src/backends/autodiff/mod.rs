//! Records each operation as one of the autodiff graph, whose backward pass is its vector-Jacobian product; of a
//! solve that is the implicit gradient.

mod implicit_code;
mod sparse_coding;
