//! Step sizes of proximal gradient steps that follow the dictionary: a share of `1/‖D‖²`, below which they converge.

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use scn_ops::{Placement, dictionary_norm};

use crate::initialization::{Initializer, like};

/// The step size is this share of `1/‖D‖²`, as in the program of SDNet's authors.
const SHARE: f64 = 0.9;
/// Steps of power iteration from the last direction, after the dictionary has moved by one training step.
const ITERATIONS: usize = 10;
/// From a random start as many rounds of these steps, at most.
const FIRST_ROUNDS: usize = 20;
/// Fewer where a round has changed the norm by no more than this share of it.
const SETTLED: f64 = 1e-4;

/// A step size and the direction that it was found with.
#[derive(Module, Debug)]
pub struct NormStep {
    /// `0.9/‖D‖²` `[1]`.
    pub value: RunningState<Tensor<1>>,
    /// The leading eigenvector of `DᵀD` `[1, n, h', w']`, for the images that the network is built for.
    pub direction: RunningState<Tensor<4>>,
}

impl NormStep {
    /// Of a dictionary `weight [n, c, k, k]` for signals of these `sides`, whose codes are `[n, h', w']`.
    pub(crate) fn new(
        weight: &Param<Tensor<4>>,
        [atoms, rows, columns]: [usize; 3],
        placement: Placement,
        sides: [usize; 2],
        init: &mut Initializer,
    ) -> Self {
        let (value, direction) = first(weight, [1, atoms, rows, columns], placement, sides, init);
        let device = init.device();
        Self {
            value: RunningState::new(like(device, value)),
            direction: RunningState::new(like(device, direction)),
        }
    }

    /// Brings it up to date after the dictionary has moved a little.
    pub(crate) fn follow(&self, weight: Tensor<4>, placement: Placement, sides: [usize; 2]) {
        follow(&self.value, &self.direction, weight, placement, sides);
    }
}

/// The step size `[1]` and the direction of `shape`, from a random start until the norm has settled.
pub(crate) fn first(
    weight: &Param<Tensor<4>>,
    shape: [usize; 4],
    placement: Placement,
    sides: [usize; 2],
    init: &mut Initializer,
) -> (Tensor<1>, Tensor<4>) {
    let mut direction = init.normal(shape, 1.0).val().without_autodiff();
    if init.is_empty() {
        return (Tensor::zeros([1], &init.device().clone().inner()), direction);
    }
    let weight = weight.val();
    let mut last = 0.0;
    for _ in 1..FIRST_ROUNDS {
        let (norm, next) = dictionary_norm(weight.clone(), direction, placement, sides, ITERATIONS);
        direction = next;
        let value = norm.into_data().iter::<f64>().next().unwrap_or_default();
        if (value - last).abs() <= SETTLED * value {
            break;
        }
        last = value;
    }
    let (norm, direction) = dictionary_norm(weight, direction, placement, sides, ITERATIONS);
    (step_size(norm), direction)
}

/// Brings a step size and its direction up to date after the dictionary has moved a little.
pub(crate) fn follow(
    value: &RunningState<Tensor<1>>,
    direction: &RunningState<Tensor<4>>,
    weight: Tensor<4>,
    placement: Placement,
    sides: [usize; 2],
) {
    let device = weight.device();
    let (norm, next) = dictionary_norm(weight, direction.value_sync(), placement, sides, ITERATIONS);
    value.update(like(&device, step_size(norm)));
    direction.update(like(&device, next));
    // An update waits to be averaged with those of other threads; until then a checkpoint would not see it.
    value.value_sync();
    direction.value_sync();
}

fn step_size(norm: Tensor<1>) -> Tensor<1> {
    norm.clamp_min(1e-12).recip() * SHARE
}
