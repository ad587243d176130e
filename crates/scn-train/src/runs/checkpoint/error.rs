//! Why a checkpoint cannot be written or used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system's error.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that is there, but that the system does not let be read: it may be whole.
    #[error(
        "{path}: cannot be read: {source}; that does not make it damaged, so nothing is put in its place: see to its \
         permissions or its disk, and try again"
    )]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A file that is not what its manifest says.
    #[error("{path}: damaged: {found}, expected {expected}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// A file that cannot be understood.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No checkpoint of a run can be used.
    #[error("{folder}: none of its checkpoints can be used: {}; start a new run, or restore a checkpoint from a backup", .reasons.join("; "))]
    NoneUsable {
        /// The folder of checkpoints.
        folder: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
    /// Training on from it here would train another network than the one that was begun.
    #[error("{path}: made of something else than is here: {}; {advice}, or start a new run with another --out", .differences.join("; "))]
    OtherTraining {
        /// The checkpoint.
        path: PathBuf,
        /// What was and what is.
        differences: Vec<String>,
        /// What to do to go on.
        advice: &'static str,
    },
}

impl CheckpointError {
    /// Whether the checkpoint is to be passed over, as damaged; otherwise it may be good, and nothing may replace it.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            CheckpointError::Io { .. } | CheckpointError::Damaged { .. } | CheckpointError::Content { .. } => true,
            CheckpointError::Unreadable { .. }
            | CheckpointError::NoneUsable { .. }
            | CheckpointError::OtherTraining { .. } => false,
        }
    }

    /// The error of a file that could not be read: missing, which is damage, or not readable.
    pub(crate) fn of_reading(path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        let path = path.to_path_buf();
        match source.kind() {
            NotFound | NotADirectory | IsADirectory => CheckpointError::Io {
                path,
                action: "read",
                source,
            },
            _ => CheckpointError::Unreadable { path, source },
        }
    }
}
