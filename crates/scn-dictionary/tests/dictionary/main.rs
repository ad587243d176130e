//! Methods against definitions and solvers, and the updates against what they promise.

#![allow(clippy::unwrap_used)]

mod common;
mod experiments;
mod frequency;
mod methods;
mod resuming;
mod updates;
