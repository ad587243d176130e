//! Which checkpoint of a run is used.

use std::fs;
use std::path::{Path, PathBuf};

use super::content::Checkpoint;
use super::error::CheckpointError;
use super::files;
use crate::runs::atomic::{is_there, part, remove_folder, retired, sync_parent};

/// The newest.
pub const LAST: &str = "last";
/// The one before.
pub const PREVIOUS: &str = "previous";
/// That of the best validation accuracy.
pub const BEST: &str = "best";
/// The checkpoints of a run; of those that are equally new, the first is used.
const NAMES: [&str; 3] = [LAST, PREVIOUS, BEST];
/// A [`LAST`] that could not be used; nothing reads it.
const DAMAGED: &str = "damaged";

/// What checkpoints of one kind of run hold.
pub trait Stored: Sized {
    /// Writes it to `path`, whole or not at all; a checkpoint that is there becomes `previous`, if given.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError>;

    /// Reads and verifies the checkpoint in folder `path`.
    ///
    /// # Errors
    /// [`CheckpointError`] with the file that is missing, damaged, not readable or not understood.
    fn load(path: &Path) -> Result<Self, CheckpointError>;

    /// The steps made by the checkpoint in folder `path`, of which nothing else is read.
    ///
    /// # Errors
    /// As [`Stored::load`].
    fn steps(path: &Path) -> Result<usize, CheckpointError>;

    /// How far it is.
    fn position(&self) -> Position;
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whole epochs.
    pub epochs: usize,
    /// Batches of the next one.
    pub batches: usize,
    /// Steps in all.
    pub steps: usize,
}

/// A checkpoint that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<C = Checkpoint> {
    /// [`LAST`], [`PREVIOUS`] or [`BEST`].
    pub name: &'static str,
    /// Its folder.
    pub path: PathBuf,
    /// What it holds.
    pub checkpoint: C,
    /// Those that would have been chosen before it.
    pub passed_over: Vec<PassedOver>,
}

/// A checkpoint that is missing or damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl<C> Found<C> {
    /// What the user is to be told: why another checkpoint is used than was to be expected.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        let name = self.name;
        let passed_over = self.passed_over.iter();
        passed_over.map(move |PassedOver { reason, .. }| format!("{reason}; using checkpoints/{name} instead"))
    }
}

/// The newest good checkpoint below `folder`, by the steps that it has made; `None` where nothing was saved yet.
///
/// # Errors
/// [`CheckpointError::NoneUsable`] where there are checkpoints but none is good, [`CheckpointError::Unreadable`] where
/// one may be good.
pub fn newest(folder: &Path) -> Result<Option<Found>, CheckpointError> {
    newest_of(folder)
}

/// As [`newest`], of any kind of run.
///
/// # Errors
/// As [`newest`].
pub fn newest_of<C: Stored>(folder: &Path) -> Result<Option<Found<C>>, CheckpointError> {
    // What is wrong with some, with their places in NAMES.
    let mut reasons = Vec::new();
    let mut candidates = Vec::new();
    for (rank, name) in NAMES.into_iter().enumerate() {
        let Some(path) = place::<C>(folder, name)? else {
            continue;
        };
        match damage(C::steps(&path))? {
            Ok(steps) => candidates.push((steps, rank, name, path)),
            Err(reason) => reasons.push((rank, reason)),
        }
    }
    // Stable: of equals the first stays the first.
    candidates.sort_by_key(|(steps, ..)| std::cmp::Reverse(*steps));
    // Those that are newer than the one chosen, or may be, were passed over.
    let mut newer = Vec::new();
    for (_, rank, name, path) in candidates {
        match damage(C::load(&path))? {
            Ok(checkpoint) => {
                newer.extend(reasons.into_iter().filter(|(other, _)| *other < rank));
                newer.sort();
                let passed_over = newer.into_iter().map(|(rank, reason)| PassedOver {
                    name: NAMES[rank],
                    reason,
                });
                return Ok(Some(Found {
                    name,
                    path,
                    checkpoint,
                    passed_over: passed_over.collect(),
                }));
            }
            Err(reason) => newer.push((rank, reason)),
        }
    }
    reasons.extend(newer);
    if reasons.is_empty() {
        return Ok(None);
    }
    reasons.sort();
    Err(CheckpointError::NoneUsable {
        folder: folder.to_path_buf(),
        reasons: reasons.into_iter().map(|(_, reason)| reason).collect(),
    })
}

