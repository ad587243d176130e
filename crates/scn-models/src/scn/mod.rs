//! SCN-K, the supervised deep sparse coding network (Sun, Nasrabadi & Tran, arXiv:1701.08349, section 3.4), by default in
//! the order of the authors' program: in each bottleneck module a reduction layer, then an expansion layer; batch norm
//! without learned scale and shift before each layer and once before pooling. Other modules, down to a single layer, are
//! a matter of keys.

mod config;
mod plan;

pub use config::{ModuleOrder, ScnConfig};

use burn::module::Module;
use burn::tensor::Tensor;
use scn_ops::SolverInfo;

use self::plan::Planned;
use crate::family::{Family, Member, Misfit, Unused};
use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier, SparseCoding2d};
use crate::network::Observer;
use crate::{
    Coded, CodingLayer, CodingReport, CodingSource, Group, LayerSummary, Network, Output, Pass, Roles, Sparsity,
};

/// ε of batch norm in the authors' program.
const EPSILON: f64 = 1e-4;

/// A deep sparse coding network.
#[derive(Module, Debug)]
pub struct Scn {
    /// The layers of all modules: fourteen as published.
    pub layers: Vec<ScnLayer>,
    /// Batch norm before pooling.
    pub norm: BatchNorm,
    /// Pooling and classifier.
    pub classifier: Classifier,
}

/// Batch norm and the sparse coding of its output.
#[derive(Module, Debug)]
pub struct ScnLayer {
    /// Before the solve.
    pub norm: BatchNorm,
    /// The solve.
    pub coding: SparseCoding2d,
}

impl ScnLayer {
    /// Codes of the normalised `[b, c, h, w]` and what the solves report.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass) -> (Tensor<4>, SolverInfo) {
        let normalization = self.norm.normalization(&x, pass);
        self.coding.forward(x, Some(normalization), pass.sparsity())
    }
}

impl Family for Scn {
    type Plan = ();
    type Keys = ScnConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "scn",
        doc: "Supervised deep sparse coding network (Sun, Nasrabadi & Tran, arXiv:1701.08349).",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[Group::Dictionary, Group::Classifier, Group::Sparsity, Group::Bias];

    fn unused(keys: &ScnConfig) -> Vec<Unused> {
        let defaults = ScnConfig::default();
        let widths = [
            ("width", keys.width, defaults.width),
            ("first_width", keys.first_width, defaults.first_width),
        ];
        let changed = widths
            .into_iter()
            .filter(|(_, found, default)| keys.modules.is_some() && found != default);
        let unused = |(key, found, _): (_, usize, _)| Unused {
            key,
            found: found.to_string(),
            because: "model.modules says how wide every layer is",
            expected: "one of the two",
        };
        changed.map(unused).collect()
    }

    fn misfit(_: &(), keys: &ScnConfig, image: [usize; 3]) -> Option<Misfit> {
        plan::misfit(keys, image)
    }

    fn build(_: &(), keys: &ScnConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let options = keys.solver.options();
        let mut input = image[0];
        let mut layers = Vec::new();
        for Planned { atoms, placement, .. } in plan::plan(keys) {
            layers.push(ScnLayer {
                norm: BatchNorm::new(input, false, EPSILON, init),
                coding: SparseCoding2d::new(input, atoms, keys.kernel, placement, &keys.lambda1, options, init),
            });
            input = atoms;
        }
        Self {
            layers,
            norm: BatchNorm::new(input, false, EPSILON, init),
            classifier: Classifier::new(input, classes, init),
        }
    }
}

impl Scn {
    fn named_layers(&self) -> impl Iterator<Item = (String, &ScnLayer)> {
        let named = |(i, layer)| (format!("layers.{i}.coding"), layer);
        self.layers.iter().enumerate().map(named)
    }
}

impl Network for Scn {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut reports = Vec::with_capacity(self.layers.len());
        let mut x = images;
        for (name, layer) in self.named_layers() {
            let (codes, info) = layer.forward(x, pass);
            observe(&name, &codes);
            reports.push(CodingReport::Pixels(info));
            x = codes;
        }
        Output::new(self.classifier.forward(self.norm.forward(x, pass)), reports)
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut input = image;
        let mut layers = Vec::new();
        for (name, layer) in self.named_layers() {
            let summary = layer.coding.summary(&name, input);
            input = summary.output;
            layers.push(summary);
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        for ScnLayer { norm, coding } in &self.layers {
            norm.roles(&mut roles);
            coding.roles(&mut roles);
        }
        self.norm.roles(&mut roles);
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let coding = |(name, layer): (String, &ScnLayer)| {
            let source = CodingSource::Normalized(layer.norm.scale());
            layer.coding.coding_layer(name, source)
        };
        self.named_layers().map(coding).collect()
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let mut x = images;
        let coded = self.layers.iter().map(|layer| {
            let input = layer.norm.forward(x.clone(), &Pass::EVALUATION);
            let (codes, _) = layer.coding.forward(input.clone(), None, None);
            x = codes.clone();
            Coded { input, codes }
        });
        coded.collect()
    }

    fn sparsity(&self) -> Option<Sparsity> {
        Some(Sparsity::Factor)
    }

    fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let first = self.layers.first()?;
        let normalization = first.norm.normalization(&images, &Pass::EVALUATION);
        Some(first.coding.residual(images, Some(normalization)))
    }
}
