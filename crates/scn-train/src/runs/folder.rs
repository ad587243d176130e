//! The folder that a run leaves behind.
//!
//! ```text
//! experiment.toml   the file as given
//! resolved.toml     every value, overrides applied
//! environment.json  version, device, processor, command line: an array, one object per start
//! metrics.jsonl     one object per epoch and split
//! checkpoints/      see `checkpoint`
//! log.txt           what was logged
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::experiment::{Experiment, ExperimentFile, Loaded, resolved_toml, same_training};
use crate::runs::atomic::{is_there, write_file};
use crate::runs::checkpoint::LAST;

const EXPERIMENT: &str = "experiment.toml";
const RESOLVED: &str = "resolved.toml";
const ENVIRONMENT: &str = "environment.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const LOG: &str = "log.txt";
const LOCK: &str = ".lock";

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The folder already holds a run.
    #[error("{0}: this folder holds a run; go on with it with --resume, or give another --out")]
    Occupied(PathBuf),
    /// The folder holds something else.
    #[error("{0}: this folder is not empty and holds no run; give another --out")]
    Foreign(PathBuf),
    /// Nothing to resume.
    #[error("{0}: no run to resume here; start one without --resume")]
    NothingToResume(PathBuf),
    /// Another process works on the run.
    #[error("{0}: another process is working on this run")]
    Locked(PathBuf),
    /// The run was started with another experiment.
    #[error("{folder}: this run was started with another experiment: {}; start a new run for the changed one", .differences.join("; "))]
    Changed {
        /// The run's folder.
        folder: PathBuf,
        /// Keys that differ.
        differences: Vec<String>,
    },
    /// A file of the run that cannot be understood.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
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
}

/// An open run. The folder stays locked until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    /// The folders that were made for a new run, the innermost first.
    made: Vec<PathBuf>,
    _lock: File,
}

