//! Residual networks (He, Zhang, Ren & Sun, arXiv:1512.03385): ResNet-18 and -34 with projection shortcuts, and ResNet-20,
//! -56 and -110 of section 4.2 with parameter-free shortcuts; SDNet-18 and -34 (Dai et al., arXiv:2210.12945), where a
//! convolutional sparse-coding layer takes the place of the first convolution, SDNet-18-all, where such layers take the
//! places of all; and SCN-18, with a sparse-coding layer of an SCN in front.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Slice, Tensor};

use super::Observer;
use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier, Filters};
use crate::{LayerSummary, ModelKind, Output, Pass, ResidualConfig, Sparsity, StemKind};

/// ε of batch norm, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// Blocks and channels of each stage; every stage but the first halves the image.
fn stages(kind: ModelKind) -> &'static [(usize, usize)] {
    match kind {
        ModelKind::Resnet34 | ModelKind::Sdnet34 => &[(3, 64), (4, 128), (6, 256), (3, 512)],
        ModelKind::Resnet20 => &[(3, 16), (3, 32), (3, 64)],
        ModelKind::Resnet56 => &[(9, 16), (9, 32), (9, 64)],
        ModelKind::Resnet110 => &[(18, 16), (18, 32), (18, 64)],
        _ => &[(2, 64), (2, 128), (2, 256), (2, 512)],
    }
}

/// Whether shortcuts that change shape are 1×1 convolutions (option B) rather than subsampling with zero channels (A).
fn projects(kind: ModelKind) -> bool {
    !matches!(kind, ModelKind::Resnet20 | ModelKind::Resnet56 | ModelKind::Resnet110)
}

/// A residual network.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first layer.
    pub conv1: Filters,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// All blocks, stage by stage.
    pub blocks: Vec<Block>,
    /// Pooling and classifier.
    pub classifier: Classifier,
    #[module(skip)]
    stem: StemKind,
}

/// Two 3×3 layers around a shortcut.
#[derive(Module, Debug)]
pub struct Block {
    /// First layer; carries the stride.
    pub conv1: Filters,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// Second layer.
    pub conv2: Filters,
    /// Its batch norm.
    pub bn2: BatchNorm,
    /// The projection, where the shape changes and the network projects.
    pub shortcut: Option<Shortcut>,
    stride: usize,
    adds_input: bool,
}

/// A 1×1 layer with batch norm.
#[derive(Module, Debug)]
pub struct Shortcut {
    /// The projection.
    pub conv: Filters,
    /// Its batch norm.
    pub bn: BatchNorm,
}

impl ResNet {
    /// For images `[channels, height, width]`.
    pub(crate) fn new(config: &ResidualConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let stages = stages(config.kind);
        let filters = stages[0].1;
        let (kernel, stride) = match config.stem {
            StemKind::Cifar => (3, 1),
            StemKind::Imagenet => (7, 2),
        };
        let conv1 = Filters::new(&config.first, image, filters, kernel, stride, init);
        let bn1 = BatchNorm::new(filters, true, EPSILON, init);
        let mut input = pooled(config.stem, conv1.summary("conv1", image).output);
        let mut blocks = Vec::new();
        for (stage, &(count, filters)) in stages.iter().enumerate() {
            for block in 0..count {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(Block::new(config, input, filters, stride, init));
                input = [filters, input[1].div_ceil(stride), input[2].div_ceil(stride)];
            }
        }
        Self {
            conv1,
            bn1,
            blocks,
            classifier: Classifier::new(input[0], classes, init),
            stem: config.stem,
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let (filtered, solves) = self.conv1.forward(images, pass.sparsity());
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
            x = block.forward(x, pass);
            observe(&format!("blocks.{i}"), &x);
        }
        Output {
            logits: self.classifier.forward(x),
            solves: solves.into_iter().collect(),
        }
    }

    /// See [`super::Model::sparsity`].
    pub(crate) fn sparsity(&self) -> Option<Sparsity> {
        match &self.conv1 {
            Filters::Convolution(_) => None,
            Filters::ConvolutionalCoding(coding) => Some(Sparsity::Lambda(coding.lambda())),
            Filters::SparseCoding(_) => Some(Sparsity::Factor),
        }
    }

