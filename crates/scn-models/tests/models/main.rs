//! Tests of the model crate, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod batch_norm;
mod coding;
mod common;
mod definition;
mod differences;
mod gradients;
mod initialization;
mod mdeq;
mod mixed_scale;
mod ml_csc;
mod orthonormal;
mod parameters;
mod plan;
mod preactivation;
mod res_csc;
mod residual;
mod roles;
mod sc_cnn;
mod sdnet;
mod shapes;
mod sparsity;
mod step_gradients;
mod tables;
