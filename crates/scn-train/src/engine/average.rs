//! An exponential moving average of the weights (Polyak & Juditsky, 1992; the form of timm's `ModelEmaV2`): after every
//! step `a ← w + decay·(a − w)`, from the initial weights on.
//!
//! The running statistics of batch norm are averaged as the weights are, so that the average has its own. Each value is
//! put back where its role wants it, atoms on the unit sphere and λ₁ at or above 0, and what follows from the weights, such
//! as step sizes, is found anew.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use scn_models::{Model, Network, Roles};

use crate::engine::optimizer::{Optimizer, ParameterPath};

/// The average of a network's weights over the steps.
#[derive(Debug)]
pub struct Average<N = Model> {
    /// Without autodiff.
    network: N,
    decay: f64,
}

impl<N: Network> Average<N> {
    /// Of a network before its first step.
    pub fn new(network: &N, decay: f64) -> Self {
        Self {
            network: network.valid(),
            decay,
        }
    }

    /// The averaged network, for evaluation.
    pub fn network(&self) -> N {
        // Clones share running statistics.
        self.network.valid()
    }

    /// Takes in the weights that a step of `optimizer` has left.
    pub(super) fn follow(&mut self, stepped: &N, optimizer: &Optimizer) {
        let mut collected = Collected::default();
        stepped.visit(&mut collected);
        let roles = optimizer.roles(&self.network);
        let mut approach = Approach {
            decay: self.decay,
            roles: &roles,
            stepped: collected.tensors,
            path: ParameterPath::default(),
        };
        self.network = self.network.clone().map(&mut approach).refresh();
    }
}

/// The tensors of a module, flattened and without autodiff, by their paths.
#[derive(Default)]
struct Collected {
    path: ParameterPath,
    tensors: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collected {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff().reshape([-1]);
        self.tensors.insert(self.path.name(), value);
    }
}

struct Approach<'a> {
    decay: f64,
    roles: &'a Roles,
    stepped: BTreeMap<String, Tensor<1>>,
    path: ParameterPath,
}

impl ModuleMapper for Approach<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let role = self.roles.of(&param);
        // What training leaves as it is must not drift by rounding.
        if role.frozen {
            return param;
        }
        let name = self.path.name();
        let stepped = self.stepped.remove(&name);
        let stepped = stepped.unwrap_or_else(|| panic!("{name} is in the average and not in the network"));
        param.map(|average| {
            let stepped = stepped.reshape(average.dims());
            role.constraint
                .apply((average - stepped.clone()) * self.decay + stepped)
        })
    }
}
