//! Readers, one file a format.

pub(crate) mod cifar;
pub(crate) mod digits;
pub(crate) mod file_reader;
pub(crate) mod idx;
pub(crate) mod npy;
pub(crate) mod stl10;
