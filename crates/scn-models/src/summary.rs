//! Layers, shapes, parameters and arithmetic of a model.

use serde::Serialize;

use crate::layers::BatchNorm;

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSummary {
    /// Name, as in a checkpoint.
    pub name: String,
    /// What it is: `sparse coding 3×3, stride 2`.
    pub kind: String,
    /// Channels, rows and columns of the output.
    pub output: [usize; 3],
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-adds per image of the convolution `Dᵀx` or of a plain convolution or product, forward.
    pub convolution: u64,
    /// Multiply-adds per image of one solver iteration or sweep, `n²` a pixel.
    pub solver_iteration: u64,
}

impl LayerSummary {
    /// With the parameters of a batch norm that goes with the layer.
    pub(crate) fn with_norm(mut self, norm: &BatchNorm) -> Self {
        self.parameters += norm.parameters();
        self
    }
}

/// A model on one size of image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the model.
    pub model: String,
    /// Channels, rows and columns of an image.
    pub input: [usize; 3],
    /// The layers that have parameters.
    pub layers: Vec<LayerSummary>,
}

impl Summary {
    /// Trainable parameters.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Multiply-adds per image of all convolutions, forward.
    pub fn convolution(&self) -> u64 {
        self.layers.iter().map(|layer| layer.convolution).sum()
    }

    /// Multiply-adds per image of one solver iteration in every layer.
    pub fn solver_iteration(&self) -> u64 {
        self.layers.iter().map(|layer| layer.solver_iteration).sum()
    }
}
