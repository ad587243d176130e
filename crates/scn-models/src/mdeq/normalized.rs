//! What stem and head are made of.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Convolution};
use crate::{LayerSummary, Pass, Roles};

const EPSILON: f64 = 1e-5;

/// A convolution and a batch norm.
#[derive(Module, Debug)]
pub struct Normalized {
    /// The convolution.
    pub conv: Convolution,
    /// Behind it.
    pub norm: BatchNorm,
}

impl Normalized {
    /// Filters `[filters, channels, kernel, kernel]`, zero padding `kernel / 2` and no bias.
    pub(super) fn new(channels: usize, filters: usize, kernel: usize, stride: usize, init: &mut Initializer) -> Self {
        Self {
            conv: Convolution::new(channels, filters, kernel, stride, init),
            norm: BatchNorm::new(filters, true, EPSILON, init),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x), pass)
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        self.norm.roles(roles);
    }

    pub(super) fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        let mut summary = self.conv.summary(name, input);
        summary.parameters += self.norm.parameters();
        summary
    }
}
