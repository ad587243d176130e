//! Tests of training, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod average;
mod checkpoints;
mod common;
mod first_layer;
mod learner;
mod losses;
mod optimizer;
mod run_folder;
mod shards;
mod statistics;
mod test_time;
