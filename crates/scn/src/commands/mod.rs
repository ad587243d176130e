//! The subcommands.

pub(crate) mod attack;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod device;
pub(crate) mod dictionary;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod predict;
pub(crate) mod robust;
pub(crate) mod solve;
pub(crate) mod summary;
pub(crate) mod theory;
pub(crate) mod train;