    /// See [`super::Model::residual`].
    pub(crate) fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        match &self.conv1 {
            Filters::Convolution(_) => None,
            Filters::ConvolutionalCoding(coding) => Some(coding.residual(images)),
            Filters::SparseCoding(coding) => Some(coding.residual(images, None)),
        }
    }

    /// λ₁ of the first layer, where it is a sparse-coding layer, `[1]` or `[n]`.
    pub(crate) fn lambda1(&self) -> Option<Tensor<1>> {
        match &self.conv1 {
            Filters::SparseCoding(coding) => Some(coding.lambda1.val()),
            Filters::Convolution(_) | Filters::ConvolutionalCoding(_) => None,
        }
    }

    /// See [`super::Model::project`].
    pub(crate) fn project(self) -> Self {
        Self {
            conv1: self.conv1.project(),
            blocks: self.blocks.into_iter().map(Block::project).collect(),
            ..self
        }
    }

    pub(crate) fn summary(&self, input: [usize; 3]) -> Vec<LayerSummary> {
        let with_norm = |mut layer: LayerSummary, norm: &BatchNorm| {
            layer.parameters += norm.parameters();
            layer
        };
        let mut layers = vec![with_norm(self.conv1.summary("conv1", input), &self.bn1)];
        let mut input = pooled(self.stem, layers[0].output);
        for (i, block) in self.blocks.iter().enumerate() {
            let first = with_norm(block.conv1.summary(&format!("blocks.{i}.conv1"), input), &block.bn1);
            let second = with_norm(
                block.conv2.summary(&format!("blocks.{i}.conv2"), first.output),
                &block.bn2,
            );
            let output = second.output;
            layers.extend([first, second]);
            if let Some(Shortcut { conv, bn }) = &block.shortcut {
                layers.push(with_norm(conv.summary(&format!("blocks.{i}.shortcut.conv"), input), bn));
            }
            input = output;
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }
}

/// The shape `[c, h, w]` behind the first layer's pooling.
fn pooled(stem: StemKind, [channels, height, width]: [usize; 3]) -> [usize; 3] {
    match stem {
        StemKind::Cifar => [channels, height, width],
        StemKind::Imagenet => [channels, height.div_ceil(2), width.div_ceil(2)],
    }
}

impl Block {
    /// For inputs `[channels, height, width]`.
    fn new(config: &ResidualConfig, input: [usize; 3], filters: usize, stride: usize, init: &mut Initializer) -> Self {
        let layer = &config.others;
        let inner = [filters, input[1].div_ceil(stride), input[2].div_ceil(stride)];
        let changes = stride != 1 || input[0] != filters;
        Self {
            conv1: Filters::new(layer, input, filters, 3, stride, init),
            bn1: BatchNorm::new(filters, true, EPSILON, init),
            conv2: Filters::new(layer, inner, filters, 3, 1, init),
            bn2: BatchNorm::new(filters, true, EPSILON, init),
            shortcut: (config.shortcuts && projects(config.kind) && changes).then(|| Shortcut {
                conv: Filters::new(layer, input, filters, 1, stride, init),
                bn: BatchNorm::new(filters, true, EPSILON, init),
            }),
            stride,
            adds_input: config.shortcuts,
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let (filtered, _) = self.conv1.forward(x.clone(), None);
        let normalized = self.bn1.forward(filtered, pass);
        let inner = match self.conv1.codes() {
            true => normalized,
            false => relu(normalized),
        };
        let (filtered, _) = self.conv2.forward(inner, None);
        let residual = self.bn2.forward(filtered, pass);
        if !self.adds_input {
            return relu(residual);
        }
        let shortcut = match &self.shortcut {
            Some(Shortcut { conv, bn }) => bn.forward(conv.forward(x, None).0, pass),
            None => subsample(x, self.stride, residual.dims()[1]),
        };
        relu(residual + shortcut)
    }

    fn project(self) -> Self {
        Self {
            conv1: self.conv1.project(),
            conv2: self.conv2.project(),
            shortcut: self.shortcut.map(|Shortcut { conv, bn }| Shortcut {
                conv: conv.project(),
                bn,
            }),
            ..self
        }
    }
}

/// Every `stride`-th pixel, with channels of zeros added in equal parts before and after (option A).
fn subsample(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    let every = Slice::new(0, None, stride as isize);
    let x = if stride == 1 {
        x
    } else {
        x.slice_dim(2, every).slice_dim(3, every)
    };
    let [batch, input, height, width] = x.dims();
    if input == channels {
        return x;
    }
    let before = Tensor::zeros([batch, (channels - input) / 2, height, width], &x.device());
    let after = Tensor::zeros(
        [batch, channels - input - (channels - input) / 2, height, width],
        &x.device(),
    );
    Tensor::cat(vec![before, x, after], 1)
}
