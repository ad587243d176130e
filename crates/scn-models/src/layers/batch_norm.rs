//! Batch normalisation (Ioffe & Szegedy, 2015) with the running statistics of PyTorch: the running variance is the
//! unbiased one, where burn keeps the biased one.

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use scn_ops::{Normalization, Statistics, channel_moments, normalize, normalize_batch};

use crate::initialization::{Initializer, like};
use crate::{Group, Pass, Role, Roles};

/// The share of a new batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// Normalises each channel of `[b, c, h, w]`.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// γ `[c]`; absent where it is fixed at 1.
    pub weight: Option<Param<Tensor<1>>>,
    /// β `[c]`; absent where it is fixed at 0.
    pub bias: Option<Param<Tensor<1>>>,
    /// `[c]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// `[c]`, unbiased.
    pub running_var: RunningState<Tensor<1>>,
    epsilon: f64,
}

impl BatchNorm {
    pub(crate) fn new(channels: usize, affine: bool, epsilon: f64, init: &Initializer) -> Self {
        Self {
            weight: affine.then(|| init.constant([channels], 1.0)),
            bias: affine.then(|| init.constant([channels], 0.0)),
            running_mean: RunningState::new(Tensor::zeros([channels], init.device())),
            running_var: RunningState::new(Tensor::ones([channels], init.device())),
            epsilon,
        }
    }

    /// Trainable parameters.
    pub(crate) fn parameters(&self) -> usize {
        [&self.weight, &self.bias]
            .into_iter()
            .flatten()
            .map(|param| param.val().dims()[0])
            .sum()
    }

    pub(crate) fn roles(&self, roles: &mut Roles) {
        let group = Group::Norm;
        for param in [&self.weight, &self.bias].into_iter().flatten() {
            roles.set(param, Role { group, ..Role::WEIGHT });
        }
    }

    /// `[b, c, h, w]` to the same shape, with the statistics that `pass` says.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.forward_with(self, x, pass)
    }

    /// `[b, c, h, w]` to the same shape, with the statistics that `pass` says, the running ones its own, and the scale and shift
    /// of `learned`. A batch with fewer than two values per channel has no variance: its running variance takes the biased
    /// one, 0.
    pub(crate) fn forward_with(&self, learned: &BatchNorm, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let device = x.device();
        let channels = x.dims()[1];
        let or = |param: &Option<Param<Tensor<1>>>, value: f64| match param {
            Some(param) => param.val(),
            None => Tensor::full([channels], value, &device),
        };
        let (weight, bias) = (or(&learned.weight, 1.0), or(&learned.bias, 0.0));
        if let Pass::Evaluation { .. } = pass {
            let (mean, variance) = (self.running_mean.value_sync(), self.running_var.value_sync());
            return normalize(x, weight, bias, mean, variance, self.epsilon);
        }
        let values = x.dims().iter().product::<usize>() / channels.max(1);
        let (output, mean, variance) = normalize_batch(x, weight, bias, self.epsilon);
        self.track(values, mean, variance);
        output
    }

    /// What it multiplies the channels by in evaluation: `[c]`.
    pub(crate) fn scale(&self) -> Tensor<1> {
        let deviation = (self.running_var.value_sync() + self.epsilon).sqrt();
        match &self.weight {
            Some(weight) => weight.val() / deviation,
            None => deviation.recip(),
        }
    }

    /// What a layer behind it is to normalise `x [b, c, h, w]` by as it reads it; only without learned scale and shift.
    pub(crate) fn normalization(&self, x: &Tensor<4>, pass: &Pass) -> Normalization {
        debug_assert!(self.parameters() == 0, "a normalisation that is folded learns nothing");
        let (mean, variance, statistics) = if let Pass::Training(_) = pass {
            let (mean, variance) = channel_moments(x.clone());
            let values = x.dims().iter().product::<usize>() / x.dims()[1].max(1);
            self.track(values, mean.clone(), variance.clone());
            (mean, variance, Statistics::Batch)
        } else {
            let running = [self.running_mean.value_sync(), self.running_var.value_sync()];
            let [mean, variance] = running.map(Tensor::without_autodiff);
            (mean, variance, Statistics::Given)
        };
        Normalization {
            mean,
            variance,
            epsilon: self.epsilon,
            statistics,
        }
    }

    /// The slopes and the shifts `[c]` that [`Self::forward_with`] the running statistics comes to, without gradients.
    pub(crate) fn affine_with(&self, learned: &BatchNorm) -> [Tensor<1>; 2] {
        let [mean, variance] =
            [&self.running_mean, &self.running_var].map(|state| state.value_sync().without_autodiff());
        let scale = (variance + self.epsilon).sqrt().recip();
        let value = |param: &Option<Param<Tensor<1>>>| param.as_ref().map(|param| param.val().without_autodiff());
        let slope = match value(&learned.weight) {
            Some(weight) => weight * scale,
            None => scale,
        };
        let shift = -mean * slope.clone();
        let shift = match value(&learned.bias) {
            Some(bias) => bias + shift,
            None => shift,
        };
        [slope, shift]
    }

    /// Takes the mean and biased variance of so many values a channel into the running statistics.
    fn track(&self, values: usize, mean: Tensor<1>, variance: Tensor<1>) {
        let count = values as f64;
        let unbiased = variance * (count / (count - 1.0).max(1.0));
        for (state, batch) in [(&self.running_mean, mean), (&self.running_var, unbiased)] {
            let batch = like(&state.value_sync().device(), batch);
            state.update((state.value_sync() * (1.0 - MOMENTUM) + batch * MOMENTUM).detach());
            // An update waits to be averaged with those of other threads; until then a checkpoint would not see it.
            state.value_sync();
        }
    }
}
