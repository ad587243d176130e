//! Tests of studies, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod attack;
mod bench;
mod common;
mod comparison;
mod reports;
mod robust;
mod weights;
