//! From the equilibrium to the logits.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::normalized::Normalized;
use super::plan::Plan;
use super::state::State;
use crate::initialization::Initializer;
use crate::layers::Classifier;
use crate::{LayerSummary, Pass, Roles};

/// What a bottleneck's outer convolutions widen by.
const WIDENING: usize = 4;

/// The bottleneck block of a residual network, `[b, c, h, w]` to `[b, 4n, h, w]`.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// 1×1, to n channels.
    pub reduce: Normalized,
    /// 3×3.
    pub conv: Normalized,
    /// 1×1, to 4n channels.
    pub expand: Normalized,
    /// 1×1, of the input.
    pub shortcut: Normalized,
}

impl Bottleneck {
    fn new(channels: usize, inside: usize, init: &mut Initializer) -> Self {
        Self {
            reduce: Normalized::new(channels, inside, 1, 1, init),
            conv: Normalized::new(inside, inside, 3, 1, init),
            expand: Normalized::new(inside, WIDENING * inside, 1, 1, init),
            shortcut: Normalized::new(channels, WIDENING * inside, 1, 1, init),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let inside = relu(self.reduce.forward(x.clone(), pass));
        let inside = relu(self.conv.forward(inside, pass));
        relu(self.expand.forward(inside, pass) + self.shortcut.forward(x, pass))
    }

    fn parts(&self) -> [(&'static str, &Normalized); 4] {
        [
            ("reduce", &self.reduce),
            ("conv", &self.conv),
            ("expand", &self.expand),
            ("shortcut", &self.shortcut),
        ]
    }

    fn layers(&self, name: &str, input: [usize; 3]) -> Vec<LayerSummary> {
        let mut layers: Vec<LayerSummary> = Vec::new();
        for (part, layer) in self.parts() {
            let input = match part {
                "shortcut" => input,
                _ => layers.last().map_or(input, |before| before.output),
            };
            layers.push(layer.summary(&format!("{name}.{part}"), input));
        }
        layers
    }
}

/// A bottleneck of each resolution, the finer one strided onto the coarser, and a classifier of the pooled features.
#[derive(Module, Debug)]
pub struct Head {
    /// Of both resolutions, the finer first.
    pub bottlenecks: Vec<Bottleneck>,
    /// 3×3 of stride 2.
    pub down: Normalized,
    /// 1×1, to the features.
    pub features: Normalized,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

impl Head {
    pub(super) fn new(plan: &Plan, classes: usize, init: &mut Initializer) -> Self {
        let [fine, coarse] = plan.head;
        Self {
            bottlenecks: vec![
                Bottleneck::new(plan.channels, fine, init),
                Bottleneck::new(plan.channels, coarse, init),
            ],
            down: Normalized::new(WIDENING * fine, WIDENING * coarse, 3, 2, init),
            features: Normalized::new(WIDENING * coarse, plan.features, 1, 1, init),
            classifier: Classifier::uniform(plan.features, classes, init),
        }
    }

    /// The logits of both resolutions.
    pub(super) fn forward(&self, [fine, coarse]: State, pass: &Pass) -> Tensor<2> {
        let fine = self.bottlenecks[0].forward(fine, pass);
        let down = relu(self.down.forward(fine, pass));
        let sum = self.bottlenecks[1].forward(coarse, pass) + down;
        self.classifier.forward(relu(self.features.forward(sum, pass)))
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        let parts = self.bottlenecks.iter().flat_map(|bottleneck| bottleneck.parts());
        parts
            .map(|(_, layer)| layer)
            .chain([&self.down, &self.features])
            .for_each(|layer| layer.roles(roles));
        self.classifier.roles(roles);
    }

    pub(super) fn layers(&self, [fine, coarse]: [[usize; 3]; 2]) -> Vec<LayerSummary> {
        let mut layers = self.bottlenecks[0].layers("head.bottlenecks.0", fine);
        let widened = [
            WIDENING * self.bottlenecks[0].reduce.conv.weight.dims()[0],
            fine[1],
            fine[2],
        ];
        layers.push(self.down.summary("head.down", widened));
        let sum = layers[layers.len() - 1].output;
        layers.extend(self.bottlenecks[1].layers("head.bottlenecks.1", coarse));
        layers.push(self.features.summary("head.features", sum));
        layers.push(self.classifier.summary("head.classifier"));
        layers
    }
}
