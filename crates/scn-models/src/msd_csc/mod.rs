//! MSD-CSC, the mixed-scale dense network as multi-layer convolutional sparse coding (Zhang & Zhang, National Science
//! Review 8(3):nwaa159, 2021): the dictionary of layer i is `Dᵢ = [I Fᵢᵀ]` with a dilated convolution Fᵢ, so that a code
//! `γᵢ₊₁` holds what is left of the signal `γᵢ` and the channels that Fᵢ adds. The first estimate is
//!
//! ```text
//! γᵢ₊₁ = ReLU(BN(cᵢ·[γᵢ ; Fᵢγᵢ]))
//! ```
//!
//! and an unfolding goes down, `γᵢ = Dᵢγᵢ₊₁`, from the deepest code of a block, whose input stays, and up again,
//!
//! ```text
//! γᵢ₊₁ = ReLU(BN(γᵢ₊₁ − cᵢ·Dᵢᵀ(Dᵢγᵢ₊₁ − γᵢ)))
//! ```
//!
//! with the same batch norms, but for their running statistics, which each pass has of its own. Without batch norms
//! thresholds bᵢ are learned, which they would cancel.

mod layer;

pub use layer::CodingLayer;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::family::{Family, Member, Unused};
use crate::initialization::Initializer;
use crate::layers::mixed_scale::{Block, MixedScale, Plan, mixed_scale_keys};
use crate::{Coded, CodingReport, CodingSource, CodingUnit, Group, LayerSummary, Misfit, Pass, Roles};
use layer::Parts;

/// A mixed-scale network of coding layers.
pub type MsdCsc = MixedScale<CodingBlock>;

mixed_scale_keys! {
    /// The keys of MSD-CSC.
    pub struct MsdCscConfig {
        /// Iterations after the first estimate of the codes; with 0 the network is feed-forward.
        pub unfoldings: usize = default(1).within(whole(0, 1000)),
        /// MSD-CSC: whether batch norm takes the channels that a layer keeps too, as published, and not only those that it adds.
        pub normalize_kept: bool = default(true),
    }
}

impl Family for MsdCsc {
    type Plan = ();
    type Keys = MsdCscConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "msd-csc",
        doc: "MSD-CSC: multi-layer sparse coding with dictionaries [I Fᵀ] (Zhang & Zhang, 2021).",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[
        Group::Weight,
        Group::Dictionary,
        Group::Classifier,
        Group::Bias,
        Group::Norm,
    ];

    fn unused(keys: &MsdCscConfig) -> Vec<Unused> {
        if keys.batch_norm || keys.normalize_kept {
            return Vec::new();
        }
        vec![Unused {
            key: "normalize_kept",
            found: keys.normalize_kept.to_string(),
            because: "model.batch_norm is false",
            expected: "it with model.batch_norm only",
        }]
    }

    fn misfit(_: &(), keys: &MsdCscConfig, image: [usize; 3]) -> Option<Misfit> {
        keys.plan().misfit(image)
    }

    fn build(_: &(), keys: &MsdCscConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        Self::new(&keys.plan(), keys, image[0], classes, init)
    }
}

/// Coding layers, each of the code of the one before.
#[derive(Module, Debug)]
pub struct CodingBlock {
    /// In order.
    pub layers: Vec<CodingLayer>,
    unfoldings: usize,
}

impl CodingBlock {
    /// The signals of all layers of the block's input `x [b, m, h, w]`, each but the first the code of the layer before, and
    /// the deepest code.
    fn pursue(&self, x: Tensor<4>, pass: &Pass) -> (Vec<Tensor<4>>, Tensor<4>) {
        let mut deepest = x.clone();
        let mut signals = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            signals.push(deepest.clone());
            deepest = layer.estimate(deepest, pass);
        }
        for unfolding in 0..self.unfoldings {
            // Of each layer the code and what its dictionary makes of it: the way up meets the same codes as the way down.
            let mut down: Vec<(Parts, Tensor<4>)> = Vec::with_capacity(self.layers.len());
            for layer in self.layers.iter().rev() {
                let parts = layer.parts(deepest);
                deepest = layer.synthesize(&parts);
                down.push((parts, deepest.clone()));
            }
            deepest = x.clone();
            for ((layer, signal), (parts, synthesis)) in
                self.layers.iter().zip(&mut signals).zip(down.into_iter().rev())
            {
                *signal = deepest.clone();
                deepest = layer.step(parts, deepest - synthesis, unfolding, pass);
            }
        }
        (signals, deepest)
    }
}

impl Block for CodingBlock {
    type Settings = MsdCscConfig;

    fn new(keys: &MsdCscConfig, channels: usize, plan: &Plan, init: &mut Initializer) -> Self {
        let layer = |(input, dilation)| CodingLayer::new(input, dilation, keys, init);
        Self {
            layers: plan.layers(channels).map(layer).collect(),
            unfoldings: keys.unfoldings,
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass, codes: &mut Vec<CodingReport>) -> Tensor<4> {
        let (signals, deepest) = self.pursue(x, pass);
        let found = signals.iter().skip(1).chain([&deepest]);
        let reports = self.layers.iter().zip(&signals).zip(found);
        codes.extend(reports.map(|((layer, signal), found)| layer.report(signal, found, self.unfoldings)));
        deepest
    }

    fn layers(&self, name: &str, input: [usize; 3]) -> Vec<LayerSummary> {
        let summary =
            |(i, layer): (usize, &CodingLayer)| layer.summary(&format!("{name}.layers.{i}"), input, self.unfoldings);
        self.layers.iter().enumerate().map(summary).collect()
    }

    fn roles(&self, roles: &mut Roles) {
        self.layers.iter().for_each(|layer| layer.roles(roles));
    }

    fn coding_layers(&self, name: &str) -> Vec<crate::CodingLayer> {
        let described = |(i, layer): (usize, &CodingLayer)| crate::CodingLayer {
            name: format!("{name}.layers.{i}"),
            lambda1: layer.lambda(),
            ridge: 0.0,
            weight: layer.dictionary(),
            placement: layer.placement(),
            unit: CodingUnit::Image,
            source: match i {
                0 => CodingSource::Other("what a plain convolution makes of the images or of the block before"),
                _ => CodingSource::Before,
            },
        };
        self.layers.iter().enumerate().map(described).collect()
    }

    fn coded(&self, x: Tensor<4>) -> (Vec<Coded>, Tensor<4>) {
        let (signals, deepest) = self.pursue(x, &Pass::EVALUATION);
        let found = signals.iter().skip(1).chain([&deepest]).cloned().collect::<Vec<_>>();
        let coded = signals.into_iter().zip(found);
        let coded = coded.map(|(input, codes)| Coded { input, codes }).collect();
        (coded, deepest)
    }
}
