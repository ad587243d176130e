//! Multiscale deep equilibrium networks (Bai, Koltun & Kolter, arXiv:2006.08656): a state of two resolutions that a map f
//! leaves as it is, `z = f(z; x)`, with an injection x that a stem makes of the images, and a classifier of z. However the
//! fixed point is found, gradients are those of the implicit function theorem: with g the gradient at z,
//!
//! ```text
//! u = g + (∂f/∂z)ᵀu,    dL/dθ = (∂f/∂θ)ᵀu
//! ```
//!
//! where the products with Jacobians are backward passes through f alone.

mod block;
mod config;
mod convolution;
mod fixed_point;
mod group_norm;
mod head;
mod masks;
mod normalized;
mod plan;
mod state;
mod transform;

pub use block::Block;
pub use config::{EquilibriumConfig, MdeqConfig, PhantomConfig};
pub use convolution::NormedConvolution;
pub use fixed_point::Method;
pub use group_norm::GroupNorm;
pub use head::{Bottleneck, Head};
pub use normalized::Normalized;
pub use plan::Plan;
pub use transform::Transform;

use std::sync::{Arc, OnceLock};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Gradients, Tensor};

use crate::family::{Family, Member, Unused};
use crate::initialization::Initializer;
use crate::network::Observer;
use crate::output::{Backward, CodingReport, Equilibria, Solves};
use crate::{Group, LayerSummary, Network, Output, Pass, Reporting, Roles};
use fixed_point::{Limits, relative, solve};
use state::{State, product, shapes, state, vector};
use transform::Given;

/// What it is called where it reports.
const EQUILIBRIUM: &str = "equilibrium";

/// A multiscale deep equilibrium network.
#[derive(Module, Debug)]
pub struct Mdeq {
    /// Two 3×3 convolutions, which make the injection.
    pub stem: Vec<Normalized>,
    /// The map f.
    pub transform: Transform,
    /// From the equilibrium to the logits.
    pub head: Head,
    #[module(skip)]
    config: MdeqConfig,
}

impl Family for Mdeq {
    type Plan = Plan;
    type Keys = MdeqConfig;

    const MEMBERS: &'static [Member<Plan>] = &[Member {
        name: "mdeq-small",
        doc: "The small multiscale deep equilibrium network for CIFAR (Bai, Koltun & Kolter, arXiv:2006.08656).",
        plan: plan::SMALL,
    }];
    const GROUPS: &'static [Group] = &[Group::Weight, Group::Classifier, Group::Bias, Group::Norm];

    fn unused(keys: &MdeqConfig) -> Vec<Unused> {
        let (found, usual) = (keys.equilibrium, EquilibriumConfig::default());
        let mut unused = Vec::new();
        let because = "model.equilibrium.phantom takes the place of the backward system";
        if found.phantom.is_some() && found.backward_tolerance != usual.backward_tolerance {
            unused.push(Unused {
                key: "equilibrium.backward_tolerance",
                found: found.backward_tolerance.to_string(),
                because,
                expected: "one of the two",
            });
        }
        if found.phantom.is_some() && found.backward_max_iterations != usual.backward_max_iterations {
            unused.push(Unused {
                key: "equilibrium.backward_max_iterations",
                found: found.backward_max_iterations.to_string(),
                because,
                expected: "one of the two",
            });
        }
        if found.pretraining_steps == 0 && found.pretraining_layers != usual.pretraining_layers {
            unused.push(Unused {
                key: "equilibrium.pretraining_layers",
                found: found.pretraining_layers.to_string(),
                because: "model.equilibrium.pretraining_steps is 0",
                expected: "steps that unroll them",
            });
        }
        unused
    }

    fn build(plan: &Plan, keys: &MdeqConfig, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self {
        Self {
            stem: vec![
                Normalized::new(image[0], plan.channels, 3, 1, init),
                Normalized::new(plan.channels, plan.channels, 3, 1, init),
            ],
            transform: Transform::new(plan, init),
            head: Head::new(plan, classes, init),
            config: *keys,
        }
    }
}

