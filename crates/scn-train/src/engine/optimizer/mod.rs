//! The optimisers, each with weight decay coupled as in PyTorch: `g ← g + decay·p`, `p ← p − rate·direction(g)`. What decays,
//! how fast a parameter learns and where it is put back to afterwards is its [`Role`].

mod adam;
mod sgd;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use scn_models::{Group, Network, Role, Roles};

use crate::engine::first_layer::freeze;
use crate::experiment::{OptimizerConfig, OptimizerKind};
use crate::tensors::{self, Array, Arrays, TensorsError, floats};

/// Of Adam's second means, behind the name of a parameter, and of the count of its steps.
const SQUARE: &str = "^2";
const STEPS: &str = "steps";

/// The optimiser's state: one momentum buffer per parameter, and of Adam another and the steps made.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Largest global norm of the gradients; larger ones are scaled down to it.
    clip_norm: Option<f64>,
    buffers: BTreeMap<String, Tensor<1>>,
    /// Steps made.
    steps: usize,
    /// The parameter that stays as it is although its role would let it learn.
    frozen: Option<String>,
}

impl Optimizer {
    /// Without momentum yet.
    pub fn new(config: OptimizerConfig, clip_norm: Option<f64>) -> Self {
        Self {
            config,
            clip_norm,
            buffers: BTreeMap::new(),
            steps: 0,
            frozen: None,
        }
    }

    /// Leaves the parameter of that name as it is from now on.
    pub fn freeze(&mut self, name: String) {
        self.frozen = Some(name);
    }

    /// The roles of the parameters of a network that this optimiser steps.
    pub fn roles(&self, network: &impl Network) -> Roles {
        let mut roles = network.roles();
        if let Some(name) = &self.frozen {
            freeze(network, name, &mut roles);
        }
        roles
    }

    /// One step with the given learning rate.
    pub fn step<M: Module>(&mut self, module: M, roles: &Roles, gradients: &Gradients, learning_rate: f64) -> M {
        let scale = self.clip_norm.and_then(|limit| {
            let mut norm = SquaredNorm {
                roles,
                gradients,
                sum: None,
            };
            module.visit(&mut norm);
            // As torch.nn.utils.clip_grad_norm_.
            norm.sum
                .map(|sum| (sum.sqrt() + 1e-6).recip().mul_scalar(limit).clamp_max(1.0))
        });
        self.steps += 1;
        let mut update = Update {
            optimizer: self,
            roles,
            gradients,
            learning_rate,
            scale,
            path: ParameterPath::default(),
        };
        module.map(&mut update)
    }

    /// The direction of a parameter's step.
    fn direction<const D: usize>(&mut self, name: String, gradient: Tensor<D>) -> Tensor<D> {
        let OptimizerConfig {
            kind,
            momentum,
            nesterov,
            ..
        } = self.config;
        match kind {
            OptimizerKind::Sgd if momentum == 0.0 => gradient,
            OptimizerKind::Sgd => {
                let (direction, buffer) = sgd::direction(momentum, nesterov, self.buffers.remove(&name), gradient);
                self.buffers.insert(name, buffer);
                direction
            }
            OptimizerKind::Adam => {
                let square = format!("{name}{SQUARE}");
                let means = self.buffers.remove(&name).zip(self.buffers.remove(&square));
                let means = means.map(|(first, second)| [first, second]);
                let (direction, [first, second]) = adam::direction(momentum, self.steps, means, gradient);
                self.buffers.insert(name, first);
                self.buffers.insert(square, second);
                direction
            }
        }
    }

    /// The buffers by parameter, flattened; with them Adam's count of steps.
    pub fn state(&self) -> Arrays {
        let array = |buffer: &Tensor<1>| {
            let values = floats(buffer.to_data());
            Array {
                shape: vec![values.len()],
                values,
            }
        };
        let mut state: Arrays = self
            .buffers
            .iter()
            .map(|(name, buffer)| (name.clone(), array(buffer)))
            .collect();
        if self.config.kind == OptimizerKind::Adam && self.steps > 0 {
            let values = vec![self.steps as f32];
            state.insert(STEPS.into(), Array { shape: vec![1], values });
        }
        state
    }

