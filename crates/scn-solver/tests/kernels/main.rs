//! The CPU kernels, at every SIMD level of this processor, against the reference, definitions in f64 and exact answers.

#![allow(clippy::unwrap_used)]

mod backward_systems;
mod batch_independence;
mod batch_norm;
#[path = "../common/mod.rs"]
mod common;
mod convolution;
mod fixtures;
mod lasso;
mod layer;
mod proximal;
mod refusals;
mod scale;
mod sparse_coding;

use common::{relative_error, to_f64};

/// Whether values lie within `tolerance` times the largest of the expected ones.
#[track_caller]
fn assert_close(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f64, |max, value| max.max(value.abs()));
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= tolerance * scale,
            "{name} at {i}: {found}, expected {expected}"
        );
    }
}

/// Whether the error's norm is at most `tolerance` times that of the expected values.
#[track_caller]
fn assert_near(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    let error = relative_error(&to_f64(found), expected);
    assert!(error <= tolerance, "{name}: relative error {error:e} > {tolerance:e}");
}
