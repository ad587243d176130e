//! The reference: its solvers against the optimality conditions, enumeration, finite differences and exact answers.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod elastic_net;
mod elastic_net_fixtures;
mod implicit;
mod layer;
mod layer_fixtures;
mod refusals;
