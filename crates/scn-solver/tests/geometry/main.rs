//! Windows of any side, stride, padding and dilation: sizes, convolutions and sparse codes against definitions in f64 that
//! know nothing of the library's arithmetic.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod convolution;
mod definition;
mod sizes;
mod sparse_coding;
