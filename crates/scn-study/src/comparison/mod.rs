//! Networks trained on the same data with the same budget, side by side.

mod child;
#[allow(clippy::module_inception)]
mod comparison;
mod entry;
mod row;
mod table;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use scn_ops::DeviceRequest;
use scn_train::StopFlag;
use scn_train::checkpoint::{self, BEST, LAST};

pub use comparison::{Budget, Comparison};
pub use row::Row;

use crate::StudyError;
use crate::robust::Stored;
use child::Program;

/// What is compared, and what is changed in every experiment.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Experiment files, or comparison files that list some.
    pub experiments: Vec<PathBuf>,
    /// Keys and values, as `data.validation=5000`.
    pub set: Vec<String>,
    /// Epochs of every model.
    pub epochs: Option<usize>,
    /// Steps of every model, at most.
    pub steps: Option<usize>,
    /// The device.
    pub device: Option<DeviceRequest>,
    /// Threads; 0 takes all cores.
    pub threads: Option<usize>,
    /// Seed of every model.
    pub seed: Option<u64>,
    /// Accuracy on the validation split in percent, whose seconds of training are told.
    pub target: Option<f64>,
    /// Whether models are evaluated on corrupted images too, where that was not done before.
    pub robust: bool,
}

/// A model whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place, counted from 1.
    pub model: usize,
    /// Models.
    pub of: usize,
    /// Its name.
    pub name: String,
    /// Where it was trained, if it was before.
    pub trained_in: Option<PathBuf>,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, of, name, .. } = self;
        write!(formatter, "model {model} of {of}: {name}")?;
        match &self.trained_in {
            Some(folder) => write!(formatter, " was trained before, in {}", folder.display()),
            None => Ok(()),
        }
    }
}

/// Trains every model that is not done, each by a process of its own of `program`, which is scn, in the folder `out`. What
/// there is so far is stored there before each model; the end is for the caller to show and to store. `None` where a
/// signal stopped it.
///
/// # Errors
/// What keeps experiments from being compared, and [`StudyError::Child`] where a model fails.
pub fn comparison(
    options: &Options,
    out: &Path,
    program: &Path,
    stop: &StopFlag,
    progress: &mut dyn FnMut(Step),
) -> Result<Option<Comparison>, StudyError> {
    let entries = entry::entries(options, out)?;
    let program = Program { path: program, stop };
    let mut sizes = Vec::with_capacity(entries.len());
    for entry in &entries {
        let Some(size) = program.size(entry)? else {
            return Ok(None);
        };
        sizes.push(size);
    }
    fs::create_dir_all(out).map_err(|error| StudyError::Folder {
        folder: out.to_path_buf(),
        error,
    })?;
    let mut comparison = Comparison::of(&entries, &sizes, options)?;
    for (index, entry) in entries.iter().enumerate() {
        comparison.store(out)?;
        let name = &entry.experiment.name;
        let trained = comparison.has(name);
        progress(Step {
            model: index + 1,
            of: entries.len(),
            name: name.clone(),
            trained_in: trained.then(|| entry.folder.clone()),
        });
        if !trained && !program.train(entry)? {
            return Ok(None);
        }
        if options.robust && stored_robust(&entry.folder)?.is_none() && !program.robust(entry)? {
            return Ok(None);
        }
        comparison = Comparison::of(&entries, &sizes, options)?;
    }
    Ok(Some(comparison))
}

/// What robust inference stored with a run, if it is of the weights that stand for the run by now.
fn stored_robust(run: &Path) -> Result<Option<Stored>, StudyError> {
    let Some(stored) = Stored::read(run)? else {
        return Ok(None);
    };
    let checkpoints = run.join("checkpoints");
    let path = [BEST, LAST].map(|name| checkpoints.join(name));
    let Some(path) = path.into_iter().find(|path| path.exists()) else {
        return Ok(None);
    };
    let digest = checkpoint::weights_sha256(&path)?;
    Ok(Some(stored).filter(|stored| stored.is_of(&digest)))
}
