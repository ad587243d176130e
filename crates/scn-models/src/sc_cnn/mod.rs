//! sc-cnn, the convolutional network that Bowren derives from sparse coding (sections 3.2 and 4): stacked layers that code
//! every window of their input alone, neither pooled nor normalised, and logistic regression on the deepest codes. By the
//! closed form that orthonormal atoms allow it is a convolutional network with biases −λ and rectifiers; the paper leaves
//! open what keeping λ above 0, solving for the codes or bounding their number do.

mod config;
mod window;

pub use config::{Dictionaries, Inference, PriorConfig, ScCnnConfig};
pub use window::WindowCoding;

use burn::module::Module;
use burn::tensor::Tensor;
use scn_keys::{Table as _, toml};

use self::window::UNPADDED;
use crate::family::{Family, Member, Misfit, Unused};
use crate::initialization::Initializer;
use crate::layers::{Classifier, SolverConfig, windows};
use crate::network::Observer;
use crate::{
    Coded, CodingLayer, CodingSource, CodingUnit, Group, LayerSummary, Network, Output, Pass, Roles, Sparsity,
};

/// Stacked codes of windows and logistic regression.
#[derive(Module, Debug)]
pub struct ScCnn {
    /// The coding layers.
    pub layers: Vec<WindowCoding>,
    /// Of all codes of the last layer.
    pub classifier: Classifier,
}

impl ScCnn {
    fn named_layers(&self) -> impl Iterator<Item = (String, &WindowCoding)> {
        let named = |(i, layer)| (format!("layers.{i}"), layer);
        self.layers.iter().enumerate().map(named)
    }
}

/// Each layer of the keys with the shape `[c, h, w]` of its input, and the shape of the last output, as far as windows fit.
fn shapes(keys: &ScCnnConfig, image: [usize; 3]) -> Vec<[usize; 3]> {
    let mut shapes = vec![image];
    for &[atoms, kernel] in &keys.windows {
        let [_, height, width] = shapes[shapes.len() - 1];
        let Some([rows, columns]) = windows(kernel, UNPADDED, [height, width]) else {
            break;
        };
        shapes.push([atoms, rows, columns]);
    }
    shapes
}

impl Family for ScCnn {
    type Plan = ();
    type Keys = ScCnnConfig;

