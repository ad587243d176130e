//! Files that other programs write and read: safetensors, sparse-coding problems, and the weights of PyTorch.

pub mod archive;
pub mod figure;
pub mod problem;
pub mod pytorch;
pub mod tensors;