/// The checkpoint below `folder` that stands for the run: the best where validation chose one, or else the newest good
/// one.
///
/// # Errors
/// As [`newest`].
pub fn preferred(folder: &Path) -> Result<Option<Found>, CheckpointError> {
    let path = place::<Checkpoint>(folder, BEST)?;
    let wrong = match &path {
        None => None,
        Some(path) => match damage(Checkpoint::load(path))? {
            Ok(checkpoint) => {
                return Ok(Some(Found {
                    name: BEST,
                    path: path.clone(),
                    checkpoint,
                    passed_over: Vec::new(),
                }));
            }
            Err(reason) => Some(reason),
        },
    };
    let Some(mut found) = newest(folder)? else {
        return Ok(None);
    };
    let missing = || {
        let path = folder.join(BEST);
        (found.checkpoint.state.best_top1.is_some()).then(|| format!("{}: is missing", path.display()))
    };
    if let Some(reason) = wrong.or_else(missing) {
        found.passed_over.retain(|other| other.name != BEST);
        found.passed_over.insert(0, PassedOver { name: BEST, reason });
    }
    Ok(Some(found))
}

/// Puts back what an exchange that was interrupted between two renames left, and removes what is not needed any more.
///
/// # Errors
/// [`CheckpointError::Io`], [`CheckpointError::Unreadable`].
pub fn recover<C: Stored>(folder: &Path) -> Result<(), CheckpointError> {
    for name in NAMES {
        let path = folder.join(name);
        let io = |source| CheckpointError::Io {
            path: path.clone(),
            action: "put back what an interrupted save left",
            source,
        };
        if !is_there(&path)
            && let Some(left) = place::<C>(folder, name)?
        {
            fs::rename(&left, &path).map_err(io)?;
            sync_parent(&path).map_err(io)?;
        }
        for left in [part(&path), retired(&path)] {
            remove_folder(&left).map_err(io)?;
        }
    }
    Ok(())
}

/// Renames a damaged `last`, so that the next save does not put it in the place of a good `previous`.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn set_aside(folder: &Path) -> Result<(), CheckpointError> {
    let (last, aside) = (folder.join(LAST), folder.join(DAMAGED));
    if !is_there(&last) {
        return Ok(());
    }
    let io = |source| CheckpointError::Io {
        path: last.clone(),
        action: "set the damaged checkpoint aside",
        source,
    };
    remove_folder(&aside).map_err(io)?;
    fs::rename(&last, &aside).map_err(io)?;
    sync_parent(&last).map_err(io)
}

/// Where a checkpoint lies: under its name, or, where an exchange was interrupted between two renames, beside it, the new
/// one before the old one. What is not whole there counts for nothing.
fn place<C: Stored>(folder: &Path, name: &str) -> Result<Option<PathBuf>, CheckpointError> {
    let path = folder.join(name);
    match path.symlink_metadata() {
        Ok(_) => return Ok(Some(path)),
        Err(error) => {
            let error = CheckpointError::of_reading(&path, error);
            if !error.is_damage() {
                return Err(error);
            }
        }
    }
    for left in [part(&path), retired(&path)] {
        if files::has_manifest(&left) && damage(C::load(&left))?.is_ok() {
            return Ok(Some(left));
        }
    }
    Ok(None)
}

/// Tells damage, in words, from what only keeps a checkpoint from being read.
fn damage<T>(loaded: Result<T, CheckpointError>) -> Result<Result<T, String>, CheckpointError> {
    match loaded {
        Ok(found) => Ok(Ok(found)),
        Err(error) if error.is_damage() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
