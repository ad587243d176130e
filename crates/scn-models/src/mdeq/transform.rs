//! One application of the equilibrium's map f: a block for each resolution, then their fusion.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::block::{Block, ReadyBlock};
use super::convolution::{NormedConvolution, Ready};
use super::group_norm::GroupNorm;
use super::plan::Plan;
use super::state::State;
use crate::Roles;
use crate::initialization::Initializer;

/// The map f of both resolutions `z = (z₁, z₂)`: with yᵢ the block's output of resolution i, `zᵢ⁺ = GN(Vᵢ·ReLU(yᵢ + what the
/// other one gives))`, which is a strided convolution of y₁, or y₂ by a 1×1 convolution, enlarged to the nearest pixel.
#[derive(Module, Debug)]
pub struct Transform {
    /// Of both resolutions, the finer first.
    pub blocks: Vec<Block>,
    /// From the finer to the coarser.
    pub down: NormedConvolution,
    /// Behind it.
    pub down_norm: GroupNorm,
    /// From the coarser to the finer, before it is enlarged.
    pub up: NormedConvolution,
    /// Behind it.
    pub up_norm: GroupNorm,
    /// Vᵢ of both resolutions.
    pub fused: Vec<NormedConvolution>,
    /// Behind them, without scale and shift.
    pub fused_norm: GroupNorm,
}

impl Transform {
    pub(super) fn new(plan: &Plan, init: &mut Initializer) -> Self {
        let (channels, groups) = (plan.channels, plan.groups / 2);
        Self {
            blocks: (0..2).map(|_| Block::new(plan, init)).collect(),
            down: NormedConvolution::new(channels, channels, 3, 2, init),
            down_norm: GroupNorm::new(groups, channels, true, init),
            up: NormedConvolution::new(channels, channels, 1, 1, init),
            up_norm: GroupNorm::new(groups, channels, true, init),
            fused: (0..2)
                .map(|_| NormedConvolution::new(channels, channels, 1, 1, init))
                .collect(),
            fused_norm: GroupNorm::new(groups, channels, false, init),
        }
    }

    /// With the weights made once, for many applications.
    pub(super) fn ready(&self) -> ReadyTransform<'_> {
        ReadyTransform {
            transform: self,
            blocks: self.blocks.iter().map(Block::ready).collect(),
            down: self.down.ready(),
            up: self.up.ready(),
            fused: self.fused.iter().map(NormedConvolution::ready).collect(),
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        self.blocks.iter().for_each(|block| block.roles(roles));
        self.down_norm.roles(roles);
        self.up_norm.roles(roles);
    }

    /// Multiply-adds of one application for resolutions of these sides.
    pub(super) fn multiply_adds(&self, sides: [[usize; 2]; 2]) -> u64 {
        let pixels = sides.map(|[height, width]| height * width);
        let of_resolution = |i: usize| {
            let weights = self.blocks[i].convolutions().map(NormedConvolution::weights);
            (weights[0] + weights[1] + self.fused[i].weights()) * pixels[i]
        };
        let exchange = (self.down.weights() + self.up.weights()) * pixels[1];
        (of_resolution(0) + of_resolution(1) + exchange) as u64
    }
}

/// What stays the same from one application to the next.
#[derive(Clone)]
pub(super) struct Given {
    /// Of the finer resolution, `[b, c, h, w]`.
    pub injection: Tensor<4>,
    /// Of both resolutions, in training.
    pub masks: Option<State>,
}

impl Given {
    /// The same without autodiff.
    pub fn without_autodiff(self) -> Self {
        Self {
            injection: self.injection.without_autodiff(),
            masks: self.masks.map(|masks| masks.map(Tensor::without_autodiff)),
        }
    }

    /// The same as constants.
    pub fn detach(self) -> Self {
        Self {
            injection: self.injection.detach(),
            masks: self.masks,
        }
    }
}

/// The map with its weights made.
pub(super) struct ReadyTransform<'a> {
    transform: &'a Transform,
    blocks: Vec<ReadyBlock<'a>>,
    down: Ready,
    up: Ready,
    fused: Vec<Ready>,
}

impl ReadyTransform<'_> {
    /// `f(z)` of both resolutions.
    pub(super) fn apply(&self, [fine, coarse]: State, given: &Given) -> State {
        let Transform {
            down_norm,
            up_norm,
            fused_norm,
            ..
        } = self.transform;
        let [fine_mask, coarse_mask] = match &given.masks {
            Some([fine, coarse]) => [Some(fine), Some(coarse)],
            None => [None; 2],
        };
        let fine = self.blocks[0].forward(fine, Some(&given.injection), fine_mask);
        let coarse = self.blocks[1].forward(coarse, None, coarse_mask);
        let down = down_norm.forward(self.down.forward(fine.clone()));
        let up = up_norm.forward(self.up.forward(coarse.clone()));
        let up = enlarged(up, &fine);
        let fuse = |i: usize, sum: Tensor<4>| fused_norm.forward(self.fused[i].forward(relu(sum)));
        [fuse(0, fine + up), fuse(1, coarse + down)]
    }
}

/// `x [b, c, h, w]` enlarged to the sides of `like`, at most twice as large, by the nearest pixel.
fn enlarged(x: Tensor<4>, like: &Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let doubled: Tensor<6> = x.reshape([batch, channels, height, 1, width, 1]);
    let doubled = doubled.expand([batch, channels, height, 2, width, 2]);
    let doubled: Tensor<4> = doubled.reshape([batch, channels, 2 * height, 2 * width]);
    let [_, _, height, width] = like.dims();
    doubled.slice([0..batch, 0..channels, 0..height, 0..width])
}