impl RunFolder {
    /// Whether a new run can be made in `path`, which must be empty, not there, or left by a start that was killed on its
    /// way here.
    ///
    /// # Errors
    /// [`RunFolderError::Occupied`], [`RunFolderError::Foreign`], [`RunFolderError::Io`].
    pub fn check_new(path: &Path) -> Result<(), RunFolderError> {
        if holds_run(path) {
            return Err(RunFolderError::Occupied(path.to_path_buf()));
        }
        let mut entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(io_error(path, "read the folder"))?,
        };
        let started = path.join(LOCK).exists();
        let foreign = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| !started || !is_unfinished(&entry));
        if entries.any(foreign) {
            return Err(RunFolderError::Foreign(path.to_path_buf()));
        }
        Ok(())
    }

    /// Makes a new run in `path`, for which [`RunFolder::check_new`] holds. Leaves nothing where it fails.
    ///
    /// # Errors
    /// As [`RunFolder::check_new`], and [`RunFolderError::Locked`].
    pub fn create<E: ExperimentFile>(path: &Path, loaded: &Loaded<E>) -> Result<Self, RunFolderError> {
        Self::check_new(path)?;
        let missing = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && fs::symlink_metadata(folder).is_err());
        let made: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        let locked = fs::create_dir_all(path)
            .map_err(io_error(path, "create the folder"))
            .and_then(|()| lock(path));
        let lock = match locked {
            Ok(lock) => lock,
            // Another process's folder by now.
            Err(error @ RunFolderError::Locked(_)) => return Err(error),
            Err(error) => {
                let _ = fs::remove_file(path.join(LOCK));
                remove_empty(&made);
                return Err(error);
            }
        };
        let written = Self::write(path, loaded).and_then(|()| append(&path.join(METRICS)));
        match written {
            Ok(metrics) => Ok(Self {
                path: path.to_path_buf(),
                metrics,
                made,
                _lock: lock,
            }),
            Err(error) => {
                clear(path, &made);
                Err(error)
            }
        }
    }

    fn write<E: ExperimentFile>(path: &Path, loaded: &Loaded<E>) -> Result<(), RunFolderError> {
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(io_error(&checkpoints, "create the folder"))?;
        let files = [
            (EXPERIMENT, loaded.source.clone()),
            (RESOLVED, resolved_toml(&loaded.experiment)),
        ];
        for (name, text) in files {
            let file = path.join(name);
            write_file(&file, text.as_bytes()).map_err(io_error(&file, "write"))?;
        }
        Ok(())
    }

    /// Removes a new run that could not start, and the folders that were made for it. What was saved already stays.
    pub fn discard(self) {
        if !is_there(&self.checkpoints().join(LAST)) {
            clear(&self.path, &self.made);
        }
    }

    /// Opens the run in `path` to go on with it.
    ///
    /// # Errors
    /// [`RunFolderError::NothingToResume`], [`RunFolderError::Changed`] where the experiment would train something
    /// else, [`RunFolderError::Locked`], [`RunFolderError::Io`].
    pub fn resume<E: ExperimentFile>(path: &Path, experiment: &E) -> Result<Self, RunFolderError> {
        if !holds_run(path) {
            return Err(RunFolderError::NothingToResume(path.to_path_buf()));
        }
        let started: E = Self::started(path)?;
        if let Err(differences) = same_training(&started, experiment) {
            return Err(RunFolderError::Changed {
                folder: path.to_path_buf(),
                differences,
            });
        }
        let lock = lock(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            metrics: append(&path.join(METRICS))?,
            made: Vec::new(),
            _lock: lock,
        })
    }

    /// The experiment of the run in `path`, every value as it was resolved.
    ///
    /// # Errors
    /// [`RunFolderError::Content`] where `resolved.toml` cannot be understood.
    pub fn experiment(path: &Path) -> Result<Experiment, RunFolderError> {
        Self::started(path)
    }

    /// As [`RunFolder::experiment`], of any kind.
    ///
    /// # Errors
    /// [`RunFolderError::Content`] where `resolved.toml` is none of that kind.
    pub fn started<E: ExperimentFile>(path: &Path) -> Result<E, RunFolderError> {
        let file = path.join(RESOLVED);
        E::load_started(&file, &[])
            .map(|loaded| loaded.experiment)
            .map_err(|error| RunFolderError::Content {
                path: file,
                reason: error.to_string(),
            })
    }

    /// What the run in `path` was started on, one object for each start; empty before the first.
    ///
    /// # Errors
    /// [`RunFolderError::Content`] where the file is no array, [`RunFolderError::Io`].
    pub fn environments(path: &Path) -> Result<Vec<serde_json::Value>, RunFolderError> {
        let file = path.join(ENVIRONMENT);
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(content_error(&file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(io_error(&file, "read")(error)),
        }
    }

    /// The lines of metrics of the run in `path`; empty before the first. What a crash cut off is left out.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn metrics<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RunFolderError> {
        let file = path.join(METRICS);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(io_error(&file, "read"))?,
        };
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Where the run lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of its checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// The file that its log is appended to.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn log(&self) -> Result<File, RunFolderError> {
        append(&self.path.join(LOG))
    }

    /// Adds what the run is started on to the array of its starts.
    ///
    /// # Errors
    /// [`RunFolderError::Content`] where the file is no such array, [`RunFolderError::Io`].
    pub fn add_environment(&self, environment: &impl Serialize) -> Result<(), RunFolderError> {
        let file = self.path.join(ENVIRONMENT);
        let content = content_error(&file);
        let mut starts = Self::environments(&self.path)?;
        starts.push(serde_json::to_value(environment).map_err(&content)?);
        let bytes = serde_json::to_vec_pretty(&starts).map_err(&content)?;
        write_file(&file, &bytes).map_err(io_error(&file, "write"))
    }

    /// Adds a line of metrics.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn add_metrics(&mut self, metrics: &impl Serialize) -> Result<(), RunFolderError> {
        write_line(&mut self.metrics, metrics).map_err(io_error(&self.path.join(METRICS), "append"))
    }

    /// Drops the lines of metrics of epochs after `epochs`, which will be trained again, and of tests, which come last.
    ///
    /// # Errors
    /// [`RunFolderError::Io`].
    pub fn truncate_metrics(&mut self, epochs: usize) -> Result<(), RunFolderError> {
        let file = self.path.join(METRICS);
        let text = fs::read_to_string(&file).map_err(io_error(&file, "read"))?;
        // A line that was cut off by a crash belongs to an epoch that is trained again.
        let keeps = |line: &&str| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| {
                line["split"] != "test" && line["epoch"].as_u64().is_some_and(|epoch| epoch <= epochs as u64)
            })
        };
        let kept = text.lines().filter(keeps);
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        if kept != text {
            write_file(&file, kept.as_bytes()).map_err(io_error(&file, "write"))?;
            self.metrics = append(&file)?;
        }
        Ok(())
    }
}

