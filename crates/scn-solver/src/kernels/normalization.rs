//! A batch normalisation without learned scale and shift, folded into reading a layer's input.

use rayon::prelude::*;

use super::batch_norm::ChannelSums;
use super::simd::SimdLevel;
use crate::ConvGeometry;

/// What a layer's input is normalised by: channel `i` becomes `(x − mean[i])·scale[i]`.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// `[c]`.
    pub mean: &'a [f32],
    /// `[c]`: `1/√(variance + ε)`.
    pub scale: &'a [f32],
    /// Whether mean and scale are those of the batch, so that gradients reach the input through them too.
    pub of_batch: bool,
}

impl Normalization<'_> {
    /// # Panics
    /// Where there is not one mean and one scale for each input channel.
    pub(super) fn check(&self, geometry: &ConvGeometry) {
        assert_eq!(
            [self.mean.len(), self.scale.len()],
            [geometry.channels; 2],
            "values of mean and scale (left) are not one for each channel (right)"
        );
    }

    /// Turns the gradient of the normalised input into that of `x [b, c, h, w]`; `sums` are those of the former.
    pub(super) fn pass_back(
        &self,
        sums: &ChannelSums,
        grad: &mut [f32],
        x: &[f32],
        geometry: &ConvGeometry,
        level: SimdLevel,
    ) {
        let pixels = geometry.height * geometry.width;
        if self.of_batch {
            sums.center(grad, x, pixels, self.mean, self.scale, self.scale, level);
            return;
        }
        grad.par_chunks_mut(pixels).enumerate().for_each(|(plane, grad)| {
            let scale = self.scale[plane % self.scale.len()];
            grad.iter_mut().for_each(|value| *value *= scale);
        });
    }
}
