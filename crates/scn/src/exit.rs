//! Exit codes: 1 failed run, 2 usage, 3 bad experiment file or data, 4 training diverged, 128 + n stopped by signal n;
//! that of a child process where it failed.

use std::process::ExitCode;

use scn_data::DataError;
use scn_train::{ExperimentError, TrainError};

/// A mistake on the command line that clap cannot see.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A file that was given and cannot be used.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl std::fmt::Display for BadInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A child process that failed, after it said why on standard error.
#[derive(Debug)]
pub(crate) struct ChildFailed {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl std::fmt::Display for ChildFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ChildFailed {}

/// The error with its causes, each of which is said once: some messages have those of their causes in them.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The code of an error.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let train = error.downcast_ref::<TrainError>();
    if let Some(child) = error.downcast_ref::<ChildFailed>() {
        return ExitCode::from(child.code);
    }
    if error.is::<Usage>() {
        return ExitCode::from(2);
    }
    let bad_input = error.is::<BadInput>()
        || error.is::<ExperimentError>()
        || error.is::<DataError>()
        || matches!(
            train,
            Some(TrainError::Experiment(_) | TrainError::Data(_) | TrainError::Model(_))
        );
    if bad_input {
        return ExitCode::from(3);
    }
    match train {
        Some(TrainError::Diverged { .. }) => ExitCode::from(4),
        _ => ExitCode::FAILURE,
    }
}

/// The code of a process that saved and ended because of a signal.
pub(crate) fn stopped(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
