//! The registry of models.

mod preactivation;
mod resnet;
mod scn;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use preactivation::PreactResNet;
pub use resnet::{Block, ResNet, Shortcut};
pub use scn::Scn;

use crate::initialization::Initializer;
use crate::{LayerSummary, ModelConfig, ModelError, Output, Pass, ResolvedModel, Sparsity, Summary};

/// A trainable network, images in, logits out.
#[derive(Module, Debug)]
pub enum Model {
    /// A deep sparse coding network.
    Scn(Scn),
    /// A residual network.
    ResNet(ResNet),
    /// A pre-activation residual network.
    PreactResNet(PreactResNet),
}

/// Called with the name and the output `[b, n, h, w]` of each layer as it is computed.
pub(crate) type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor<4>);

impl Model {
    /// Builds a model for images `[channels, height, width]` on `device`; a seed gives the same weights on every device.
    ///
    /// # Errors
    /// As [`ModelConfig::resolve`].
    pub fn new(
        config: &ModelConfig,
        image: [usize; 3],
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::build(config, image, classes, &mut Initializer::new(seed, device))
    }

    /// A model whose tensors are all 0, for a file's values to take their places.
    ///
    /// # Errors
    /// As [`ModelConfig::resolve`].
    pub fn empty(config: &ModelConfig, image: [usize; 3], classes: usize, device: &Device) -> Result<Self, ModelError> {
        Self::build(config, image, classes, &mut Initializer::empty(device))
    }

    fn build(
        config: &ModelConfig,
        image: [usize; 3],
        classes: usize,
        init: &mut Initializer,
    ) -> Result<Self, ModelError> {
        Ok(match config.resolve()? {
            ResolvedModel::Scn {
                width,
                first_width,
                kernel,
                solver,
                lambda1,
            } => Model::Scn(Scn::new(
                image[0],
                classes,
                width,
                first_width,
                kernel,
                &lambda1,
                solver.options(),
                init,
            )),
            ResolvedModel::PreactResNet(kind) => Model::PreactResNet(PreactResNet::new(kind, image[0], classes, init)),
            ResolvedModel::ResNet(config) => Model::ResNet(ResNet::new(&config, image, classes, init)),
        })
    }

    /// Logits `[b, classes]` of `images [b, c, h, w]`: in training on a device with autodiff, in evaluation elsewhere.
    pub fn forward(&self, images: Tensor<4>) -> Output {
        self.forward_observed(images, &mut |_, _| {})
    }

    /// As [`Model::forward`], calling `observe` with the name and output of each layer.
    pub fn forward_observed(&self, images: Tensor<4>, observe: &mut dyn FnMut(&str, &Tensor<4>)) -> Output {
        let pass = Pass::on(&images.device());
        self.compute(images, &pass, observe)
    }

    /// Logits `[b, classes]` of `images [b, c, h, w]`, on any device.
    pub fn forward_as(&self, images: Tensor<4>, pass: &Pass) -> Output {
        self.compute(images, pass, &mut |_, _| {})
    }

    fn compute(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        match self {
            Model::Scn(scn) => scn.forward(images, pass, observe),
            Model::ResNet(resnet) => resnet.forward(images, pass, observe),
            Model::PreactResNet(resnet) => resnet.forward(images, pass, observe),
        }
    }

    /// What [`Pass::Evaluation`] can change about the sparsity of its codes.
    pub fn sparsity(&self) -> Option<Sparsity> {
        match self {
            Model::Scn(_) => Some(Sparsity::Factor),
            Model::ResNet(resnet) => resnet.sparsity(),
            Model::PreactResNet(_) => None,
        }
    }

    /// How far the codes of the first layer, as sparse as in training, are from the images: the mean square over the values
    /// of each of `images [b, c, h, w]`, `[b]`. `None` for networks without codes.
    pub fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        match self {
            Model::Scn(scn) => scn.residual(images),
            Model::ResNet(resnet) => resnet.residual(images),
            Model::PreactResNet(_) => None,
        }
    }

    /// Puts the weights back where they are to be after a training step: atoms of convolutional sparse-coding layers on
    /// the unit sphere, and their step sizes with them.
    pub fn project(self) -> Self {
        match self {
            Model::ResNet(resnet) => Model::ResNet(resnet.project()),
            Model::Scn(_) | Model::PreactResNet(_) => self,
        }
    }

    /// Names of the sparse-coding layers, in the order of [`Output::solves`].
    pub fn sparse_coding_layers(&self) -> Vec<String> {
        match self {
            Model::Scn(scn) => scn.layer_names(),
            Model::ResNet(resnet) => resnet.lambda1().map(|_| "conv1".to_string()).into_iter().collect(),
            Model::PreactResNet(_) => Vec::new(),
        }
    }

    /// λ₁ of each sparse-coding layer, `[1]` or `[n]`.
    pub fn lambda1(&self) -> Vec<Tensor<1>> {
        match self {
            Model::Scn(scn) => scn.layers.iter().map(|layer| layer.coding.lambda1.val()).collect(),
            Model::ResNet(resnet) => resnet.lambda1().into_iter().collect(),
            Model::PreactResNet(_) => Vec::new(),
        }
    }

    /// Layers, parameters and arithmetic on images of this size.
    pub fn summary(&self, name: &str, input: [usize; 3]) -> Summary {
        let layers: Vec<LayerSummary> = match self {
            Model::Scn(scn) => scn.summary(input),
            Model::ResNet(resnet) => resnet.summary(input),
            Model::PreactResNet(resnet) => resnet.summary(input),
        };
        Summary {
            model: name.into(),
            input,
            layers,
        }
    }
}
