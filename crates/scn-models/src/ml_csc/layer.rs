//! A layer of the model: its dictionary, its thresholds, and how its codes are found.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::{
    Convergence, ConvolutionalOptions, Padding, Placement, ProximalOptions, ProximalStep, convolve2d_adjoint,
};

use super::step::{EncodedStep, SolvedStep, Step};
use super::{MlCscConfig, Pursuit, StepSize};
use crate::initialization::Initializer;
use crate::layers::NormStep;
use crate::{Constraint, Group, LayerSummary, Role, Roles};

/// The authors' program divides its initial dictionaries by this beside the root of their inputs.
const DAMPING: f64 = 10.0;

/// Signals `[b, c, h, w]`, the codes of the layer before or images, to codes `[b, n, h', w']`.
#[derive(Module, Debug)]
pub struct DictionaryLayer {
    /// The dictionary, one atom a row: `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[1]`, or `[n]` where each atom has its own: what a step with a learned size subtracts from the codes, of encoders
    /// too, which is minus the published bias. Where the size of a step follows from the dictionary, and where codes are
    /// solved for, the weight λ of the 1-norm, which such a step multiplies by its size.
    pub threshold: Param<Tensor<1>>,
    /// How codes are found.
    pub rule: Rule,
    #[module(skip)]
    placement: Placement,
    #[module(skip)]
    role: Role,
    non_negative: bool,
    /// Rows and columns of the signal.
    #[module(skip)]
    sides: [usize; 2],
}

/// How the codes of a layer are found.
#[derive(Module, Debug)]
pub enum Rule {
    /// By steps whose size is learned.
    Learned(LearnedSize),
    /// By steps whose size follows from the norm of the dictionary.
    Norm(NormStep),
    /// By encoders of their own.
    Encoder(Encoder),
    /// By a solve to convergence.
    Solved(Solved),
}

/// The learned size of a step.
#[derive(Module, Debug)]
pub struct LearnedSize {
    /// `[1]`.
    pub step_size: Param<Tensor<1>>,
}

/// The encoder B of ML-LISTA.
#[derive(Module, Debug)]
pub struct Encoder {
    /// `[n, c, k, k]`.
    pub encoder: Param<Tensor<4>>,
}

/// How far a solve goes.
#[derive(Module, Debug)]
pub struct Solved {
    /// The size of its steps.
    pub step: NormStep,
    #[module(skip)]
    convergence: Convergence,
    mu: f64,
}

impl DictionaryLayer {
    /// Of `[atoms, kernel, stride, padding]` for signals `[c, h, w]` and codes `[n, h', w']`: weights N(0, 1/(100·m)) with
    /// m inputs of an atom, as in the authors' program.
    pub(super) fn new(
        keys: &MlCscConfig,
        [atoms, kernel, stride, padding]: [usize; 4],
        [channels, height, width]: [usize; 3],
        codes: [usize; 3],
        init: &mut Initializer,
    ) -> Self {
        let inputs = (channels * kernel * kernel) as f64;
        let shape = [atoms, channels, kernel, kernel];
        let deviation = 1.0 / (DAMPING * inputs.sqrt());
        let placement = Placement {
            stride,
            padding: Padding::Zeros(padding),
            dilation: 1,
        };
        let sides = [height, width];
        let weight = init.normal(shape, deviation);
        let norm = |init: &mut Initializer| NormStep::new(&weight, codes, placement, sides, init);
        let rule = match (keys.pursuit, keys.step_size) {
            (Pursuit::BasisPursuit, _) => Rule::Solved(Solved {
                step: norm(init),
                convergence: Convergence {
                    tolerance: keys.basis_pursuit.tolerance,
                    max_iterations: keys.basis_pursuit.max_iterations,
                },
                mu: keys.basis_pursuit.mu,
            }),
            (Pursuit::MlLista, _) => Rule::Encoder(Encoder {
                encoder: init.normal(shape, deviation),
            }),
            (
                Pursuit::Thresholding | Pursuit::Ista | Pursuit::Fista | Pursuit::MlIsta | Pursuit::MlFista,
                StepSize::Norm,
            ) => Rule::Norm(norm(init)),
            (
                Pursuit::Thresholding | Pursuit::Ista | Pursuit::Fista | Pursuit::MlIsta | Pursuit::MlFista,
                StepSize::Learned,
            ) => Rule::Learned(LearnedSize {
                step_size: init.constant([1], 1.0),
            }),
        };
        let threshold = &keys.threshold;
        let free = keys.non_negative && keys.pursuit != Pursuit::BasisPursuit;
        let constraint = match threshold.minimum {
            Some(minimum) => Constraint::AtLeast(minimum),
            None if free => Constraint::Free,
            None => Constraint::NON_NEGATIVE,
        };
        let values = if threshold.per_atom { atoms } else { 1 };
        Self {
            threshold: init
                .constant([values], threshold.first())
                .set_require_grad(threshold.learned),
            weight,
            rule,
            placement,
            role: Role {
                group: Group::Sparsity,
                constraint,
                frozen: !threshold.learned,
                ..Role::WEIGHT
            },
            non_negative: keys.non_negative,
            sides,
        }
    }

    /// Where the atoms lie.
    pub(super) fn placement(&self) -> Placement {
        self.placement
    }