    /// Restores the [`Optimizer::state`] of an optimiser of `module` on a device without autodiff.
    ///
    /// # Errors
    /// [`TensorsError::Mismatch`] where the buffers are not those of the module's trainable parameters.
    pub fn restore<M: Module>(
        &mut self,
        module: &M,
        roles: &Roles,
        state: &Arrays,
        device: &Device,
    ) -> Result<(), TensorsError> {
        let mut trainable = Trainable {
            roles,
            path: ParameterPath::default(),
            lengths: BTreeMap::new(),
        };
        module.visit(&mut trainable);
        // Without momentum, and before the first step, there are none.
        if !state.is_empty() {
            let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for (name, length) in trainable.lengths {
                if self.config.kind == OptimizerKind::Adam {
                    expected.insert(format!("{name}{SQUARE}"), vec![length]);
                }
                expected.insert(name, vec![length]);
            }
            if self.config.kind == OptimizerKind::Adam {
                expected.insert(STEPS.into(), vec![1]);
            }
            tensors::check(&expected, state)?;
        }
        self.steps = state
            .get(STEPS)
            .and_then(|array| array.values.first())
            .map_or(0, |&steps| steps as usize);
        self.buffers = state
            .iter()
            .filter(|(name, _)| name.as_str() != STEPS)
            .map(|(name, array)| {
                (
                    name.clone(),
                    Tensor::from_data(TensorData::new(array.values.clone(), [array.values.len()]), device),
                )
            })
            .collect();
        Ok(())
    }
}

/// Names of the trainable parameters and how many values each has.
struct Trainable<'a> {
    roles: &'a Roles,
    path: ParameterPath,
    lengths: BTreeMap<String, usize>,
}

impl ModuleVisitor for Trainable<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().is_require_grad() && !self.roles.of(param).frozen {
            self.lengths
                .insert(self.path.name(), param.val().dims().iter().product());
        }
    }
}

/// Path of the parameter being visited, without the variants of enums, as in a checkpoint.
#[derive(Default)]
pub(crate) struct ParameterPath(Vec<String>);

impl ParameterPath {
    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }

    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.push(name.to_string());
        }
    }

    pub(crate) fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.pop();
        }
    }
}

struct SquaredNorm<'a> {
    roles: &'a Roles,
    gradients: &'a Gradients,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.roles.of(param).frozen {
            return;
        }
        if let Some(gradient) = param.val().grad(self.gradients) {
            let square = gradient.powi_scalar(2).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    roles: &'a Roles,
    gradients: &'a Gradients,
    learning_rate: f64,
    scale: Option<Tensor<1>>,
    path: ParameterPath,
}

impl Update<'_> {
    fn factor(&self, group: Group) -> f64 {
        let factors = &self.optimizer.config.factors;
        match group {
            Group::Sparsity => factors.lambda1,
            Group::Dictionary => factors.dictionary,
            Group::Classifier => factors.classifier,
            Group::Weight | Group::Bias | Group::Norm => 1.0,
        }
    }

    fn decay(&self, group: Group) -> f64 {
        let config = &self.optimizer.config;
        let decays = match group {
            Group::Weight | Group::Dictionary | Group::Classifier => true,
            Group::Sparsity => config.decay_lambda1,
            Group::Bias => config.decay_bias,
            Group::Norm => config.decay_norm,
        };
        if decays { config.weight_decay } else { 0.0 }
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Role {
            group,
            constraint,
            frozen,
            rate,
        } = self.roles.of(&param);
        if frozen {
            return param;
        }
        let Some(gradient) = param.val().grad(self.gradients) else {
            return param;
        };
        let name = self.path.name();
        let (decay, factor) = (self.decay(group), self.factor(group));
        let value = param.val().without_autodiff();
        let mut gradient = match &self.scale {
            Some(scale) => gradient * scale.clone().reshape([1; D]),
            None => gradient,
        };
        if decay != 0.0 {
            gradient = gradient + value.clone() * decay;
        }
        let direction = self.optimizer.direction(name, gradient);
        let value = constraint.apply(value - direction * (self.learning_rate * rate * factor));
        param.map(|_| Tensor::from_inner(value).require_grad())
    }
}
