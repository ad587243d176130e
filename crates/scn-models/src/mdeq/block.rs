//! The residual block of one resolution.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::convolution::{NormedConvolution, Ready};
use super::group_norm::GroupNorm;
use super::plan::Plan;
use crate::Roles;
use crate::initialization::Initializer;

/// Side of its windows.
const KERNEL: usize = 3;

/// `z ↦ GN₃(ReLU(z + GN₂(x + W₂·ReLU(GN₁(W₁z)))))` with an injection x.
#[derive(Module, Debug)]
pub struct Block {
    /// W₁, which widens.
    pub conv1: NormedConvolution,
    /// Behind it.
    pub norm1: GroupNorm,
    /// W₂.
    pub conv2: NormedConvolution,
    /// Behind it and the injection.
    pub norm2: GroupNorm,
    /// At the end.
    pub norm3: GroupNorm,
}

impl Block {
    pub(super) fn new(plan: &Plan, init: &mut Initializer) -> Self {
        let Plan {
            channels,
            expansion,
            groups,
            ..
        } = *plan;
        let inside = channels * expansion;
        Self {
            conv1: NormedConvolution::new(channels, inside, KERNEL, 1, init),
            norm1: GroupNorm::new(groups, inside, true, init),
            conv2: NormedConvolution::new(inside, channels, KERNEL, 1, init),
            norm2: GroupNorm::new(groups, channels, true, init),
            norm3: GroupNorm::new(groups, channels, true, init),
        }
    }

    pub(super) fn ready(&self) -> ReadyBlock<'_> {
        ReadyBlock {
            block: self,
            conv1: self.conv1.ready(),
            conv2: self.conv2.ready(),
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        [&self.norm1, &self.norm2, &self.norm3]
            .into_iter()
            .for_each(|norm| norm.roles(roles));
    }

    pub(super) fn convolutions(&self) -> [&NormedConvolution; 2] {
        [&self.conv1, &self.conv2]
    }
}

/// A block whose weights are made.
pub(super) struct ReadyBlock<'a> {
    block: &'a Block,
    conv1: Ready,
    conv2: Ready,
}

impl ReadyBlock<'_> {
    /// `z [b, c, h, w]` to the same shape. A mask, of the same shape too, multiplies what the second convolution makes.
    pub(super) fn forward(&self, z: Tensor<4>, injection: Option<&Tensor<4>>, mask: Option<&Tensor<4>>) -> Tensor<4> {
        let Block {
            norm1, norm2, norm3, ..
        } = self.block;
        let inside = relu(norm1.forward(self.conv1.forward(z.clone())));
        let mut out = self.conv2.forward(inside);
        if let Some(mask) = mask {
            out = out * mask.clone();
        }
        if let Some(injection) = injection {
            out = out + injection.clone();
        }
        norm3.forward(relu(norm2.forward(out) + z))
    }
}
