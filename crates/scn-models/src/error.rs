//! Errors of the model crate.

use scn_keys::{Problem, Wrong};

use crate::Misfit;

/// Why a model was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A name that no network has.
    #[error("there is no network `{name}`: expected {expected}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        expected: String,
    },
    /// A key that the chosen kind of model does not have.
    #[error("a {kind} has no `{key}`: remove the key, or choose a model that has it ({})", .owners.join(", "))]
    Foreign {
        /// Key below `model`.
        key: String,
        /// Name of the model.
        kind: &'static str,
        /// The models that have it.
        owners: Vec<&'static str>,
    },
    /// A value outside its range.
    #[error("`{key}` is {value}: it must be {expected}")]
    Range {
        /// Key below `model`.
        key: String,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A value that goes with neither the others nor the images.
    #[error("`{}` is {}, but {}: expected {}", .0.key, .0.found, .0.with, .0.expected)]
    Misfit(Misfit),
    /// A key or value that makes no table.
    #[error("`{key}`: {problem}")]
    Wrong {
        /// Key below `model`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<Wrong> for ModelError {
    fn from(Wrong { path: key, problem }: Wrong) -> Self {
        let problem = match problem {
            Problem::Foreign { kind, owners, .. } => return ModelError::Foreign { key, kind, owners },
            Problem::Type { expected } => format!("expected {expected}"),
            Problem::Unknown => "unknown key".to_owned(),
            Problem::Missing => "missing".to_owned(),
        };
        ModelError::Wrong { key, problem }
    }
}
