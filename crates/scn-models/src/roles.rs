//! What training does with a network's parameters. Layers say it of their own; the optimiser asks by parameter, so
//! that names carry no meaning.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use crate::initialization::like;
use crate::orthonormal::orthonormal_rows;

/// Parameters that the optimiser can treat apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Convolutions, encoders and step sizes.
    Weight,
    /// Dictionaries of coding layers.
    Dictionary,
    /// The classifier's weight.
    Classifier,
    /// Sparsity weights λ₁.
    Sparsity,
    /// Biases.
    Bias,
    /// Scale and shift of batch and group norms.
    Norm,
}

impl Group {
    /// What they are called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Group::Weight => "weights",
            Group::Dictionary => "dictionaries",
            Group::Classifier => "classifiers",
            Group::Sparsity => "sparsity weights lambda1",
            Group::Bias => "biases",
            Group::Norm => "batch norms with scale and shift",
        }
    }
}

/// Where a parameter is put back to after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// It stays where it is.
    Free,
    /// At least so much.
    AtLeast(f64),
    /// Each row, a slice of the first dimension, has Euclidean norm 1.
    UnitSphere,
    /// The rows, slices of the first dimension and no more than values in each, have Euclidean norm 1 and are orthogonal.
    Orthonormal,
}

/// The part of a parameter in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Role {
    /// Whose weight decay it takes.
    pub group: Group,
    /// Where it is kept.
    pub constraint: Constraint,
    /// Whether training leaves it as it is.
    pub frozen: bool,
    /// What the learning rate is multiplied by.
    pub rate: f64,
}

impl Role {
    /// A free weight, as every parameter is that nothing is said of.
    pub const WEIGHT: Role = Role {
        group: Group::Weight,
        constraint: Constraint::Free,
        frozen: false,
        rate: 1.0,
    };

    /// That of a dictionary whose atoms are free.
    pub const DICTIONARY: Role = Role {
        group: Group::Dictionary,
        ..Role::WEIGHT
    };
}

/// The roles of a network's parameters.
#[derive(Clone, Debug, Default)]
pub struct Roles(HashMap<ParamId, Role>);

impl Roles {
    /// Gives a parameter its role.
    pub fn set<const D: usize>(&mut self, param: &Param<Tensor<D>>, role: Role) {
        self.0.insert(param.id, role);
    }

    /// The role of a parameter.
    pub fn of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Role {
        self.0.get(&param.id).copied().unwrap_or(Role::WEIGHT)
    }
}

impl Constraint {
    /// At least 0.
    pub const NON_NEGATIVE: Constraint = Constraint::AtLeast(0.0);

    /// The nearest value that meets it, for a tensor without autodiff.
    pub fn apply<const D: usize>(self, value: Tensor<D>) -> Tensor<D> {
        match self {
            Constraint::Free => value,
            Constraint::AtLeast(least) => value.clamp_min(least),
            Constraint::UnitSphere => unit_rows(value),
            Constraint::Orthonormal => orthonormal_rows(value),
        }
    }
}

/// Every row divided by its norm; rows of zeros stay.
fn unit_rows<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    let shape = value.dims();
    let rows: Tensor<2> = value.reshape([shape[0] as i32, -1]);
    let norms = rows.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(1e-12);
    (rows / norms).reshape(shape)
}

/// A parameter's value, tracked or not, put where a constraint wants it.
pub(crate) fn constrained<const D: usize>(value: Tensor<D>, constraint: Constraint) -> Tensor<D> {
    let (device, tracked) = (value.device(), value.is_require_grad());
    let value = like(&device, constraint.apply(value.without_autodiff()));
    match tracked {
        true => value.require_grad(),
        false => value,
    }
}

/// The module with all its parameters where their roles want them.
pub(crate) fn constrain<M: Module>(module: M, roles: &Roles) -> M {
    struct Constrain<'a>(&'a Roles);

    impl ModuleMapper for Constrain<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.of(&param).constraint {
                Constraint::Free => param,
                constraint => param.map(|value| constrained(value, constraint)),
            }
        }
    }

    module.map(&mut Constrain(roles))
}
