//! Exit codes: 1 failed run, 2 usage, 3 bad experiment file or data, 4 training diverged, 128 + n stopped by signal n;
//! that of a child process where it failed.

use std::process::ExitCode;

use scn_data::DataError;
use scn_dictionary::DictionaryError;
use scn_study::StudyError;
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
    if let Some(error) = error.downcast_ref::<StudyError>() {
        return of_study(error);
    }
    if let Some(error) = error.downcast_ref::<DictionaryError>() {
        return of_dictionary(error);
    }
    let train = error.downcast_ref::<TrainError>();
    if error.is::<Usage>() {
        return ExitCode::from(2);
    }
    if error.is::<BadInput>() || error.is::<ExperimentError>() || error.is::<DataError>() {
        return ExitCode::from(3);
    }
    train.map_or(ExitCode::FAILURE, of_training)
}

fn of_training(error: &TrainError) -> ExitCode {
    match error {
        TrainError::Experiment(_)
        | TrainError::Data(_)
        | TrainError::Model(_)
        | TrainError::NoCodes { .. }
        | TrainError::Dictionary { .. }
        | TrainError::FirstLayer { .. } => ExitCode::from(3),
        TrainError::Diverged { .. } => ExitCode::from(4),
        _ => ExitCode::FAILURE,
    }
}

fn of_dictionary(error: &DictionaryError) -> ExitCode {
    match error {
        DictionaryError::Train(error) => of_training(error),
        DictionaryError::Data(_)
        | DictionaryError::NoCodes { .. }
        | DictionaryError::FewPatches { .. }
        | DictionaryError::Ridge(_)
        | DictionaryError::NoRun(_)
        | DictionaryError::NothingSaved(_) => ExitCode::from(3),
        DictionaryError::Orthogonal(_) => ExitCode::from(4),
        DictionaryError::Run(_)
        | DictionaryError::Checkpoint(_)
        | DictionaryError::Solver(_)
        | DictionaryError::Picture { .. } => ExitCode::FAILURE,
    }
}

fn of_study(error: &StudyError) -> ExitCode {
    match error {
        StudyError::Train(error) => of_training(error),
        StudyError::Child { code, .. } => ExitCode::from(*code),
        StudyError::NoCodes | StudyError::Sparsity { .. } | StudyError::Batch { .. } | StudyError::NoValidation(_) => {
            ExitCode::from(2)
        }
        StudyError::NoWeights(_)
        | StudyError::NothingSaved(_)
        | StudyError::Classes { .. }
        | StudyError::Unfit { .. }
        | StudyError::Experiment(_)
        | StudyError::OtherOrder { .. }
        | StudyError::Stored { .. }
        | StudyError::OtherWeights { .. }
        | StudyError::OtherImages { .. }
        | StudyError::NoKernels(_)
        | StudyError::SameName { .. }
        | StudyError::OtherData { .. }
        | StudyError::Schedule(_)
        | StudyError::Weights { .. }
        | StudyError::ZeroAtoms { .. }
        | StudyError::Correlations { .. }
        | StudyError::NoDictionaries(_)
        | StudyError::NotFinite { .. }
        | StudyError::Problem { .. }
        | StudyError::Solver { .. }
        | StudyError::Codes(_)
        | StudyError::Gradients { .. } => ExitCode::from(3),
        StudyError::Checkpoint(_)
        | StudyError::Run(_)
        | StudyError::Write { .. }
        | StudyError::Json { .. }
        | StudyError::Device(_)
        | StudyError::Metrics { .. }
        | StudyError::Process { .. }
        | StudyError::Said { .. }
        | StudyError::Folder { .. } => ExitCode::FAILURE,
    }
}

/// The code of a process that saved and ended because of a signal.
pub(crate) fn stopped(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
