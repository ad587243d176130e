//! The layers that models are built from.

mod batch_norm;
mod classifier;
mod convolution;
mod convolutional_coding;
mod sparse_coding;

pub use batch_norm::BatchNorm;
pub use classifier::Classifier;
pub use convolution::Convolution;
pub use convolutional_coding::ConvolutionalCoding;
pub use sparse_coding::SparseCoding2d;
