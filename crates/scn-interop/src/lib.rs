//! Files that other programs write and read: safetensors, and the weights of PyTorch.

pub mod pytorch;
pub mod tensors;
