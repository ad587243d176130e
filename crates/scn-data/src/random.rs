//! Randomness addressed by what it is for: one ChaCha8 stream for each (seed, purpose, epoch, item).
//!
//! Draws and shuffles are written out here rather than taken from `rand`, whose values may change between
//! versions: a seed gives the same experiment forever.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for. The numbers are part of what a seed means: never change or reuse them.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Order = 0,
    /// The augmentation of one image.
    ImageAugmentation = 1,
    /// The augmentation shared by a batch.
    BatchAugmentation = 2,
    /// The validation split.
    Validation = 3,
    /// A smaller set for trials.
    Limit = 4,
    /// The test set of the digits.
    DigitsTest = 5,
    /// Images of noise.
    Noise = 6,
    /// The corruption of one image.
    Corruption = 7,
    /// The images of an epoch of patches.
    PatchImages = 8,
    /// The patches that others are whitened by.
    PatchStatistics = 9,
    /// The patches that dictionaries start from.
    PatchStart = 10,
    /// The patches that dictionaries are judged by.
    PatchEvaluation = 11,
    /// A batch of patches.
    Patches = 12,
}

/// The stream of one item in one epoch.
pub(crate) fn stream(seed: u64, purpose: Purpose, epoch: u64, item: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, item]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number in `0..bound` from exactly one 64-bit word; the bias, `bound / 2⁶⁴`, is beyond measuring.
pub(crate) fn below(stream: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u128::from(stream.next_u64()) * bound as u128) >> 64) as usize
}

/// A number in `[0, 1)`, a multiple of 2⁻⁵³, from one 64-bit word.
pub(crate) fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number from two 64-bit words (Box & Muller, 1958; the sine goes unused).
pub(crate) fn normal(stream: &mut ChaCha8Rng) -> f64 {
    // 1 − u is in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(stream)).ln()).sqrt();
    radius * (TAU * uniform(stream)).cos()
}

/// Fisher–Yates shuffle.
pub(crate) fn shuffle<T>(stream: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(stream, last + 1));
    }
}