    /// The layer's iteration, with thresholds times `factor`, `[1]` or one value for each image `[b]`; `tracked` or without
    /// gradients.
    pub(super) fn step(&self, factor: Option<&Tensor<1>>, tracked: bool) -> Step {
        let weight = value(&self.weight, tracked);
        let threshold: Tensor<2> = value(&self.threshold, tracked).reshape([1, -1]);
        let threshold = match factor {
            Some(factor) => factor.clone().reshape([-1, 1]) * threshold,
            None => threshold,
        };
        match &self.rule {
            Rule::Learned(LearnedSize { step_size }) => {
                let options = self.proximal(0.0);
                Step::Proximal(ProximalStep::new(weight, threshold, value(step_size, tracked), options))
            }
            Rule::Norm(step) => {
                let size = of_step(step, tracked);
                Step::Proximal(self.scaled(weight, threshold, size, 0.0))
            }
            Rule::Encoder(Encoder { encoder }) => Step::Encoded(EncodedStep {
                weight,
                encoder: value(encoder, tracked),
                threshold,
                placement: self.placement,
                non_negative: self.non_negative,
            }),
            Rule::Solved(Solved { step, convergence, mu }) => {
                let step_size = of_step(step, tracked);
                Step::Solved(SolvedStep {
                    step: self.scaled(weight.clone(), threshold.clone(), step_size.clone(), *mu),
                    weight,
                    lambda: threshold,
                    step_size,
                    options: ConvolutionalOptions {
                        steps: 1,
                        mu: *mu,
                        non_negative: self.non_negative,
                        placement: self.placement,
                    },
                    convergence: *convergence,
                })
            }
        }
    }

    /// A step whose threshold is its size times λ.
    fn scaled(&self, weight: Tensor<4>, lambda: Tensor<2>, size: Tensor<1>, mu: f64) -> ProximalStep {
        let threshold = lambda * size.clone().reshape([1, 1]);
        ProximalStep::new(weight, threshold, size, self.proximal(mu))
    }

    fn proximal(&self, mu: f64) -> ProximalOptions {
        ProximalOptions {
            mu,
            non_negative: self.non_negative,
            placement: self.placement,
        }
    }

    /// The signal `[b, c, h, w]` of codes, of `sides = [h, w]`.
    pub(super) fn signal(&self, codes: Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
        convolve2d_adjoint(codes, self.weight.val(), self.placement, sides)
    }

    /// The weight of the 1-norm of the codes, `[1]` or `[n]`: the threshold over the size of a step where it is the
    /// threshold that is learned. Encoders take steps of 1.
    pub(super) fn lambda1(&self) -> Tensor<1> {
        match &self.rule {
            Rule::Learned(LearnedSize { step_size }) => self.threshold.val() / step_size.val(),
            Rule::Norm(_) | Rule::Encoder(_) | Rule::Solved(_) => self.threshold.val(),
        }
    }

    /// The ridge μ of what is solved; steps have none.
    pub(super) fn ridge(&self) -> f64 {
        match &self.rule {
            Rule::Solved(solved) => solved.mu,
            Rule::Learned(_) | Rule::Norm(_) | Rule::Encoder(_) => 0.0,
        }
    }

    /// Steps that the first estimate and so many unfoldings make; `None` where they are as many as it takes.
    pub(super) fn steps(&self, unfoldings: usize) -> Option<usize> {
        match &self.rule {
            Rule::Learned(_) | Rule::Norm(_) | Rule::Encoder(_) => Some(1 + unfoldings),
            Rule::Solved(_) => None,
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        roles.set(&self.weight, Role::DICTIONARY);
        roles.set(&self.threshold, self.role);
    }

    /// The step size follows the dictionary.
    pub(super) fn refresh(&self) {
        match &self.rule {
            Rule::Norm(step) | Rule::Solved(Solved { step, .. }) => {
                step.follow(self.weight.val(), self.placement, self.sides);
            }
            Rule::Learned(_) | Rule::Encoder(_) => {}
        }
    }

    /// With codes `output [n, h', w']`, found by `pursuit` with so many unfoldings; `deeper`, where the signal is that of a
    /// layer before, which the way down needs.
    pub(super) fn summary(
        &self,
        name: &str,
        output: [usize; 3],
        pursuit: Pursuit,
        unfoldings: usize,
        deeper: bool,
    ) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let weights = atoms * channels * kernel * kernel;
        let convolution = (weights * output[1] * output[2]) as u64;
        let learned = match self.role.frozen {
            true => 0,
            false => self.threshold.val().dims()[0],
        };
        let (of_rule, each) = match &self.rule {
            Rule::Learned(_) => (1, 2),
            Rule::Norm(_) | Rule::Solved(_) => (0, 2),
            // The signals of the weight and, on the way down, of the encoder, and the convolutions with both.
            Rule::Encoder(_) => (weights, if deeper { 4 } else { 3 }),
        };
        let solver_iteration = match &self.rule {
            Rule::Solved(_) => 2 * convolution,
            Rule::Learned(_) | Rule::Norm(_) | Rule::Encoder(_) => 0,
        };
        LayerSummary {
            name: name.into(),
            kind: format!("{} {kernel}×{kernel}, stride {}", pursuit.name(), self.placement.stride),
            output,
            parameters: weights + learned + of_rule,
            convolution: (1 + each * unfoldings as u64) * convolution,
            solver_iteration,
        }
    }
}

fn value<const D: usize>(param: &Param<Tensor<D>>, tracked: bool) -> Tensor<D> {
    match tracked {
        true => param.val(),
        false => param.val().without_autodiff(),
    }
}

fn of_step(step: &NormStep, tracked: bool) -> Tensor<1> {
    let value = step.value.value_sync();
    match tracked {
        true => value,
        false => value.without_autodiff(),
    }
}
