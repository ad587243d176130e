//! Why an experiment is refused.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value comes from. Displayed with a colon and a space behind, for the head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A place in a file, line and column counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An override, as given.
    Override(String),
    /// An experiment that was not read from a file.
    Program,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => write!(formatter, "{}:{line}:{column}: ", path.display()),
            Place::Override(argument) => write!(formatter, "--set {argument}: "),
            Place::Program => Ok(()),
        }
    }
}

/// Why an experiment is refused.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("{}: cannot read the experiment file: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not text.
    #[error("{place}the experiment file is not UTF-8 text")]
    NotText {
        /// The first byte that is not text.
        place: Box<Place>,
    },
    /// The file is not TOML.
    #[error("{place}{message}")]
    Syntax {
        /// Where.
        place: Box<Place>,
        /// What the TOML parser says.
        message: String,
    },
    /// An override is not of the form key=value.
    #[error("--set {argument}: expected key=value with a dotted key such as train.epochs=10")]
    OverrideForm {
        /// The override.
        argument: String,
    },
    /// The value of an override is not TOML.
    #[error("--set {argument}: the value is not TOML: {message}")]
    OverrideValue {
        /// The override.
        argument: String,
        /// What the TOML parser says.
        message: String,
    },
    /// A key that does not exist.
    #[error("{place}{key}: unknown key; expected {expected}{}", did_you_mean(suggestion))]
    UnknownKey {
        /// Where.
        place: Box<Place>,
        /// The key.
        key: String,
        /// The keys of that table.
        expected: String,
        /// The key that may have been meant.
        suggestion: Option<String>,
    },
    /// A required key that is absent.
    #[error("{place}{table}.{key}: missing; expected `{key} = …` below `[{table}]`, {expected}")]
    Missing {
        /// The table if it exists, the start of the file otherwise.
        place: Box<Place>,
        /// The table.
        table: &'static str,
        /// The key in the table.
        key: &'static str,
        /// What its value may be.
        expected: &'static str,
    },
    /// A value of the wrong type or outside its range.
    #[error("{place}{key}: found {found}; expected {expected}{}", did_you_mean(suggestion))]
    Value {
        /// Where.
        place: Box<Place>,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it may be.
        expected: &'static str,
        /// The value that may have been meant.
        suggestion: Option<String>,
    },
    /// A value that does not go with another.
    #[error("{place}{key}: found {found}, but {with}; expected {expected}")]
    Conflict {
        /// Where.
        place: Box<Place>,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What it does not go with.
        with: String,
        /// What would.
        expected: String,
    },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
