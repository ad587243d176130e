//! The plain convolution of the baselines.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::convolve2d;

use crate::LayerSummary;
use crate::initialization::Initializer;

/// `[b, c, h, w]` to `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]` with zero padding `k / 2` and no bias.
#[derive(Module, Debug)]
pub struct Convolution {
    /// `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    stride: usize,
}

impl Convolution {
    /// Normal weights with variance `2 / (k²·n)` (He et al., arXiv:1502.01852, fan-out).
    pub(crate) fn new(channels: usize, filters: usize, kernel: usize, stride: usize, init: &mut Initializer) -> Self {
        let deviation = (2.0 / (kernel * kernel * filters) as f64).sqrt();
        Self {
            weight: init.normal([filters, channels, kernel, kernel], deviation),
            stride,
        }
    }

    /// `[b, c, h, w]` to `[b, n, h', w']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        convolve2d(x, self.weight.val(), self.stride)
    }

    /// Step between output pixels.
    pub fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn summary(&self, name: &str, [_, height, width]: [usize; 3]) -> LayerSummary {
        let [filters, channels, kernel, _] = self.weight.val().dims();
        let output = [filters, height.div_ceil(self.stride), width.div_ceil(self.stride)];
        let parameters = filters * channels * kernel * kernel;
        LayerSummary {
            name: name.into(),
            kind: format!("convolution {kernel}×{kernel}, stride {}", self.stride),
            output,
            parameters,
            convolution: (parameters * output[1] * output[2]) as u64,
            solver_iteration: 0,
        }
    }
}
