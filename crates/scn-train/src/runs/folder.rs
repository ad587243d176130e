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

use crate::experiment::{Experiment, Loaded};
use crate::runs::atomic::write_file;

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
    _lock: File,
}

impl RunFolder {
    /// Makes a new run in `path`, which must be empty, not there, or left by a start that was killed on its way here.
    ///
    /// # Errors
    /// [`RunFolderError::Occupied`], [`RunFolderError::Foreign`], [`RunFolderError::Locked`], [`RunFolderError::Io`].
    pub fn create(path: &Path, loaded: &Loaded) -> Result<Self, RunFolderError> {
        if holds_run(path) {
            return Err(RunFolderError::Occupied(path.to_path_buf()));
        }
        let mut entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(io_error(path, "read the folder"))?),
        };
        let started = path.join(LOCK).exists();
        let foreign =
            |entry: &io::Result<fs::DirEntry>| entry.as_ref().is_ok_and(|entry| !started || !is_unfinished(entry));
        if entries
            .as_mut()
            .is_some_and(|entries| entries.any(|entry| foreign(&entry)))
        {
            return Err(RunFolderError::Foreign(path.to_path_buf()));
        }
        fs::create_dir_all(path).map_err(io_error(path, "create the folder"))?;
        let lock = lock(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(io_error(&checkpoints, "create the folder"))?;
        let files = [
            (EXPERIMENT, loaded.source.clone()),
            (RESOLVED, loaded.experiment.resolved_toml()),
        ];
        for (name, text) in files {
            let file = path.join(name);
            write_file(&file, text.as_bytes()).map_err(io_error(&file, "write"))?;
        }
        Self::open(path, lock)
    }

    /// Opens the run in `path` to go on with it.
    ///
    /// # Errors
    /// [`RunFolderError::NothingToResume`], [`RunFolderError::Changed`] where the experiment would train something
    /// else, [`RunFolderError::Locked`], [`RunFolderError::Io`].
    pub fn resume(path: &Path, experiment: &Experiment) -> Result<Self, RunFolderError> {
        if !holds_run(path) {
            return Err(RunFolderError::NothingToResume(path.to_path_buf()));
        }
        let started = Self::experiment(path)?;
        if let Err(differences) = started.same_training(experiment) {
            return Err(RunFolderError::Changed {
                folder: path.to_path_buf(),
                differences,
            });
        }
        let lock = lock(path)?;
        Self::open(path, lock)
    }

    /// The experiment of the run in `path`, every value as it was resolved.
    ///
    /// # Errors
    /// [`RunFolderError::Content`] where `resolved.toml` cannot be understood.
    pub fn experiment(path: &Path) -> Result<Experiment, RunFolderError> {
        let file = path.join(RESOLVED);
        Experiment::load_started(&file, &[])
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

    fn open(path: &Path, lock: File) -> Result<Self, RunFolderError> {
        let file = path.join(METRICS);
        let metrics = append(&file)?;
        Ok(Self {
            path: path.to_path_buf(),
            metrics,
            _lock: lock,
        })
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
