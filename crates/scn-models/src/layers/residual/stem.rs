//! What tells residual networks apart.

use serde::{Deserialize, Serialize};

use super::{CscConfig, Lambda1Config, ModelKind, SolverConfig};

/// The front of a residual network, `model.stem`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StemKind {
    /// A 3×3 layer of stride 1, for images of about 32×32.
    #[default]
    Cifar,
    /// A 7×7 layer of stride 2 and 3×3 max pooling of stride 2, for images of about 224×224.
    Imagenet,
}

/// What takes the place of a convolution, with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FilterConfig {
    /// It stays.
    Convolution,
    /// A convolutional sparse-coding layer.
    ConvolutionalCoding(CscConfig),
    /// A sparse-coding layer of an SCN.
    SparseCoding(SolverConfig, Lambda1Config),
}

/// A residual network with every value filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResidualConfig {
    /// Which.
    pub kind: ModelKind,
    /// Its front.
    pub stem: StemKind,
    /// Its first layer.
    pub first: FilterConfig,
    /// All others.
    pub others: FilterConfig,
    /// Whether blocks add their input.
    pub shortcuts: bool,
}
