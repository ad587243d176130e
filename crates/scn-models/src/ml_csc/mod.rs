//! ML-CSC, the multi-layer convolutional sparse model `x = D₁γ₁, γ₁ = D₂γ₂, …` (Papyan, Romano & Elad, arXiv:1607.08194)
//! as a network (Sulam, Aberdam, Beck & Elad, arXiv:1806.00701): a pursuit finds the codes of all layers, and a classifier
//! takes the deepest ones, directly or through plain convolutions.

mod config;
mod convolution;
mod layer;
mod plan;
mod pursuit;
mod step;

pub use config::{BasisPursuitConfig, MlCscConfig, StepSize, ThresholdConfig};
pub use convolution::PooledConvolution;
pub use layer::{DictionaryLayer, Encoder, LearnedSize, Rule, Solved};
pub use pursuit::Pursuit;

use burn::module::Module;
use burn::tensor::Tensor;

use self::plan::Shapes;
use self::step::Step;
use crate::family::{Family, Member};
use crate::initialization::Initializer;
use crate::layers::{Classifier, active_codes, image_means, relative_residual};
use crate::network::Observer;
use crate::{
    Coded, CodingLayer, CodingReport, CodingSource, CodingUnit, Group, ImageCodes, LayerSummary, Misfit, Network,
    Output, Pass, Roles, Sparsity, Unused,
};

/// Images of a batch whose residual is reported: it takes two convolutions a layer.
const REPORTED: usize = 1;

/// A multi-layer convolutional sparse model with a classifier.
#[derive(Module, Debug)]
pub struct MlCsc {
    /// The dictionaries, from the image on.
    pub layers: Vec<DictionaryLayer>,
    /// Plain convolutions of the deepest codes.
    pub convolutions: Vec<PooledConvolution>,
    /// Pooling and classifier.
    pub classifier: Classifier,
    #[module(skip)]
    keys: MlCscConfig,
}

impl Family for MlCsc {
    type Plan = ();
    type Keys = MlCscConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "ml-csc",
        doc: "Multi-layer convolutional sparse coding: ML-ISTA and other pursuits (Sulam et al., arXiv:1806.00701).",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[
        Group::Weight,
        Group::Dictionary,
        Group::Classifier,
        Group::Sparsity,
        Group::Bias,
    ];

    fn unused(keys: &MlCscConfig) -> Vec<Unused> {
        keys.unused()
    }

    fn misfit(_: &(), keys: &MlCscConfig, image: [usize; 3]) -> Option<Misfit> {
        keys.misfit(image)
    }

    fn build(_: &(), keys: &MlCscConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let shapes = shapes(keys, image);
        let mut input = image;
        let mut layers = Vec::new();
        for (row, codes) in keys.layers.iter().zip(shapes.codes) {
            layers.push(DictionaryLayer::new(keys, *row, input, codes, init));
            input = codes;
        }
        let mut convolutions = Vec::new();
        for (row, output) in keys.convolutions.iter().zip(shapes.convolutions) {
            convolutions.push(PooledConvolution::new(input[0], *row, init));
            input = output;
        }
        Self {
            layers,
            convolutions,
            classifier: Classifier::uniform(input[0], classes, init),
            keys: keys.clone(),
        }
    }
}

/// The shapes of a plan that fits the images.
///
/// # Panics
/// Where it does not, which [`crate::Model`] has refused.
fn shapes(keys: &MlCscConfig, image: [usize; 3]) -> Shapes {
    match keys.shapes(image) {
        Ok(shapes) => shapes,
        Err(misfit) => panic!("{misfit:?}"),
    }
}

impl MlCsc {
    /// Unfoldings that are made.
    fn unfoldings(&self) -> usize {
        match self.keys.pursuit.unfolds() {
            true => self.keys.unfoldings,
            false => 0,
        }
    }

