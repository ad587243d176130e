//! Residual networks with batch norm and ReLU in front of every convolution (He, Zhang, Ren & Sun, arXiv:1603.05027):
//! the pre-activation ResNet-164 and -1001 with bottlenecks, and WRN-28-10 (Zagoruyko & Komodakis, arXiv:1605.07146)
//! with two wide 3×3 convolutions in a block.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::family::{Family, Member, NoKeys};
use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier, Convolution};
use crate::network::Observer;
use crate::{Group, LayerSummary, Network, Output, Pass, Roles};

/// ε of batch norm, as in PyTorch.
const EPSILON: f64 = 1e-5;
/// Channels behind the first convolution.
const FIRST: usize = 16;

/// What tells members apart.
#[derive(Debug)]
pub struct Plan {
    /// Blocks of each of the three stages.
    blocks: usize,
    /// Channels of the first.
    channels: usize,
    /// The kernels of a block, with the share of the stage's channels that each makes.
    convolutions: &'static [(usize, usize)],
}

/// A quarter of the channels inside a bottleneck.
const BOTTLENECK: &[(usize, usize)] = &[(1, 4), (3, 4), (1, 1)];
const BASIC: &[(usize, usize)] = &[(3, 1), (3, 1)];

const MEMBERS: &[Member<Plan>] = &[
    Member {
        name: "preact-resnet164",
        doc: "Pre-activation ResNet-164 for CIFAR (He et al., arXiv:1603.05027).",
        plan: Plan {
            blocks: 18,
            channels: 64,
            convolutions: BOTTLENECK,
        },
    },
    Member {
        name: "preact-resnet1001",
        doc: "Pre-activation ResNet-1001 for CIFAR.",
        plan: Plan {
            blocks: 111,
            channels: 64,
            convolutions: BOTTLENECK,
        },
    },
    Member {
        name: "wrn-28-10",
        doc: "The wide residual network WRN-28-10 (Zagoruyko & Komodakis, arXiv:1605.07146).",
        plan: Plan {
            blocks: 4,
            channels: 160,
            convolutions: BASIC,
        },
    },
];

/// A pre-activation residual network.
#[derive(Module, Debug)]
pub struct PreactResNet {
    /// 3×3 stem.
    pub conv1: Convolution,
    /// All blocks, stage by stage.
    pub blocks: Vec<PreactBlock>,
    /// In front of the pooling.
    pub bn: BatchNorm,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

/// Activated convolutions around a shortcut.
#[derive(Module, Debug)]
pub struct PreactBlock {
    /// Two or three.
    pub units: Vec<PreactUnit>,
    /// A 1×1 convolution of the activated input, where the shape changes.
    pub shortcut: Option<Convolution>,
}

/// Batch norm, ReLU and a convolution.
#[derive(Module, Debug)]
pub struct PreactUnit {
    /// Of the convolution's input.
    pub bn: BatchNorm,
    /// The convolution.
    pub conv: Convolution,
}

impl Family for PreactResNet {
    type Plan = Plan;
    type Keys = NoKeys;

    const MEMBERS: &'static [Member<Plan>] = MEMBERS;
    const GROUPS: &'static [Group] = &[Group::Weight, Group::Classifier, Group::Bias, Group::Norm];

    fn build(plan: &Plan, _: &NoKeys, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let conv1 = Convolution::new(image[0], FIRST, 3, 1, init);
        let (mut blocks, mut input) = (Vec::new(), FIRST);
        for stage in 0..3 {
            let output = plan.channels << stage;
            for block in 0..plan.blocks {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(PreactBlock::new(input, output, plan.convolutions, stride, init));
                input = output;
            }
        }
        Self {
            conv1,
            blocks,
            bn: BatchNorm::new(input, true, EPSILON, init),
            classifier: Classifier::new(input, classes, init),
        }
    }
}

impl Network for PreactResNet {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut x = self.conv1.forward(images);
        observe("conv1", &x);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, pass);
            observe(&format!("blocks.{i}"), &x);
        }
        let activated = relu(self.bn.forward(x, pass));
        Output::new(self.classifier.forward(activated), Vec::new())
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut layers = vec![self.conv1.summary("conv1", image)];
        let mut input = layers[0].output;
        for (i, block) in self.blocks.iter().enumerate() {
            let mut output = input;
            for (j, PreactUnit { bn, conv }) in block.units.iter().enumerate() {
                let layer = conv.summary(&format!("blocks.{i}.units.{j}.conv"), output);
                output = layer.output;
                layers.push(layer.with_norm(bn));
            }
            if let Some(shortcut) = &block.shortcut {
                layers.push(shortcut.summary(&format!("blocks.{i}.shortcut"), input));
            }
            input = output;
        }
        layers.push(self.classifier.summary("classifier").with_norm(&self.bn));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        let units = self.blocks.iter().flat_map(|block| &block.units);
        units.for_each(|unit| unit.bn.roles(&mut roles));
        self.bn.roles(&mut roles);
        self.classifier.roles(&mut roles);
        roles
    }
}

impl PreactBlock {
    /// The stride is that of the first 3×3 convolution.
    fn new(
        input: usize,
        output: usize,
        convolutions: &[(usize, usize)],
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        let mut channels = input;
        let strided = convolutions.iter().position(|&(kernel, _)| kernel == 3);
        let units = convolutions.iter().enumerate().map(|(j, &(kernel, share))| {
            let stride = if Some(j) == strided { stride } else { 1 };
            let unit = PreactUnit {
                bn: BatchNorm::new(channels, true, EPSILON, init),
                conv: Convolution::new(channels, output / share, kernel, stride, init),
            };
            channels = output / share;
            unit
        });
        let units = units.collect();
        Self {
            units,
            shortcut: (stride != 1 || input != output).then(|| Convolution::new(input, output, 1, stride, init)),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let mut residual = x.clone();
        let mut shortcut = x;
        for (j, PreactUnit { bn, conv }) in self.units.iter().enumerate() {
            let activated = relu(bn.forward(residual, pass));
            if let (0, Some(projection)) = (j, &self.shortcut) {
                shortcut = projection.forward(activated.clone());
            }
            residual = conv.forward(activated);
        }
        residual + shortcut
    }
}
