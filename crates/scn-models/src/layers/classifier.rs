//! Global average pooling and a linear classifier.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::initialization::Initializer;
use crate::{Group, LayerSummary, Role, Roles};

/// `[b, n, h, w]` to logits `[b, classes]`.
#[derive(Module, Debug)]
pub struct Classifier {
    /// `[classes, n]`.
    pub weight: Param<Tensor<2>>,
    /// `[classes]`.
    pub bias: Param<Tensor<1>>,
}

impl Classifier {
    /// Weights N(0, 1/n²) and bias 0, as in the authors' program.
    pub(crate) fn new(features: usize, classes: usize, init: &mut Initializer) -> Self {
        Self {
            weight: init.normal([classes, features], 1.0 / features as f64),
            bias: init.constant([classes], 0.0),
        }
    }

    /// Weights and bias even between `±1/√n`, as `torch.nn.Linear` starts.
    pub(crate) fn uniform(features: usize, classes: usize, init: &mut Initializer) -> Self {
        let bound = (features as f64).sqrt().recip();
        Self {
            weight: init.uniform([classes, features], bound),
            bias: init.uniform([classes], bound),
        }
    }

    /// `[b, n, h, w]` to `[b, classes]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, features, height, width] = x.dims();
        let pooled: Tensor<2> = x
            .reshape([batch, features, height * width])
            .mean_dim(2)
            .reshape([batch, features]);
        pooled.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    pub(crate) fn roles(&self, roles: &mut Roles) {
        let of = |group| Role { group, ..Role::WEIGHT };
        roles.set(&self.weight, of(Group::Classifier));
        roles.set(&self.bias, of(Group::Bias));
    }

    pub(crate) fn summary(&self, name: &str) -> LayerSummary {
        let [classes, features] = self.weight.val().dims();
        LayerSummary {
            name: name.into(),
            kind: "average pooling, linear".into(),
            output: [classes, 1, 1],
            parameters: classes * features + classes,
            convolution: (classes * features) as u64,
            solver_iteration: 0,
        }
    }
}
