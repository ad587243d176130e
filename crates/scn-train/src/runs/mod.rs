//! What a run leaves on disk: its folder, its metrics and its checkpoints.

pub(crate) mod atomic;
pub mod checkpoint;
pub(crate) mod environment;
pub mod exact;
pub(crate) mod folder;
