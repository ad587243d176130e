//! The operations in plain tensor operations, for every backend that has none of its own.

mod by_burn;
pub(super) mod convolution;
pub(super) mod layer;
mod matrix;
pub(super) mod normalization;
pub(super) mod proximal;
pub(super) mod solve;

pub(super) use by_burn::by_burn;
