//! Tests of the data crate, one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod augmentation;
mod catalogue;
mod cifar;
mod cifar10_c;
mod cifar10_c_files;
mod claims;
mod corruption;
mod digits;
mod files;
mod idx;
mod image_set;
mod loader;
mod location;
mod noise;
mod normalization;
mod npy;
mod patches;
mod real;
mod split;
mod stl10;
mod verify;
