//! Why a table cannot be read.

use std::fmt;

/// A key that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    /// The key from the table that was read: dotted, with the place in a list, as in `schedule.milestones[1]`. Empty
    /// for the value itself.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// Its value is of another type or has no such name.
    Type {
        /// What it may be.
        expected: String,
    },
    /// There is no such key.
    Unknown,
    /// It has to be there.
    Missing,
    /// It belongs to other kinds of its table.
    Foreign {
        /// The kind that was chosen.
        kind: &'static str,
        /// The kinds that have it.
        owners: Vec<&'static str>,
        /// The value, with its defaults.
        found: toml::Value,
    },
}

impl Wrong {
    /// The value itself is not what it should be.
    pub fn expecting(expected: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            problem: Problem::Type {
                expected: expected.into(),
            },
        }
    }

    /// As seen from around `name`.
    #[must_use]
    pub fn below(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.problem {
            Problem::Type { expected } if path.is_empty() => write!(formatter, "expected {expected}"),
            Problem::Type { expected } => write!(formatter, "`{path}`: expected {expected}"),
            Problem::Unknown => write!(formatter, "`{path}`: unknown key"),
            Problem::Missing => write!(formatter, "`{path}`: missing"),
            Problem::Foreign { kind, owners, .. } => {
                write!(
                    formatter,
                    "`{path}`: a {kind} has no such key ({} have)",
                    owners.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for Wrong {}