/// Whether an entry of a locked folder is what [`RunFolder::create`] writes before `resolved.toml`, which comes last.
fn is_unfinished(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let files = [LOCK, EXPERIMENT].map(str::to_string).into_iter();
    let parts = [EXPERIMENT, RESOLVED].map(|name| format!(".{name}.part"));
    files.chain(parts).any(|file| name == *file) || (name == CHECKPOINTS && empty(&entry.path()))
}

/// Removes what [`RunFolder::create`] and the first start wrote. The first error is the one to report.
fn clear(path: &Path, made: &[PathBuf]) {
    // The one that makes it a run goes first, the lock last.
    for name in [RESOLVED, EXPERIMENT, ENVIRONMENT, METRICS, LOG] {
        let _ = fs::remove_file(path.join(name));
    }
    let _ = fs::remove_dir(path.join(CHECKPOINTS));
    let _ = fs::remove_file(path.join(LOCK));
    remove_empty(made);
}

/// Removes folders, the innermost first, as far as nothing lies in them.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Whether `path` holds a run.
pub fn holds_run(path: &Path) -> bool {
    path.join(RESOLVED).is_file()
}

/// The default folder of a new run: `runs/<name>/<UTC time>`.
pub fn default_path(runs: &Path, name: &str, now: OffsetDateTime) -> PathBuf {
    let format = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]Z");
    let stamp = now.to_offset(time::UtcOffset::UTC).format(format);
    runs.join(name)
        .join(stamp.unwrap_or_else(|error| panic!("a date has a year and a second: {error}")))
}

/// The newest run of that name, if there is one.
///
/// # Errors
/// [`RunFolderError::Io`].
pub fn newest_run(runs: &Path, name: &str) -> Result<Option<PathBuf>, RunFolderError> {
    let folder = runs.join(name);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io_error(&folder, "read the folder"))?,
    };
    // Names are times: the last in order is the newest.
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| holds_run(path))
        .max())
}

/// Keeps other processes from working on a run until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    _lock: File,
}

impl RunLock {
    /// Locks the run in `path`.
    ///
    /// # Errors
    /// [`RunFolderError::Locked`] where another process works on it, [`RunFolderError::Io`].
    pub fn take(path: &Path) -> Result<Self, RunFolderError> {
        Ok(Self { _lock: lock(path)? })
    }
}

fn lock(path: &Path) -> Result<File, RunFolderError> {
    let file = path.join(LOCK);
    let lock = File::create(&file).map_err(io_error(&file, "create"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(RunFolderError::Locked(path.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(io_error(&file, "lock")(source)),
    }
}

fn append(path: &Path) -> Result<File, RunFolderError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io_error(path, "open for appending"))
}

/// One write per line, so that a crash cuts off at most one.
fn write_line(file: &mut File, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()
}

fn content_error(path: &Path) -> impl Fn(serde_json::Error) -> RunFolderError + use<'_> {
    move |error| RunFolderError::Content {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn io_error<'p>(path: &'p Path, action: &'static str) -> impl FnOnce(io::Error) -> RunFolderError + use<'p> {
    move |source| RunFolderError::Io {
        path: path.to_path_buf(),
        action,
        source,
    }
}
