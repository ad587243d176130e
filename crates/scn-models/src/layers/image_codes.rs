//! What layers report that code whole images by steps of their own.

use burn::tensor::Tensor;

use super::{active_codes, relative_residual};
use crate::{CodingReport, ImageCodes};

/// Images of a batch whose codes are reported: the residual takes two convolutions.
const REPORTED: usize = 1;

/// The images of `values [b, n, h, w]` whose codes are reported, without gradients.
pub(crate) fn reported(values: &Tensor<4>) -> Tensor<4> {
    let count = REPORTED.min(values.dims()[0]);
    values.clone().without_autodiff().slice_dim(0, 0..count)
}

/// The report of [`reported`] codes `[s, n, h, w]` after so many steps, given what one more makes of them.
pub(crate) fn report_step(codes: Tensor<4>, next: Tensor<4>, steps: usize) -> CodingReport {
    let [_, _, height, width] = codes.dims();
    CodingReport::Images(ImageCodes {
        steps: Some(steps),
        active: active_codes(&codes),
        residual: relative_residual(codes, next),
        pixels: height * width,
    })
}
