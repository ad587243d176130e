//! Variational dropout (Gal & Ghahramani, arXiv:1512.05287): the values that are left out are the same in all iterations.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::state::State;
use crate::Pass;

/// Keeps the stream of these draws apart from that of the initial weights.
const PURPOSE: u64 = 0x6d61_736b;

/// Bits of a stream's number that tell the step; those above tell the part of its batch.
const STEP_BITS: u32 = 40;

/// Of each value 0 with this probability, and else what keeps the mean, drawn by the seed, the number of the training step
/// and the part of its batch on the host, so that every backend has the same; none where nothing is left out.
pub(super) fn masks(probability: f64, shapes: [[usize; 4]; 2], pass: &Pass, device: &Device) -> Option<State> {
    let Pass::Training(step) = pass else { return None };
    if probability == 0.0 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(step.seed ^ PURPOSE);
    random.set_stream((step.shard as u64) << STEP_BITS | step.number as u64);
    let kept = (1.0 / (1.0 - probability)) as f32;
    let threshold = (probability * f64::from(u32::MAX)) as u32;
    Some(shapes.map(|shape| {
        let count = shape.iter().product();
        let draw = || if random.random::<u32>() < threshold { 0.0 } else { kept };
        let values: Vec<f32> = std::iter::repeat_with(draw).take(count).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }))
}
