//! Errors of the solver crate.

/// Why a problem was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SolverError {
    /// Shapes that do not form a sparse-coding layer.
    #[error("x {x:?}, weight {weight:?} and stride {stride} do not form a sparse-coding layer: {reason}")]
    Geometry {
        /// Shape of the input `[b, c, h, w]`.
        x: [usize; 4],
        /// Shape of the dictionary `[n, c, k, k]`.
        weight: [usize; 4],
        /// Stride.
        stride: usize,
        /// What is wrong.
        reason: &'static str,
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
    /// λ₁, λ₂ or the ridge below zero.
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
