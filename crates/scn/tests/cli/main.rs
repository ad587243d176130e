//! The program as its users run it, one binary so that it links once: what it prints, what it writes and its exit codes.
//! Training has a binary of its own.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bench;
#[cfg(unix)]
mod compare;
mod config;
mod data;
mod dictionary;
mod gpu_report;
mod import;
mod predict;
mod robust;
mod solve;
mod summary;
mod theory;
mod usage;
mod wgpu;
