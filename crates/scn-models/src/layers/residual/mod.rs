//! The body of residual networks (He, Zhang, Ren & Sun, arXiv:1512.03385): a front, stages of blocks of two 3×3 layers
//! around a shortcut, pooling and a classifier. Families say which layers take the places of the convolutions.

mod block;
mod filter;
mod stem;

pub(crate) use block::subsample;
pub use block::{Block, Shortcut};
pub use filter::Filter;
pub use stem::StemKind;
pub(crate) use stem::stem_doc;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;

use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier};
use crate::network::Observer;
use crate::{Coded, CodingLayer, CodingSource, LayerSummary, Network, Output, Pass, Roles, Sparsity};

/// ε of batch norm, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// The stages of a residual network.
#[derive(Clone, Copy, Debug)]
pub struct Stages {
    /// Blocks and channels of each stage; every stage but the first halves the image.
    pub blocks: &'static [(usize, usize)],
    /// Whether shortcuts that change shape are 1×1 layers (option B) rather than subsampling with zero channels (A).
    pub projects: bool,
}

/// Those of ResNet-18.
pub const RESNET_18: Stages = Stages {
    blocks: &[(2, 64), (2, 128), (2, 256), (2, 512)],
    projects: true,
};
/// Those of ResNet-34.
pub const RESNET_34: Stages = Stages {
    blocks: &[(3, 64), (4, 128), (6, 256), (3, 512)],
    projects: true,
};

/// A residual network with `F` for its first layer and `L` for all others.
#[derive(Module, Debug)]
pub struct Residual<F: Module, L: Module> {
    /// The first layer.
    pub conv1: F,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// All blocks, stage by stage.
    pub blocks: Vec<Block<L>>,
    /// Pooling and classifier.
    pub classifier: Classifier,
    #[module(skip)]
    stem: StemKind,
}

/// A residual network but for its layers.
pub(crate) struct Frame {
    pub stages: Stages,
    pub stem: StemKind,
    /// Whether blocks add their input.
    pub shortcuts: bool,
}

impl<F: Filter, L: Filter> Residual<F, L> {
    /// For images `[channels, height, width]`.
    pub(crate) fn new(
        frame: &Frame,
        first: &F::Settings,
        others: &L::Settings,
        image: [usize; 3],
        classes: usize,
        init: &mut Initializer,
    ) -> Self {
        let Frame { stages, stem, .. } = frame;
        let filters = stages.blocks[0].1;
        let (kernel, stride) = stem.window();
        let conv1 = F::new(first, image, filters, kernel, stride, init);
        let bn1 = BatchNorm::new(filters, true, EPSILON, init);
        let mut input = stem.pooled(conv1.summary("conv1", image).output);
        let mut blocks = Vec::new();
        for (stage, &(count, filters)) in stages.blocks.iter().enumerate() {
            for block in 0..count {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(Block::new(frame, others, input, filters, stride, init));
                input = [filters, input[1].div_ceil(stride), input[2].div_ceil(stride)];
            }
        }
        Self {
            conv1,
            bn1,
            blocks,
            classifier: Classifier::new(input[0], classes, init),
            stem: *stem,
        }
    }

    /// [`Network::forward_observed`], calling `visit` with what each coding layer made.
    fn run(&self, images: Tensor<4>, pass: &Pass, observe: Observer, visit: &mut dyn FnMut(Coded)) -> Output {
        let (filtered, report) = self.conv1.filter(images.clone(), pass.sparsity());
        if report.is_some() {
            let (input, codes) = (images, filtered.clone());
            visit(Coded { input, codes });
        }
        let mut codes: Vec<_> = report.into_iter().collect();
        let mut x = self.bn1.forward(filtered, pass);
        if !self.conv1.codes() {
            x = relu(x);
        }
        if self.stem == StemKind::Imagenet {
            let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
            x = max_pool2d(x, options);
        }
        observe("conv1", &x);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, pass, &mut codes, visit);
            observe(&format!("blocks.{i}"), &x);
        }
        Output::new(self.classifier.forward(x), codes)
    }
}

impl<F: Filter, L: Filter> Network for Residual<F, L> {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        self.run(images, pass, observe, &mut |_| {})
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut layers = vec![self.conv1.summary("conv1", image).with_norm(&self.bn1)];
        let mut input = self.stem.pooled(layers[0].output);
        for (i, block) in self.blocks.iter().enumerate() {
            input = block.summarize(&format!("blocks.{i}"), input, &mut layers);
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.conv1.roles(&mut roles);
        self.bn1.roles(&mut roles);
        for block in &self.blocks {
            block.roles(&mut roles);
        }
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let mut layers: Vec<_> = self
            .conv1
            .coding_layer("conv1".into(), CodingSource::Before)
            .into_iter()
            .collect();
        for (i, block) in self.blocks.iter().enumerate() {
            let input = match (i, self.stem) {
                (0, StemKind::Cifar) if self.conv1.codes() => CodingSource::Normalized(self.bn1.scale()),
                (0, StemKind::Cifar | StemKind::Imagenet) => CodingSource::Other("the output of the front"),
                (1.., _) => CodingSource::Other("the output of the block before"),
            };
            layers.extend(block.coding_layers(&format!("blocks.{i}"), input));
        }
        layers
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let mut coded = Vec::new();
        self.run(images, &Pass::EVALUATION, &mut |_, _| {}, &mut |layer| {
            coded.push(layer)
        });
        coded
    }

    fn sparsity(&self) -> Option<Sparsity> {
        self.conv1.sparsity()
    }

    fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        self.conv1.residual(images)
    }

    fn refresh(self) -> Self {
        Self {
            conv1: self.conv1.refresh(),
            blocks: self.blocks.into_iter().map(Block::refresh).collect(),
            ..self
        }
    }
}
