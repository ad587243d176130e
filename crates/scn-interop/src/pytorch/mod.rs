//! Weights of the published PyTorch programs: what they call our tensors, and the network in one of their files.

mod error;
mod import;
mod names;
mod state_dict;

pub use error::ImportError;
pub use import::{DATASETS, Imported, import};
pub use names::{KINDS, export};
pub use state_dict::StateDict;
