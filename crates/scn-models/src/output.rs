//! What a forward pass returns.

use burn::tensor::Tensor;
use scn_ops::SolverInfo;

/// Logits and what the solves of the sparse-coding layers report.
pub struct Output {
    /// `[b, classes]`.
    pub logits: Tensor<2>,
    /// One per sparse-coding layer, in order; empty for other models.
    pub solves: Vec<LayerSolves>,
}

/// The report of one sparse-coding layer.
pub struct LayerSolves {
    /// Iterations, residuals and activity.
    pub info: SolverInfo,
    /// Output pixels of an image.
    pub pixels: usize,
}
