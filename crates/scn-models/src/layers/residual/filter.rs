//! What stands in the place of a convolution: the convolution, or a layer that codes by the same filters.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Convolution, ConvolutionalCoding, SparseCoding2d};
use crate::initialization::Initializer;
use crate::{FilterConfig, LayerSolves, LayerSummary};

/// `[b, c, h, w]` to `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]`.
#[derive(Module, Debug)]
pub enum Filters {
    /// ResNet.
    Convolution(Convolution),
    /// SDNet.
    ConvolutionalCoding(ConvolutionalCoding),
    /// SCN.
    SparseCoding(SparseCoding2d),
}

impl Filters {
    /// For inputs `[channels, height, width]`.
    pub(crate) fn new(
        config: &FilterConfig,
        input: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        let [channels, ..] = input;
        match config {
            FilterConfig::Convolution => {
                Filters::Convolution(Convolution::new(channels, filters, kernel, stride, init))
            }
            FilterConfig::ConvolutionalCoding(csc) => {
                Filters::ConvolutionalCoding(ConvolutionalCoding::new(input, filters, kernel, stride, csc, init))
            }
            FilterConfig::SparseCoding(solver, lambda1) => {
                let options = solver.options();
                let layer = SparseCoding2d::new(channels, filters, kernel, stride, lambda1, options, init);
                Filters::SparseCoding(layer)
            }
        }
    }

    /// Of `x [b, c, h, w]`, coded as sparsely as `sparsity` says (see [`crate::Pass`]), and what the solves report.
    pub fn forward(&self, x: Tensor<4>, sparsity: Option<&Tensor<1>>) -> (Tensor<4>, Option<LayerSolves>) {
        match self {
            Filters::Convolution(convolution) => (convolution.forward(x), None),
            Filters::ConvolutionalCoding(coding) => (coding.forward(x, sparsity), None),
            Filters::SparseCoding(coding) => {
                let (codes, info) = coding.forward(x, None, sparsity);
                let [_, _, height, width] = codes.dims();
                let pixels = height * width;
                (codes, Some(LayerSolves { info, pixels }))
            }
        }
    }

    /// Whether the output is sparse as it is, so that no rectifier follows.
    pub(crate) fn codes(&self) -> bool {
        !matches!(self, Filters::Convolution(_))
    }

    /// See [`crate::Model::project`].
    pub(crate) fn project(self) -> Self {
        match self {
            Filters::ConvolutionalCoding(coding) => Filters::ConvolutionalCoding(coding.project()),
            other => other,
        }
    }

    pub(crate) fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        match self {
            Filters::Convolution(convolution) => convolution.summary(name, input),
            Filters::ConvolutionalCoding(coding) => coding.summary(name, input),
            Filters::SparseCoding(coding) => coding.summary(name, input),
        }
    }
}
