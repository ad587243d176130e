//! What training, evaluation and studies ask of any network.

use burn::module::Module;
use burn::tensor::Tensor;
use scn_ops::Placement;

use crate::roles::{Roles, constrain};
use crate::{LayerSummary, Output, Pass, Sparsity, Summary};

/// Called with the name and the output `[b, n, h, w]` of each layer as it is computed.
pub type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor<4>);

/// A layer whose output is sparse codes.
#[derive(Clone, Debug)]
pub struct CodingLayer {
    /// Its name, as in a checkpoint.
    pub name: String,
    /// The weight of the 1-norm of its codes as it is now, `[1]` or one for each atom `[n]`.
    pub lambda1: Tensor<1>,
    /// The ridge, the weight of half the squared 2-norm of its codes.
    pub ridge: f64,
    /// Its dictionary, one atom for each channel of its codes: `[n, c, k, k]`.
    pub weight: Tensor<4>,
    /// Where the atoms lie.
    pub placement: Placement,
    /// What one problem of it is.
    pub unit: CodingUnit,
    /// What it codes.
    pub source: CodingSource,
}

/// What a coding layer codes as one problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodingUnit {
    /// Each window of its input alone, as the layers of an SCN do.
    Window,
    /// The image whole, as convolutional sparse coding does.
    Image,
}

/// What a coding layer codes.
// A layer has one: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum CodingSource {
    /// The codes of the coding layer before it, or the images.
    Before,
    /// The same behind a batch norm, which multiplies channels by these factors in evaluation: `[c]`.
    Normalized(Tensor<1>),
    /// Something else, in words.
    Other(&'static str),
}

/// What a coding layer made of a batch.
#[derive(Clone, Debug)]
pub struct Coded {
    /// What it coded, as its dictionary met it: `[b, c, h, w]`.
    pub input: Tensor<4>,
    /// Its codes, before anything else is done to them: `[b, n, h', w']`.
    pub codes: Tensor<4>,
}

/// A layer that reports of what it solves.
#[derive(Clone, Debug)]
pub struct Reporting {
    /// Its name.
    pub name: String,
    /// The weight of the 1-norm of its codes, as [`CodingLayer::lambda1`]; `None` where what it solves for is not sparse.
    pub lambda1: Option<Tensor<1>>,
}

/// A trainable network, images in, logits out.
pub trait Network: Module {
    /// Logits of `images [b, c, h, w]` and what the coding layers report, calling `observe` with the name and output of
    /// each layer.
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output;

    /// Layers with parameters, their shapes and arithmetic on images `[channels, height, width]`.
    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary>;

    /// What training does with the parameters.
    fn roles(&self) -> Roles;

    /// The coding layers, in the order of their reports.
    fn coding_layers(&self) -> Vec<CodingLayer> {
        Vec::new()
    }

    /// What reports in [`Output::codes`], in its order: the coding layers, unless a network says otherwise.
    fn reporting(&self) -> Vec<Reporting> {
        let of_layer = |layer: CodingLayer| Reporting {
            name: layer.name,
            lambda1: Some(layer.lambda1),
        };
        self.coding_layers().into_iter().map(of_layer).collect()
    }

    /// What the coding layers make of `images [b, c, h, w]` in evaluation, in the order of [`Network::coding_layers`].
    fn coded(&self, _images: Tensor<4>) -> Vec<Coded> {
        Vec::new()
    }

    /// What [`Pass::Evaluation`] can change about the sparsity of its codes.
    fn sparsity(&self) -> Option<Sparsity> {
        None
    }

    /// How far the codes of the first layer, as sparse as in training, are from the images: the mean square over the
    /// values of each of `images [b, c, h, w]`, `[b]`. `None` for networks without codes.
    fn residual(&self, _images: Tensor<4>) -> Option<Tensor<1>> {
        None
    }

    /// Brings what follows from the parameters up to date after they have moved, such as step sizes.
    #[must_use]
    fn refresh(self) -> Self {
        self
    }

    /// Logits of `images [b, c, h, w]` and what the coding layers report.
    fn forward(&self, images: Tensor<4>, pass: &Pass) -> Output {
        self.forward_observed(images, pass, &mut |_, _| {})
    }

    /// Puts parameters that came from elsewhere where their roles want them, and refreshes what follows from them.
    #[must_use]
    fn project(self) -> Self {
        let roles = self.roles();
        constrain(self, &roles).refresh()
    }

    /// Layers, parameters and arithmetic on images of this size.
    fn summary(&self, name: &str, image: [usize; 3]) -> Summary {
        Summary {
            model: name.into(),
            input: image,
            layers: self.layers(image),
        }
    }
}
