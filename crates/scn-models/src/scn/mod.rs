//! SCN-K, the supervised deep sparse coding network (Sun, Nasrabadi & Tran, arXiv:1701.08349, section 3.4), in the
//! order of the authors' program: in each bottleneck module a reduction layer, then an expansion layer; batch norm
//! without learned scale and shift before each layer and once before pooling.

use burn::module::Module;
use burn::tensor::Tensor;
use scn_ops::SolverInfo;
use scn_solver::SolverOptions;

use super::Observer;
use crate::initialization::Initializer;
use crate::layers::{BatchNorm, Classifier, SparseCoding2d};
use crate::{Lambda1Config, LayerSolves, LayerSummary, Output, Pass};

/// Width of the reduction layer and stride of each bottleneck module; its expansion layer is K times as wide.
const MODULES: [(usize, usize); 7] = [(16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)];
/// ε of batch norm in the authors' program.
const EPSILON: f64 = 1e-4;

/// A deep sparse coding network.
#[derive(Module, Debug)]
pub struct Scn {
    /// Fourteen layers: reduction and expansion of seven modules.
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

/// Atoms and stride of every layer.
fn plan(width: usize, first_width: usize) -> Vec<(usize, usize)> {
    let mut plan: Vec<_> = MODULES
        .iter()
        .flat_map(|&(atoms, stride)| [(atoms, stride), (atoms * width, 1)])
        .collect();
    plan[0].0 = first_width;
    plan
}

impl Scn {
    pub(crate) fn new(
        channels: usize,
        classes: usize,
        width: usize,
        first_width: usize,
        kernel: usize,
        lambda1: &Lambda1Config,
        options: SolverOptions,
        init: &mut Initializer,
    ) -> Self {
        let mut input = channels;
        let mut layers = Vec::new();
        for (atoms, stride) in plan(width, first_width) {
            layers.push(ScnLayer {
                norm: BatchNorm::new(input, false, EPSILON, init),
                coding: SparseCoding2d::new(input, atoms, kernel, stride, lambda1, options, init),
            });
            input = atoms;
        }
        Self {
            layers,
            norm: BatchNorm::new(input, false, EPSILON, init),
            classifier: Classifier::new(input, classes, init),
        }
    }

    pub(crate) fn layer_names(&self) -> Vec<String> {
        (0..self.layers.len()).map(|i| format!("layers.{i}.coding")).collect()
    }

    pub(crate) fn forward(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let mut solves = Vec::with_capacity(self.layers.len());
        let mut x = images;
        for (layer, name) in self.layers.iter().zip(self.layer_names()) {
            let (codes, info) = layer.forward(x, pass);
            observe(&name, &codes);
            let [_, _, height, width] = codes.dims();
            solves.push(LayerSolves {
                info,
                pixels: height * width,
            });
            x = codes;
        }
        Output {
            logits: self.classifier.forward(self.norm.forward(x, pass)),
            solves,
        }
    }

    /// See [`super::Model::residual`].
    pub(crate) fn residual(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let first = self.layers.first()?;
        let normalization = first.norm.normalization(&images, &Pass::Evaluation { sparsity: None });
        Some(first.coding.residual(images, Some(normalization)))
    }

    pub(crate) fn summary(&self, input: [usize; 3]) -> Vec<LayerSummary> {
        let mut input = input;
        let mut layers = Vec::new();
        for (layer, name) in self.layers.iter().zip(self.layer_names()) {
            let summary = layer.coding.summary(&name, input);
            input = summary.output;
            layers.push(summary);
        }
        layers.push(self.classifier.summary("classifier"));
        layers
    }
}
