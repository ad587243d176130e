//! The layers that families share.

mod batch_norm;
mod classifier;
mod codes;
mod convolution;
mod image_codes;
pub mod mixed_scale;
pub mod residual;
mod sparse_coding;
pub(crate) mod step_size;
mod threshold;

pub use batch_norm::BatchNorm;
pub use classifier::Classifier;
pub(crate) use codes::{active_codes, relative_residual};
pub use convolution::Convolution;
pub(crate) use image_codes::{report_step, reported};
pub use sparse_coding::{Lambda1Config, SolverConfig, SolverMethod, SparseCoding2d};
pub(crate) use sparse_coding::{gram, patch_residual};
pub use step_size::NormStep;
pub use threshold::Threshold;
pub(crate) use threshold::batch_norm_doc;

use burn::tensor::Tensor;
use scn_ops::Placement;
use scn_solver::ConvGeometry;

/// Largest side of the windows that a key can ask for.
pub(crate) const MAX_KERNEL: usize = 31;

/// How many windows of side `kernel` lie over an input of `sides = [h, w]`, down and across; `None` where none fits.
pub(crate) fn windows(
    kernel: usize,
    placement: impl Into<Placement>,
    [height, width]: [usize; 2],
) -> Option<[usize; 2]> {
    let geometry = ConvGeometry::new([1, 1, height, width], [1, 1, kernel, kernel], placement).ok()?;
    let [_, _, rows, columns] = geometry.codes_shape();
    Some([rows, columns])
}

/// The output `[n, h', w']` of filters `[n, c, k, k]` on an input `[c, h, w]`.
///
/// # Panics
/// Where they form no layer: see [`crate::Family::misfit`].
pub(crate) fn output_shape(weight: [usize; 4], placement: Placement, [_, height, width]: [usize; 3]) -> [usize; 3] {
    let [filters, _, kernel, _] = weight;
    match windows(kernel, placement, [height, width]) {
        Some([rows, columns]) => [filters, rows, columns],
        None => panic!("no window of side {kernel} at {placement} fits into {height}×{width}"),
    }
}

/// The mean over each image of `values [b, c, h, w]`: `[b]`.
pub(crate) fn image_means(values: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = values.dims();
    let rows: Tensor<2> = values.reshape([batch, channels * height * width]);
    rows.mean_dim(1).reshape([batch])
}
