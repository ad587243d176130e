//! Tests of the model crate, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod batch_norm;
mod coding;
mod common;
mod definition;
mod gradients;
mod initialization;
mod mixed_scale;
mod parameters;
mod preactivation;
mod res_csc;
mod residual;
mod roles;
mod sdnet;
mod shapes;
mod sparsity;
mod step_gradients;
mod tables;
