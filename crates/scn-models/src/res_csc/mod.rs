//! Res-CSC (Zhang & Zhang, National Science Review 8(3):nwaa159, 2021): layers of convolutional sparse coding in pairs.
//! The first of a pair takes one step of ISTA from 0, `Γ₁ = S(D₁ᵀX/L)`, the second one from the code before the last,
//! which is what the pair was given,
//!
//! ```text
//! Γ₂ = S(D₂ᵀΓ₁/L + X − D₂ᵀD₂X/L)
//! ```
//!
//! so that the skip is `I − DᵀD/L`. Without the last term a pair is the block of a residual network (He, Zhang, Ren & Sun,
//! arXiv:1512.03385), and the default plan is that of ResNet-20.

mod config;
mod pair;

pub use config::{ResCscConfig, Skip};
pub use pair::{Pair, Step};

use burn::module::Module;
use burn::tensor::Tensor;
use scn_keys::Value;

use crate::family::{Family, Member};
use crate::initialization::Initializer;
use crate::layers::{Classifier, Convolution, Threshold};
use crate::network::Observer;
use crate::{Coded, CodingLayer, CodingSource, Group, LayerSummary, Misfit, Network, Output, Pass, Roles};

/// Side of the windows of all layers.
const KERNEL: usize = 3;
/// Networks with more weights are a mistake: 4 GiB.
const MOST_WEIGHTS: u128 = 1 << 30;

/// A network of pairs of coding layers.
#[derive(Module, Debug)]
pub struct ResCsc {
    /// 3×3 stem.
    pub conv1: Convolution,
    /// Behind it.
    pub threshold: Threshold,
    /// All pairs, stage by stage.
    pub pairs: Vec<Pair>,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

impl Family for ResCsc {
    type Plan = ();
    type Keys = ResCscConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "res-csc",
        doc: "Res-CSC: pairs of coding layers around the skip I − DᵀD/L (Zhang & Zhang, 2021).",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[
        Group::Weight,
        Group::Dictionary,
        Group::Classifier,
        Group::Bias,
        Group::Norm,
    ];

    fn misfit(_: &(), keys: &ResCscConfig, _: [usize; 3]) -> Option<Misfit> {
        let weights: u128 = pairs(keys)
            .map(|[input, output, _]| (KERNEL * KERNEL * output) as u128 * (input + output) as u128)
            .sum();
        (weights > MOST_WEIGHTS).then(|| Misfit {
            key: "stages".into(),
            found: keys.stages.shown(),
            with: format!("such pairs have {weights} weights"),
            expected: format!("a plan of at most {MOST_WEIGHTS}"),
        })
    }

    fn build(_: &(), keys: &ResCscConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let conv1 = Convolution::new(image[0], keys.first_channels(), KERNEL, 1, init);
        let threshold = Threshold::new(keys.first_channels(), keys.batch_norm, init);
        let pairs: Vec<_> = pairs(keys)
            .map(|[input, output, stride]| Pair::new(keys, input, output, stride, init))
            .collect();
        let features = keys.stages.last().map_or(image[0], |stage| stage[1]);
        Self {
            conv1,
            threshold,
            pairs,
            classifier: Classifier::new(features, classes, init),
        }
    }
}

/// Input and output channels and the stride of every pair; each stage but the first halves the image.
fn pairs(keys: &ResCscConfig) -> impl Iterator<Item = [usize; 3]> {
    let mut input = keys.first_channels();
    keys.stages.iter().enumerate().flat_map(move |(stage, plan)| {
        let (count, output) = (plan[0], plan[1]);
        let from = std::mem::replace(&mut input, output);
        (0..count).map(move |pair| match (pair, stage) {
            (0, 0) => [from, output, 1],
            (0, _) => [from, output, 2],
            (_, _) => [output, output, 1],
        })
    })
}

impl ResCsc {
    fn named_pairs(&self) -> impl Iterator<Item = (String, &Pair)> {
        let named = |(i, pair)| (format!("pairs.{i}"), pair);
        self.pairs.iter().enumerate().map(named)
    }
}

impl Network for ResCsc {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut codes = Vec::new();
        let mut x = self.threshold.forward(self.conv1.forward(images), pass);
        observe("conv1", &x);
        for (name, pair) in self.named_pairs() {
            x = pair.forward(x, pass, &mut codes);
            observe(&name, &x);
        }
        Output::new(self.classifier.forward(x), codes)
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut first = self.conv1.summary("conv1", image);
        first.parameters += self.threshold.parameters();
        let mut input = first.output;
        let mut layers = vec![first];
        for (name, pair) in self.named_pairs() {
            let of_pair = pair.layers(&name, input);
            input = of_pair[1].output;
            layers.extend(of_pair);
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.threshold.roles(&mut roles);
        self.pairs.iter().for_each(|pair| pair.roles(&mut roles));
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let of_pair = |(i, (name, pair)): (usize, (String, &Pair))| {
            let source = match i {
                0 => CodingSource::Other("what the plain first convolution makes of the images"),
                _ => CodingSource::Before,
            };
            pair.coding_layers(&name, source)
        };
        self.named_pairs().enumerate().flat_map(of_pair).collect()
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let mut input = self.threshold.forward(self.conv1.forward(images), &Pass::EVALUATION);
        let mut coded = Vec::new();
        for pair in &self.pairs {
            let [first, second] = pair.pursue(input.clone(), &Pass::EVALUATION);
            for codes in [first, second] {
                coded.push(Coded {
                    input: std::mem::replace(&mut input, codes.clone()),
                    codes,
                });
            }
        }
        coded
    }
}
