//! Group normalisation (Wu & He, arXiv:1803.08494).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::normalize_batch;

use crate::initialization::Initializer;
use crate::{Group, Role, Roles};

const EPSILON: f64 = 1e-5;

/// Normalises each group of channels of each image of `[b, c, h, w]`.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// γ `[c]`; absent where it is fixed at 1, and β at 0.
    pub weight: Option<Param<Tensor<1>>>,
    /// β `[c]`.
    pub bias: Option<Param<Tensor<1>>>,
    groups: usize,
}

impl GroupNorm {
    /// `groups` divides `channels`.
    pub(super) fn new(groups: usize, channels: usize, affine: bool, init: &Initializer) -> Self {
        Self {
            weight: affine.then(|| init.constant([channels], 1.0)),
            bias: affine.then(|| init.constant([channels], 0.0)),
            groups,
        }
    }

    /// `[b, c, h, w]` to the same shape. It is the batch norm of one image whose channels are the groups of all images.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], device) = (x.dims(), x.device());
        let rows = batch * self.groups;
        let grouped = x.reshape([1, rows, height * channels / self.groups, width]);
        let (ones, zeros) = (Tensor::ones([rows], &device), Tensor::zeros([rows], &device));
        let (normalized, ..) = normalize_batch(grouped, ones, zeros, EPSILON);
        let normalized = normalized.reshape([batch, channels, height, width]);
        let of_channel = |param: &Param<Tensor<1>>| param.val().reshape([1, channels, 1, 1]);
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => normalized * of_channel(weight) + of_channel(bias),
            _ => normalized,
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        let group = Group::Norm;
        for param in [&self.weight, &self.bias].into_iter().flatten() {
            roles.set(param, Role { group, ..Role::WEIGHT });
        }
    }
}
