//! Residual networks for small images (He, Zhang, Ren & Sun, arXiv:1512.03385): ResNet-18 and -34 with a 3×3 stem and
//! projection shortcuts, and ResNet-20, -56 and -110 of section 4.2 with parameter-free shortcuts; and SDNet-18 and -34
//! (Dai et al., arXiv:2210.12945), where a convolutional sparse-coding layer takes the place of the first convolution.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Slice, Tensor};

use super::Observer;
use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier, Convolution, ConvolutionalCoding};
use crate::{CscConfig, LayerSummary, ModelKind, Output};

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
    /// 3×3 stem.
    pub conv1: Stem,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// All blocks, stage by stage.
    pub blocks: Vec<Block>,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

/// The first layer of a residual network.
#[derive(Module, Debug)]
pub enum Stem {
    /// ResNet: batch norm and ReLU follow.
    Convolution(Convolution),
    /// SDNet: its codes are sparse, only batch norm follows.
    Coding(ConvolutionalCoding),
}

/// Two 3×3 convolutions around a shortcut.
#[derive(Module, Debug)]
pub struct Block {
    /// First convolution; carries the stride.
    pub conv1: Convolution,
    /// Its batch norm.
    pub bn1: BatchNorm,
    /// Second convolution.
    pub conv2: Convolution,
    /// Its batch norm.
    pub bn2: BatchNorm,
    /// The projection, where the shape changes and the network projects.
    pub shortcut: Option<Shortcut>,
    stride: usize,
}

/// A 1×1 convolution with batch norm.
#[derive(Module, Debug)]
pub struct Shortcut {
    /// The projection.
    pub conv: Convolution,
    /// Its batch norm.
    pub bn: BatchNorm,
}

impl ResNet {
    /// For images `[channels, height, width]`; with `csc` an SDNet.
    pub(crate) fn new(
        kind: ModelKind,
        csc: Option<&CscConfig>,
        image: [usize; 3],
        classes: usize,
        init: &mut Initializer,
    ) -> Self {
        let stages = stages(kind);
        let mut input = stages[0].1;
        let conv1 = match csc {
            Some(csc) => Stem::Coding(ConvolutionalCoding::new(image, input, 3, 1, csc, init)),
            None => Stem::Convolution(Convolution::new(image[0], input, 3, 1, init)),
        };
        let bn1 = BatchNorm::new(input, true, EPSILON, init);
        let mut blocks = Vec::new();
        for (stage, &(count, filters)) in stages.iter().enumerate() {
            for block in 0..count {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(Block::new(input, filters, stride, projects(kind), init));
                input = filters;
            }
        }
        Self {
            conv1,
            bn1,
            blocks,
            classifier: Classifier::new(input, classes, init),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>, observe: Observer) -> Output {
        let mut x = match &self.conv1 {
            Stem::Convolution(convolution) => relu(self.bn1.forward(convolution.forward(images))),
            Stem::Coding(coding) => self.bn1.forward(coding.forward_trained(images)),
        };
        observe("conv1", &x);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x);
            observe(&format!("blocks.{i}"), &x);
        }
        Output {
            logits: self.classifier.forward(x),
            solves: Vec::new(),
        }
    }

    /// See [`super::Model::project`].
    pub(crate) fn project(self) -> Self {
        let conv1 = match self.conv1 {
            Stem::Coding(coding) => Stem::Coding(coding.project()),
            Stem::Convolution(_) => return self,
        };
        Self { conv1, ..self }
    }

    pub(crate) fn summary(&self, input: [usize; 3]) -> Vec<LayerSummary> {
        let with_norm = |mut layer: LayerSummary, norm: &BatchNorm| {
            layer.parameters += norm.parameters();
            layer
        };
        let stem = match &self.conv1 {
            Stem::Convolution(convolution) => convolution.summary("conv1", input),
            Stem::Coding(coding) => coding.summary("conv1", input),
        };
        let mut layers = vec![with_norm(stem, &self.bn1)];
        let mut input = layers[0].output;
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

impl Block {
    fn new(input: usize, filters: usize, stride: usize, projects: bool, init: &mut Initializer) -> Self {
        Self {
            conv1: Convolution::new(input, filters, 3, stride, init),
            bn1: BatchNorm::new(filters, true, EPSILON, init),
            conv2: Convolution::new(filters, filters, 3, 1, init),
            bn2: BatchNorm::new(filters, true, EPSILON, init),
            shortcut: (projects && (stride != 1 || input != filters)).then(|| Shortcut {
                conv: Convolution::new(input, filters, 1, stride, init),
                bn: BatchNorm::new(filters, true, EPSILON, init),
            }),
            stride,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let residual = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let residual = self.bn2.forward(self.conv2.forward(residual));
        let shortcut = match &self.shortcut {
            Some(Shortcut { conv, bn }) => bn.forward(conv.forward(x)),
            None => subsample(x, self.stride, residual.dims()[1]),
        };
        relu(residual + shortcut)
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
