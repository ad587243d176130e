//! Convolutions with weight normalisation (Salimans & Kingma, arXiv:1602.07868): `w = g·v/‖v‖` for each filter.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::convolve2d;

use crate::initialization::Initializer;

/// Deviation of the initial weights, as in the authors' program.
const DEVIATION: f64 = 0.01;

/// `[b, c, h, w]` to `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]` with zero padding `k / 2` and no bias.
#[derive(Module, Debug)]
pub struct NormedConvolution {
    /// v `[n, c, k, k]`.
    pub direction: Param<Tensor<4>>,
    /// g `[n]`.
    pub length: Param<Tensor<1>>,
    stride: usize,
}

impl NormedConvolution {
    pub(super) fn new(channels: usize, filters: usize, kernel: usize, stride: usize, init: &mut Initializer) -> Self {
        let values = channels * kernel * kernel;
        Self {
            direction: init.normal([filters, channels, kernel, kernel], DEVIATION),
            // What ‖v‖ is in the mean square.
            length: init.constant([filters], DEVIATION * (values as f64).sqrt()),
            stride,
        }
    }

    /// The weight that both make, once for all iterations of a forward pass.
    pub(super) fn ready(&self) -> Ready {
        let direction = self.direction.val();
        let [filters, channels, kernel, _] = direction.dims();
        let rows: Tensor<2> = direction.clone().reshape([filters, channels * kernel * kernel]);
        let norms = rows.powi_scalar(2).sum_dim(1).clamp_min(1e-24).sqrt();
        let scale = self.length.val().reshape([filters, 1, 1, 1]) / norms.reshape([filters, 1, 1, 1]);
        Ready {
            weight: direction * scale,
            stride: self.stride,
        }
    }

    /// Values of the weight.
    pub(super) fn weights(&self) -> usize {
        self.direction.val().dims().iter().product()
    }
}

/// A convolution whose weight is made.
#[derive(Clone, Debug)]
pub struct Ready {
    weight: Tensor<4>,
    stride: usize,
}

impl Ready {
    /// `[b, c, h, w]` to `[b, n, h', w']`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        convolve2d(x, self.weight.clone(), self.stride)
    }
}
