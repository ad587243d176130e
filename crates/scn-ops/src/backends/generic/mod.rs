//! The operations in plain tensor operations, for every backend that has none of its own.

pub(crate) mod layer;
pub(crate) mod modules;
pub(crate) mod solve;
