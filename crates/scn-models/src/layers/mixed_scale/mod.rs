//! The body of networks whose layers mix scales and keep what came before (Pelt & Sethian, PNAS 115(2):254–259, 2018;
//! Zhang & Zhang, National Science Review 8(3):nwaa159, 2021): a 3×3 convolution in front, blocks of dilated
//! convolutions each of which adds channels to all before it, 1×1 convolutions with 2×2 max pooling between blocks,
//! global average pooling and a classifier. Families say what a block computes.

mod keys;
mod plan;

pub(crate) use keys::mixed_scale_keys;
pub use plan::Plan;

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::Tensor;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use scn_ops::{Padding, Placement};

use super::{Classifier, Convolution, Threshold};
use crate::initialization::Initializer;
use crate::network::Observer;
use crate::{Coded, CodingLayer, CodingReport, LayerSummary, Network, Output, Pass, Roles};

/// Side of the windows of all layers but those between blocks.
pub const KERNEL: usize = 3;

/// A block of dilated layers.
pub trait Block: Module + ModuleDisplay {
    /// What it is built by besides the plan.
    type Settings;

    /// For inputs of so many channels.
    fn new(settings: &Self::Settings, channels: usize, plan: &Plan, init: &mut Initializer) -> Self;

    /// `x [b, c, h, w]` to `[b, c + depth·growth, h, w]`; what its layers report is added to `codes`.
    fn forward(&self, x: Tensor<4>, pass: &Pass, codes: &mut Vec<CodingReport>) -> Tensor<4>;

    /// Its layers on inputs `[channels, height, width]`, named behind `name`.
    fn layers(&self, name: &str, input: [usize; 3]) -> Vec<LayerSummary>;

    /// Adds the roles of its parameters that are more than weights.
    fn roles(&self, roles: &mut Roles);

    /// Those of its layers that code, named behind `name`.
    fn coding_layers(&self, _name: &str) -> Vec<CodingLayer> {
        Vec::new()
    }

    /// What these make of `x [b, m, h, w]` in evaluation, and what the block makes of it.
    fn coded(&self, x: Tensor<4>) -> (Vec<Coded>, Tensor<4>) {
        (Vec::new(), self.forward(x, &Pass::EVALUATION, &mut Vec::new()))
    }
}

/// A mixed-scale network with blocks `B`.
#[derive(Module, Debug)]
pub struct MixedScale<B: Module> {
    /// 3×3 stem.
    pub conv1: Convolution,
    /// Behind it.
    pub threshold: Threshold,
    /// The blocks.
    pub blocks: Vec<B>,
    /// 1×1, from each block to the next.
    pub transitions: Vec<Convolution>,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

impl<B: Block> MixedScale<B> {
    /// For images of so many channels.
    pub(crate) fn new(
        plan: &Plan,
        settings: &B::Settings,
        channels: usize,
        classes: usize,
        init: &mut Initializer,
    ) -> Self {
        let conv1 = Convolution::new(channels, plan.channels, KERNEL, 1, init);
        let threshold = Threshold::new(plan.channels, plan.batch_norm, init);
        let (mut blocks, mut transitions) = (Vec::new(), Vec::new());
        for block in 0..plan.blocks {
            let input = plan.block_channels(block);
            if block > 0 {
                transitions.push(Convolution::new(input, input, 1, 1, init));
            }
            blocks.push(B::new(settings, input, plan, init));
        }
        Self {
            conv1,
            threshold,
            blocks,
            transitions,
            classifier: Classifier::new(plan.block_channels(plan.blocks), classes, init),
        }
    }

    fn named_blocks(&self) -> impl Iterator<Item = (String, &B)> {
        let named = |(i, block)| (format!("blocks.{i}"), block);
        self.blocks.iter().enumerate().map(named)
    }

    /// What reaches the classifier of `images [b, c, h, w]`, where `through` says what a block makes of its input.
    fn features(
        &self,
        images: Tensor<4>,
        pass: &Pass,
        observe: Observer,
        mut through: impl FnMut(&B, Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let mut x = self.threshold.forward(self.conv1.forward(images), pass);
        observe("conv1", &x);
        for (i, (name, block)) in self.named_blocks().enumerate() {
            if i > 0 {
                let halves = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
                x = max_pool2d(self.transitions[i - 1].forward(x), halves);
            }
            x = through(block, x);
            observe(&name, &x);
        }
        x
    }
}

impl<B: Block> Network for MixedScale<B> {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut codes = Vec::new();
        let x = self.features(images, pass, observe, |block, x| block.forward(x, pass, &mut codes));
        Output::new(self.classifier.forward(x), codes)
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut first = self.conv1.summary("conv1", image);
        first.parameters += self.threshold.parameters();
        let mut input = first.output;
        let mut layers = vec![first];
        for (i, (name, block)) in self.named_blocks().enumerate() {
            if i > 0 {
                layers.push(self.transitions[i - 1].summary(&format!("transitions.{}", i - 1), input));
                input = [input[0], input[1] / 2, input[2] / 2];
            }
            layers.extend(block.layers(&name, input));
            input = layers.last().map_or(input, |layer| layer.output);
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.threshold.roles(&mut roles);
        self.blocks.iter().for_each(|block| block.roles(&mut roles));
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let of_block = |(name, block): (String, &B)| block.coding_layers(&name);
        self.named_blocks().flat_map(of_block).collect()
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let mut all = Vec::new();
        self.features(images, &Pass::EVALUATION, &mut |_, _| {}, |block, x| {
            let (coded, x) = block.coded(x);
            all.extend(coded);
            x
        });
        all
    }
}

/// Windows whose places lie `dilation` pixels apart, around every pixel.
pub(crate) fn dilated(dilation: usize) -> Placement {
    Placement {
        stride: 1,
        padding: Padding::Same,
        dilation,
    }
}

/// The summary of a layer that adds the channels of a dilated convolution with `weight [g, c, 3, 3]` to its input, for its
/// convolution alone. In a block whose input is `[_, height, width]`.
pub(crate) fn dilated_summary(
    name: &str,
    kind: &str,
    weight: &Param<Tensor<4>>,
    dilation: usize,
    [_, height, width]: [usize; 3],
) -> LayerSummary {
    let [growth, channels, ..] = weight.dims();
    let parameters = growth * channels * KERNEL * KERNEL;
    LayerSummary {
        name: name.into(),
        kind: format!("{kind} {KERNEL}×{KERNEL}, dilation {dilation}"),
        output: [channels + growth, height, width],
        parameters,
        convolution: (parameters * height * width) as u64,
        solver_iteration: 0,
    }
}
