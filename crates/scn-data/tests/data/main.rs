//! Tests of the data crate, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod augmentation;
mod cifar10_c;
mod corruption;
mod damaged;
mod digits;
mod files;
mod kinds;
mod loader;
mod noise;
mod normalization;
mod readers;
mod real;
mod split;
mod verify;
