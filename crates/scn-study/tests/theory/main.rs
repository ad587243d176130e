//! Tests of the guarantees of sparse coding, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod coherence;
mod common;
mod dictionary;
mod network;
mod norms;
mod pursuits;
mod theorems;
