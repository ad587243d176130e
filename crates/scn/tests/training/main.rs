//! `scn train`: what it says and returns, and what becomes of a run when something goes wrong.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../common/signals.rs"]
mod signals;

mod claims;
mod common;
mod disk;
mod fallback;
mod kill;
mod origin;
mod output;
mod report;
mod stages;
mod start;