    /// The codes `[b, n, h', w']` of all layers of `images [b, c, h, w]`, with thresholds times `factor`, `[1]` or one value
    /// for each image `[b]`.
    pub fn codes(&self, images: &Tensor<4>, factor: Option<&Tensor<1>>) -> Vec<Tensor<4>> {
        let steps: Vec<Step> = self.layers.iter().map(|layer| layer.step(factor, true)).collect();
        self.keys.pursuit.codes(&steps, images, self.unfoldings())
    }

    /// What is told of the codes of all layers of `images [b, c, h, w]`: how many are not 0 in all images, and how far a
    /// step moves those of the first [`REPORTED`].
    fn reports(&self, images: &Tensor<4>, codes: &[Tensor<4>], factor: Option<&Tensor<1>>) -> Vec<CodingReport> {
        let count = REPORTED.min(images.dims()[0]);
        let first = |values: &Tensor<4>| values.clone().without_autodiff().slice_dim(0, 0..count);
        let factor = factor.map(|factor| match factor.dims() {
            [1] => factor.clone().without_autodiff(),
            _ => factor.clone().without_autodiff().slice_dim(0, 0..count),
        });
        let mut signal = first(images);
        let report = |(layer, codes): (&DictionaryLayer, &Tensor<4>)| {
            let [_, _, height, width] = codes.dims();
            let reported = first(codes);
            let next = layer
                .step(factor.as_ref(), false)
                .step(signal.clone(), reported.clone());
            signal = reported.clone();
            CodingReport::Images(ImageCodes {
                steps: layer.steps(self.unfoldings()),
                residual: relative_residual(reported, next),
                active: active_codes(&codes.clone().without_autodiff()),
                pixels: height * width,
            })
        };
        self.layers.iter().zip(codes).map(report).collect()
    }
}

impl Network for MlCsc {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let factor = pass.sparsity();
        let codes = self.codes(&images, factor);
        for (i, codes) in codes.iter().enumerate() {
            observe(&format!("layers.{i}"), codes);
        }
        let reports = self.reports(&images, &codes, factor);
        let mut x = codes.into_iter().next_back().unwrap_or(images);
        for (i, convolution) in self.convolutions.iter().enumerate() {
            x = convolution.forward(x);
            observe(&format!("convolutions.{i}"), &x);
        }
        Output::new(self.classifier.forward(x), reports)
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let shapes = shapes(&self.keys, image);
        let mut layers = Vec::new();
        for (i, (layer, codes)) in self.layers.iter().zip(&shapes.codes).enumerate() {
            let name = format!("layers.{i}");
            layers.push(layer.summary(&name, *codes, self.keys.pursuit, self.unfoldings(), i > 0));
        }
        let mut input = shapes.codes.last().copied().unwrap_or(image);
        for (i, (convolution, output)) in self.convolutions.iter().zip(shapes.convolutions).enumerate() {
            layers.push(convolution.summary(&format!("convolutions.{i}"), input, output));
            input = output;
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.layers.iter().for_each(|layer| layer.roles(&mut roles));
        self.convolutions
            .iter()
            .for_each(|convolution| convolution.roles(&mut roles));
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let coding = |(i, layer): (usize, &DictionaryLayer)| CodingLayer {
            name: format!("layers.{i}"),
            lambda1: layer.lambda1(),
            ridge: layer.ridge(),
            weight: layer.weight.val().without_autodiff(),
            placement: layer.placement(),
            unit: CodingUnit::Image,
            source: CodingSource::Before,
        };
        self.layers.iter().enumerate().map(coding).collect()
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let codes = self.codes(&images, None);
        let inputs = std::iter::once(images).chain(codes.clone());
        let coded = inputs.zip(codes).map(|(input, codes)| Coded { input, codes });
        coded.collect()
    }

    fn sparsity(&self) -> Option<Sparsity> {
        Some(Sparsity::Factor)
    }

    fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let [_, _, height, width] = images.dims();
        let codes = self.codes(&images, None).into_iter().next()?;
        let signal = self.layers.first()?.signal(codes, [height, width]);
        Some(image_means((images - signal).powi_scalar(2)))
    }

    fn refresh(self) -> Self {
        self.layers.iter().for_each(DictionaryLayer::refresh);
        self
    }
}
