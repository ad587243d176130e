//! The layers of an SDNet's blocks.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{ConvolutionalCoding, CscConfig};
use crate::initialization::Initializer;
use crate::layers::Convolution;
use crate::layers::residual::Filter;
use crate::{CodingLayer, CodingReport, CodingSource, LayerSummary, Roles};

/// Convolutions or, in an SDNet that codes throughout, convolutional sparse-coding layers.
#[derive(Module, Debug)]
pub enum Inner {
    /// A convolution.
    Convolution(Convolution),
    /// A convolutional sparse-coding layer.
    Coding(ConvolutionalCoding),
}

impl Filter for Inner {
    /// Absent for convolutions.
    type Settings = Option<CscConfig>;

    fn new(
        settings: &Self::Settings,
        input: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        match settings {
            None => Inner::Convolution(Filter::new(&(), input, filters, kernel, stride, init)),
            Some(csc) => Inner::Coding(Filter::new(csc, input, filters, kernel, stride, init)),
        }
    }

    fn filter(&self, x: Tensor<4>, sparsity: Option<&Tensor<1>>) -> (Tensor<4>, Option<CodingReport>) {
        match self {
            Inner::Convolution(layer) => layer.filter(x, sparsity),
            Inner::Coding(layer) => layer.filter(x, sparsity),
        }
    }

    fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        match self {
            Inner::Convolution(layer) => layer.summary(name, input),
            Inner::Coding(layer) => layer.summary(name, input),
        }
    }

    fn roles(&self, roles: &mut Roles) {
        match self {
            Inner::Convolution(layer) => layer.roles(roles),
            Inner::Coding(layer) => layer.roles(roles),
        }
    }

    fn coding_layer(&self, name: String, source: CodingSource) -> Option<CodingLayer> {
        match self {
            Inner::Convolution(layer) => layer.coding_layer(name, source),
            Inner::Coding(layer) => layer.coding_layer(name, source),
        }
    }

    fn codes(&self) -> bool {
        match self {
            Inner::Convolution(layer) => layer.codes(),
            Inner::Coding(layer) => layer.codes(),
        }
    }

    fn refresh(self) -> Self {
        match self {
            Inner::Convolution(layer) => Inner::Convolution(layer.refresh()),
            Inner::Coding(layer) => Inner::Coding(layer.refresh()),
        }
    }
}