    const MEMBERS: &'static [Member<()>] = &[Member {
        name: "sc-cnn",
        doc: "The convolutional network that Bowren derives from sparse coding.",
        plan: (),
    }];
    const GROUPS: &'static [Group] = &[Group::Dictionary, Group::Classifier, Group::Sparsity, Group::Bias];

    fn unused(keys: &ScCnnConfig) -> Vec<Unused> {
        let ScCnnConfig {
            inference,
            l0,
            prior,
            solver,
            ..
        } = keys;
        let table = |table: toml::Table| toml::Value::Table(table).to_string();
        let mut unused = Vec::new();
        if l0.is_some() && *prior != PriorConfig::default() {
            unused.push(Unused {
                key: "prior",
                found: table(prior.write_table()),
                because: "model.l0 takes its place",
                expected: "one of the two",
            });
        }
        if *inference == Inference::ClosedForm && *solver != SolverConfig::default() {
            unused.push(Unused {
                key: "solver",
                found: table(solver.write_table()),
                because: "model.inference is \"closed-form\"",
                expected: "it with model.inference = \"full\" only",
            });
        }
        if let (Some(minimum), false) = (prior.minimum, prior.learned) {
            unused.push(Unused {
                key: "prior.minimum",
                found: minimum.to_string(),
                because: "model.prior.learned is false",
                expected: "one of the two",
            });
        }
        unused
    }

    fn misfit(_: &(), keys: &ScCnnConfig, image: [usize; 3]) -> Option<Misfit> {
        let ScCnnConfig {
            windows: layers,
            inference,
            dictionaries,
            l0,
            prior,
            ..
        } = keys;
        if let (Some(count), Inference::Full) = (l0, inference) {
            return Some(Misfit {
                key: "l0".to_owned(),
                found: count.to_string(),
                with: "model.inference is \"full\"".to_owned(),
                expected: "model.inference = \"closed-form\" with it".to_owned(),
            });
        }
        if let Some(minimum) = prior.minimum
            && prior.initial < minimum
        {
            return Some(Misfit {
                key: "prior.initial".to_owned(),
                found: prior.initial.to_string(),
                with: format!("model.prior.minimum is {minimum}"),
                expected: format!("at least {minimum}"),
            });
        }
        let shapes = shapes(keys, image);
        for (index, (&[atoms, kernel], &[channels, height, width])) in layers.iter().zip(&shapes).enumerate() {
            let of_layer = |with, expected| Misfit {
                key: format!("windows[{index}]"),
                found: format!("[{atoms}, {kernel}]"),
                with,
                expected,
            };
            if shapes.len() == index + 1 {
                return Some(of_layer(
                    format!("the input of the layer is {height}×{width}"),
                    format!("windows of a side of at most {}", height.min(width)),
                ));
            }
            let dimensions = channels * kernel * kernel;
            if *dictionaries == Dictionaries::Orthogonal && atoms > dimensions {
                return Some(of_layer(
                    format!("in {channels}·{kernel}·{kernel} = {dimensions} dimensions no more atoms are orthogonal"),
                    format!("at most {dimensions} atoms, or model.dictionaries = \"free\""),
                ));
            }
            if let Some(count) = l0
                && *count > atoms
            {
                return Some(Misfit {
                    key: "l0".to_owned(),
                    found: count.to_string(),
                    with: format!("layer {} of model.windows has {atoms} atoms", index + 1),
                    expected: format!("at most {atoms}"),
                });
            }
        }
        None
    }

    fn build(_: &(), keys: &ScCnnConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        let shapes = shapes(keys, image);
        let mut layers = Vec::with_capacity(keys.windows.len());
        for (&layer, [channels, ..]) in keys.windows.iter().zip(&shapes) {
            layers.push(WindowCoding::new(*channels, layer, keys, init));
        }
        let codes = shapes[shapes.len() - 1].iter().product();
        Self {
            layers,
            classifier: Classifier::new(codes, classes, init),
        }
    }
}

impl Network for ScCnn {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut reports = Vec::with_capacity(self.layers.len());
        let mut x = images;
        for (name, layer) in self.named_layers() {
            let (codes, report) = layer.forward(x, pass.sparsity());
            observe(&name, &codes);
            reports.push(report);
            x = codes;
        }
        let [batch, atoms, height, width] = x.dims();
        let features = x.reshape([batch, atoms * height * width, 1, 1]);
        Output::new(self.classifier.forward(features), reports)
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut input = image;
        let mut layers = Vec::new();
        for (name, layer) in self.named_layers() {
            let summary = layer.summary(&name, input);
            input = summary.output;
            layers.push(summary);
        }
        layers.push(LayerSummary {
            kind: "linear".into(),
            ..self.classifier.summary("classifier")
        });
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.layers.iter().for_each(|layer| layer.roles(&mut roles));
        self.classifier.roles(&mut roles);
        roles
    }

    fn coding_layers(&self) -> Vec<CodingLayer> {
        let coding = |(name, layer): (String, &WindowCoding)| CodingLayer {
            name,
            lambda1: layer.lambda1(),
            ridge: layer.ridge(),
            weight: layer.weight.val().without_autodiff(),
            placement: UNPADDED,
            unit: CodingUnit::Window,
            source: CodingSource::Before,
        };
        self.named_layers().map(coding).collect()
    }

    fn coded(&self, images: Tensor<4>) -> Vec<Coded> {
        let mut x = images;
        let coded = self.layers.iter().map(|layer| {
            let input = x.clone();
            let (codes, _) = layer.forward(input.clone(), None);
            x = codes.clone();
            Coded { input, codes }
        });
        coded.collect()
    }

    fn sparsity(&self) -> Option<Sparsity> {
        let first = self.layers.first()?;
        first.lambda1.as_ref().map(|_| Sparsity::Factor)
    }

    fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        Some(self.layers.first()?.residual(images))
    }
}
