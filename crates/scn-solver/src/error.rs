//! Errors of the solver crate.

use crate::Placement;

/// Why a problem was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SolverError {
    /// Shapes that do not form a sparse-coding layer.
    #[error("x {x:?}, weight {weight:?} and {placement} do not form a sparse-coding layer: {reason}")]
    Geometry {
        /// Shape of the input `[b, c, h, w]`.
        x: [usize; 4],
        /// Shape of the dictionary `[n, c, k, k]`.
        weight: [usize; 4],
        /// Stride, padding and dilation.
        placement: Placement,
        /// What is wrong.
        reason: &'static str,
    },
    /// A window that does not fit into the image with its padding.
    #[error(
        "x {x:?}, weight {weight:?} and {placement} do not form a sparse-coding layer: the window spans {span} rows and \
         columns, more than the image has with its padding: take a smaller window or dilation, or a padding of at least \
         {needed}"
    )]
    WindowTooLarge {
        /// Shape of the input `[b, c, h, w]`.
        x: [usize; 4],
        /// Shape of the dictionary `[n, c, k, k]`.
        weight: [usize; 4],
        /// Stride, padding and dilation.
        placement: Placement,
        /// Rows and columns that the window spans.
        span: usize,
        /// The smallest padding with which it would fit.
        needed: usize,
    },
    /// A value that is NaN or infinite; it is reported instead of iterated on.
    #[error("{name}[{index}] is {value}: the elastic net needs finite numbers")]
    NotFinite {
        /// Which argument.
        name: &'static str,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f64,
    },
    /// λ₁, λ₂, the ridge, a tolerance or a code below zero.
    #[error("{name}[{index}] is {value}: it must be at least 0")]
    Negative {
        /// Which argument.
        name: &'static str,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f64,
    },
}
