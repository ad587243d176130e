//! The non-negative soft threshold behind a step of coding, as networks learn it: `ReLU(BN(z))`, or `ReLU(z + b)` where
//! there is no batch norm, which would cancel b.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::BatchNorm;
use crate::initialization::Initializer;
use crate::{Group, Pass, Role, Roles};

/// ε of batch norm, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// What is told of the key `batch_norm`, which several families have.
macro_rules! batch_norm_doc {
    () => {
        "Res-CSC, MSD-CSC and MSDNet: batch norm in front of thresholds, in place of learned biases."
    };
}
pub(crate) use batch_norm_doc;

/// Shifts each channel of `[b, n, h, w]`, and scales it by batch norm, before it is rectified.
#[derive(Module, Debug)]
pub enum Threshold {
    /// Batch norm with learned scale and shift.
    Normalized(Normalized),
    /// A bias alone.
    Biased(Biased),
}

/// The shift of a batch norm.
#[derive(Module, Debug)]
pub struct Normalized {
    /// With learned scale and shift.
    pub bn: BatchNorm,
}

/// A bias.
#[derive(Module, Debug)]
pub struct Biased {
    /// b `[n]`: `−λ/L` of a step of ISTA.
    pub bias: Param<Tensor<1>>,
}

impl Threshold {
    /// For so many channels, with shifts of 0.
    pub(crate) fn new(channels: usize, batch_norm: bool, init: &Initializer) -> Self {
        match batch_norm {
            true => Self::Normalized(Normalized {
                bn: BatchNorm::new(channels, true, EPSILON, init),
            }),
            false => Self::Biased(Biased {
                bias: init.constant([channels], 0.0),
            }),
        }
    }

    /// What keeps the statistics of another use of the same threshold, which another step of the same layer makes of it; none
    /// where there is no batch norm.
    pub(crate) fn other_statistics(&self, init: &Initializer) -> Option<BatchNorm> {
        match self {
            Self::Normalized(Normalized { bn }) => {
                let [channels] = bn.running_mean.value_sync().dims();
                Some(BatchNorm::new(channels, false, EPSILON, init))
            }
            Self::Biased(_) => None,
        }
    }

    /// `z [b, n, h, w]` before it is rectified.
    pub fn shift(&self, z: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.shift_by(None, z, pass)
    }

    /// [`Self::shift`] with the running statistics of `statistics`, where there are any.
    pub(crate) fn shift_by(&self, statistics: Option<&BatchNorm>, z: Tensor<4>, pass: &Pass) -> Tensor<4> {
        match self {
            Self::Normalized(Normalized { bn }) => statistics.unwrap_or(bn).forward_with(bn, z, pass),
            Self::Biased(Biased { bias }) => z + per_channel(bias.val()),
        }
    }

    /// `z [b, n, h, w]` shifted and rectified.
    pub fn forward(&self, z: Tensor<4>, pass: &Pass) -> Tensor<4> {
        relu(self.shift(z, pass))
    }

    /// What z has to exceed in evaluation to be more than 0, `[n]`, without gradients; by `statistics` as [`Self::shift_by`].
    pub(crate) fn level(&self, statistics: Option<&BatchNorm>) -> Tensor<1> {
        match self {
            Self::Normalized(Normalized { bn }) => {
                let [slope, shift] = statistics.unwrap_or(bn).affine_with(bn);
                -shift / slope
            }
            Self::Biased(Biased { bias }) => -bias.val().without_autodiff(),
        }
    }

    /// Trainable parameters.
    pub(crate) fn parameters(&self) -> usize {
        match self {
            Self::Normalized(Normalized { bn }) => bn.parameters(),
            Self::Biased(Biased { bias }) => bias.dims()[0],
        }
    }

    pub(crate) fn roles(&self, roles: &mut Roles) {
        match self {
            Self::Normalized(Normalized { bn }) => bn.roles(roles),
            Self::Biased(Biased { bias }) => {
                let group = Group::Bias;
                roles.set(bias, Role { group, ..Role::WEIGHT });
            }
        }
    }
}

fn per_channel(values: Tensor<1>) -> Tensor<4> {
    values.reshape([1, -1, 1, 1])
}
