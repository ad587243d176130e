//! Tests of the model crate, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod batch_norm;
mod common;
mod gradients;
mod initialization;
mod parameters;
mod preactivation;
mod residual;
mod sdnet;
mod shapes;
mod sparsity;