impl Mdeq {
    fn injection(&self, images: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.stem.iter().fold(images, |x, layer| relu(layer.forward(x, pass)))
    }

    /// What so many applications make of 0, on the graph, and the residual of the last but one.
    fn unrolled(&self, layers: usize, given: &Given) -> (State, Solves) {
        let transform = self.transform.ready();
        let mut z = shapes(given.injection.dims()).map(|shape| Tensor::zeros(shape, &given.injection.device()));
        let mut before = z.clone();
        for _ in 0..layers {
            before = std::mem::replace(&mut z, before);
            z = transform.apply(before.clone(), given);
        }
        let [last, before] = [&z, &before].map(|state| vector(state.clone().map(Tensor::without_autodiff)));
        let residuals = relative(&(last.clone() - before), last);
        let solves = Solves {
            iterations: vec![layers; residuals.len()],
            residuals,
            tolerance: self.config.equilibrium.tolerance,
        };
        (z, solves)
    }

    /// The equilibrium, without autodiff.
    fn solved(&self, given: &Given) -> (State, Solves) {
        let EquilibriumConfig {
            method,
            tolerance,
            max_iterations,
            ..
        } = self.config.equilibrium;
        let (transform, given) = (self.transform.valid(), given.clone().without_autodiff());
        let (transform, shapes) = (transform.ready(), shapes(given.injection.dims()));
        let start = shapes.map(|shape| Tensor::zeros(shape, &given.injection.device()));
        let limits = Limits {
            tolerance,
            max_iterations,
        };
        let (found, solves) = solve(method, limits, vector(start), |z| {
            vector(transform.apply(state(z, shapes), &given))
        });
        (state(found, shapes), solves)
    }

    /// What a few damped steps from z make of it, on the graph.
    fn phantom(&self, config: PhantomConfig, z: State, given: &Given) -> State {
        let transform = self.transform.ready();
        let mut z = z.map(Tensor::from_inner);
        for _ in 0..config.steps {
            let [fine, coarse] = z.clone();
            let [next_fine, next_coarse] = transform.apply(z, given);
            let damped = |old: Tensor<4>, new: Tensor<4>| old * (1.0 - config.damping) + new * config.damping;
            z = [damped(fine, next_fine), damped(coarse, next_coarse)];
        }
        z
    }

    /// The backward pass from the equilibrium z, which the loss sees as `leaves`, to the parameters and the images.
    fn implicit(&self, z: State, leaves: State, given: Given, report: Arc<OnceLock<Solves>>) -> Backward {
        let network = self.clone();
        Backward::own(move |loss| {
            let mut of_head = loss.backward();
            let g = leaves.map(|leaf| {
                let zeros = leaf.clone().without_autodiff().zeros_like();
                leaf.grad_remove(&mut of_head).unwrap_or(zeros)
            });
            let u = network.adjoint(&z, g, &given, &report);
            let image = network.transform.ready().apply(z.map(Tensor::from_inner), &given);
            let mut gradients = product(image, u.map(Tensor::from_inner)).backward();
            network.head.visit(&mut Carry {
                from: &of_head,
                to: &mut gradients,
            });
            gradients
        })
    }

