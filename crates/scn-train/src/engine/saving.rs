//! When a run is saved, and what was saved last.
//!
//! The clock decides when a checkpoint is written, and never what is in it or what comes after it.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::TrainError;
use crate::experiment::RunConfig;
use crate::runs::checkpoint::{CheckpointError, LAST, PREVIOUS, Position, Stored};
use crate::runs::folder::{RunFolder, RunFolderError, holds_run};

const SECONDS_PER_MINUTE: f64 = 60.0;

/// A checkpoint as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    name: &'static str,
    position: Position,
}

impl Saved {
    /// Of that name, so far.
    pub fn of(name: &'static str, position: Position) -> Self {
        Self { name, position }
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, position } = self;
        let Position { epochs, batches, .. } = position;
        let counted = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        write!(
            formatter,
            "checkpoints/{name} after {}",
            counted(*epochs, "epoch", "epochs")
        )?;
        match batches {
            0 => Ok(()),
            _ => write!(formatter, " and {}", counted(*batches, "batch", "batches")),
        }
    }
}

/// Writes the checkpoints of a run.
pub struct Saving {
    /// The newest that was written or gone on from.
    newest: Option<Saved>,
    /// When [`LAST`] was written, or the run started.
    since: Instant,
    every_minutes: f64,
}

impl Saving {
    /// Of a run that goes on from `saved`, or starts.
    pub fn new(saved: Option<Saved>, config: &RunConfig) -> Self {
        Self {
            newest: saved,
            since: Instant::now(),
            every_minutes: config.checkpoint_minutes,
        }
    }

    /// Whether the last checkpoint is so old that there should be one inside the epoch.
    pub fn is_due(&self) -> bool {
        self.every_minutes > 0.0 && self.since.elapsed().as_secs_f64() >= self.every_minutes * SECONDS_PER_MINUTE
    }

    /// Whether [`LAST`] stands where training does.
    pub fn is_saved(&self, position: Position) -> bool {
        (self.newest.as_ref()).is_some_and(|saved| saved.name == LAST && saved.position == position)
    }

    /// Writes a checkpoint under this name.
    ///
    /// # Errors
    /// [`TrainError::Unsaved`].
    pub fn save(&mut self, run: &RunFolder, name: &'static str, checkpoint: &impl Stored) -> Result<(), TrainError> {
        let folder = run.checkpoints();
        let previous = (name == LAST).then(|| folder.join(PREVIOUS));
        let written = checkpoint.save(&folder.join(name), previous.as_deref());
        written.map_err(|error| self.unsaved(run.path(), error.into()))?;
        self.newest = Some(Saved::of(name, checkpoint.position()));
        if name == LAST {
            self.since = Instant::now();
        }
        Ok(())
    }

    /// The error of a file that cannot be written, with what was saved last and what to do.
    pub fn unsaved(&self, run: &Path, cause: TrainError) -> TrainError {
        let kind = match &cause {
            TrainError::Checkpoint(CheckpointError::Io { source, .. })
            | TrainError::Run(RunFolderError::Io { source, .. }) => source.kind(),
            _ => io::ErrorKind::Other,
        };
        let gone = !holds_run(run);
        let saved = match &self.newest {
            None => "nothing was saved yet".to_owned(),
            Some(saved) if gone => format!("what was saved last, {saved}, is gone from there"),
            Some(saved) => format!("what was saved last is {saved}"),
        };
        use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let repair = match kind {
            _ if gone => "put the run's folder back, or mount its disk again",
            StorageFull | QuotaExceeded => "make room on its disk",
            FileTooLarge => "raise the limit on the size of files",
            PermissionDenied | ReadOnlyFilesystem => "make the folder writable",
            _ => "see to its disk",
        };
        TrainError::Unsaved {
            cause: Box::new(cause),
            advice: format!("{saved}: {repair}, and go on with --out {} --resume", run.display()),
        }
    }
}
