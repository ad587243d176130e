//! Errors of the model crate.

/// Why a model was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A key that the chosen kind of model does not have.
    #[error("a {kind} has no `{key}`: remove the key, or choose a model that has it ({})", .owners.join(", "))]
    Foreign {
        /// Key below `model`.
        key: &'static str,
        /// Name of the model.
        kind: &'static str,
        /// The models that have it.
        owners: Vec<&'static str>,
    },
    /// A value outside its range.
    #[error("`{key}` is {value}: it must be {expected}")]
    Range {
        /// Key below `model`.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
}

impl ModelError {
    /// The key below `model` that the error is about.
    pub fn key(&self) -> &'static str {
        match self {
            ModelError::Foreign { key, .. } | ModelError::Range { key, .. } => key,
        }
    }
}
