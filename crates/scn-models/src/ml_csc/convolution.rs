//! The plain convolutions between the deepest codes and the classifier.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use scn_ops::{Padding, Placement, convolve2d};

use crate::initialization::Initializer;
use crate::{Group, LayerSummary, Role, Roles};

/// A convolution with bias, ReLU and max pooling.
#[derive(Module, Debug)]
pub struct PooledConvolution {
    /// `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[n]`.
    pub bias: Param<Tensor<1>>,
    padding: usize,
    /// Side of the windows that the largest value is kept of; 1: none.
    pooling: usize,
}

impl PooledConvolution {
    /// Of `[filters, kernel, padding, pooling]`; weights N(0, 1/m) with m inputs of a filter and biases 0, as in the authors'
    /// program.
    pub(super) fn new(
        channels: usize,
        [filters, kernel, padding, pooling]: [usize; 4],
        init: &mut Initializer,
    ) -> Self {
        let inputs = channels * kernel * kernel;
        Self {
            weight: init.normal([filters, channels, kernel, kernel], (inputs as f64).sqrt().recip()),
            bias: init.constant([filters], 0.0),
            padding,
            pooling,
        }
    }

    /// `[b, c, h, w]` to `[b, n, h', w']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let placement = Placement {
            stride: 1,
            padding: Padding::Zeros(self.padding),
            dilation: 1,
        };
        let filtered = convolve2d(x, self.weight.val(), placement);
        let activated = relu(filtered + self.bias.val().reshape([1, -1, 1, 1]));
        match self.pooling {
            1 => activated,
            side => max_pool2d(activated, MaxPoolOptions::new([side, side]).with_stride([side, side])),
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        let group = Group::Bias;
        roles.set(&self.bias, Role { group, ..Role::WEIGHT });
    }

    /// With `output [n, h', w']` behind the pooling, of inputs `[c, h, w]`.
    pub(super) fn summary(&self, name: &str, [_, height, width]: [usize; 3], output: [usize; 3]) -> LayerSummary {
        let [filters, channels, kernel, _] = self.weight.val().dims();
        let weights = filters * channels * kernel * kernel;
        let places = |side: usize| side + 2 * self.padding + 1 - kernel;
        let pooled = match self.pooling {
            1 => String::new(),
            side => format!(", max pooling {side}×{side}"),
        };
        LayerSummary {
            name: name.into(),
            kind: format!("convolution {kernel}×{kernel}{pooled}"),
            output,
            parameters: weights + filters,
            convolution: (weights * places(height) * places(width)) as u64,
            solver_iteration: 0,
        }
    }
}