    /// The solution of `u = g + (∂f/∂z)ᵀu`, without autodiff.
    fn adjoint(&self, z: &State, g: State, given: &Given, report: &OnceLock<Solves>) -> State {
        let EquilibriumConfig {
            method,
            backward_tolerance,
            backward_max_iterations,
            ..
        } = self.config.equilibrium;
        let (transform, given) = (self.transform.clone().no_grad(), given.clone().detach());
        let (transform, shapes) = (transform.ready(), shapes(given.injection.dims()));
        let limits = Limits {
            tolerance: backward_tolerance,
            max_iterations: backward_max_iterations,
        };
        let g = vector(g);
        let (u, solves) = solve(method, limits, g.clone(), |u| {
            let point = z.clone().map(|part| Tensor::from_inner(part).require_grad());
            let image = transform.apply(point.clone(), &given);
            let gradients = product(image, state(u.clone(), shapes).map(Tensor::from_inner)).backward();
            let [fine, coarse] = point.map(|part| {
                let zeros = part.clone().without_autodiff().zeros_like();
                part.grad(&gradients).unwrap_or(zeros)
            });
            g.clone() + vector([fine, coarse])
        });
        // It is made once: a backward pass consumes the loss.
        let _ = report.set(solves);
        state(u, shapes)
    }
}

/// Takes the gradients of a module's parameters from one pass to those of another.
struct Carry<'a> {
    from: &'a Gradients,
    to: &'a mut Gradients,
}

impl ModuleVisitor for Carry<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if let Some(gradient) = value.grad(self.from) {
            value.grad_replace(self.to, gradient);
        }
    }
}

impl Network for Mdeq {
    fn forward_observed(&self, images: Tensor<4>, pass: &Pass, observe: Observer) -> Output {
        let device = images.device();
        let injection = self.injection(images, pass);
        observe("stem", &injection);
        let given = Given {
            masks: masks::masks(self.config.dropout, shapes(injection.dims()), pass, &device),
            injection,
        };
        let EquilibriumConfig {
            phantom,
            pretraining_steps,
            pretraining_layers,
            ..
        } = self.config.equilibrium;
        let backward = Arc::new(OnceLock::new());
        let report = |forward| {
            vec![CodingReport::Equilibria(Equilibria {
                forward,
                backward: backward.clone(),
                device: device.clone().inner(),
            })]
        };
        let mut classified = |z: State| {
            for (name, part) in ["equilibrium.0", "equilibrium.1"].into_iter().zip(&z) {
                observe(name, part);
            }
            self.head.forward(z, pass)
        };
        if matches!(pass, Pass::Training(step) if step.number < pretraining_steps) {
            let (z, solves) = self.unrolled(pretraining_layers, &given);
            return Output::new(classified(z), report(solves));
        }
        let (z, solves) = self.solved(&given);
        if !device.is_autodiff() {
            return Output::new(classified(z), report(solves));
        }
        if let Some(phantom) = phantom {
            let z = self.phantom(phantom, z, &given);
            return Output::new(classified(z), report(solves));
        }
        // The head sees leaves, so that the loss ends there.
        let leaves = z.clone().map(|part| Tensor::from_inner(part).require_grad());
        Output {
            logits: classified(leaves.clone()),
            codes: report(solves),
            backward: self.implicit(z, leaves, given, backward.clone()),
        }
    }

    fn layers(&self, image: [usize; 3]) -> Vec<LayerSummary> {
        let mut layers = vec![self.stem[0].summary("stem.0", image)];
        layers.push(self.stem[1].summary("stem.1", layers[0].output));
        let fine = layers[1].output;
        let [_, coarse] = shapes([1, fine[0], fine[1], fine[2]]);
        let coarse = [coarse[1], coarse[2], coarse[3]];
        layers.push(LayerSummary {
            name: "transform".into(),
            kind: "equilibrium of two resolutions".into(),
            output: fine,
            parameters: self.transform.num_params(),
            convolution: 0,
            solver_iteration: self
                .transform
                .multiply_adds([fine, coarse].map(|[_, height, width]| [height, width])),
        });
        layers.extend(self.head.layers([fine, coarse]));
        layers
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        self.stem.iter().for_each(|layer| layer.roles(&mut roles));
        self.transform.roles(&mut roles);
        self.head.roles(&mut roles);
        roles
    }

    fn reporting(&self) -> Vec<Reporting> {
        vec![Reporting {
            name: EQUILIBRIUM.into(),
            lambda1: None,
        }]
    }
}
