//! Checkpoints: a folder with the model's weights, what training needs to go on, and a manifest with the size and
//! SHA-256 of each file.
//!
//! ```text
//! checkpoints/last/      the newest
//! checkpoints/previous/  the one before, for the case that `last` is damaged
//! checkpoints/best/      the best validation accuracy so far
//! checkpoints/damaged/   a `last` that resuming could not use
//!   model.safetensors    weights and running statistics, f32
//!   optimizer.safetensors  momentum buffers, flattened
//!   state.json           where training stands
//!   model.json           what the weights are of: enough to evaluate them
//!   origin.json          the data, the program and the device that they were made with; resuming compares them
//!   manifest.json
//! ```
//!
//! Checkpoints that were imported, or made before there was an `origin.json`, have none; programs of that time read
//! what is written now.

mod choice;
mod content;
mod error;
mod files;
mod origin;

pub use choice::{
    BEST, Found, LAST, PREVIOUS, PassedOver, Position, Stored, newest, newest_of, preferred, recover, set_aside,
};
pub use content::{Checkpoint, Description, State, weights_sha256};
pub use error::CheckpointError;
pub use files::{Contents, Files, json, read_files, write_files};
pub use origin::{Origin, TrainingImages};
