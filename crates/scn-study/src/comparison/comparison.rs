//! A comparison as it is printed and stored.

use std::path::Path;

use scn_train::RunFolder;
use serde::Serialize;
use serde_json::Value;

use super::Options;
use super::child::Size;
use super::entry::Entry;
use super::row::Row;
use super::table::table;
use crate::{StudyError, write_file};

/// What is found, shown and stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the dataset.
    pub dataset: &'static str,
    /// Of every model.
    pub seed: u64,
    /// What was asked for.
    pub budget: Budget,
    /// The validation accuracy of `seconds_to_target`, in percent.
    pub target: Option<f64>,
    /// What the models were trained on: more than one where they were not trained on the same.
    pub environment: Vec<Value>,
    /// One for each model that is trained and tested.
    pub rows: Vec<Row>,
}

/// What was asked for; without either every experiment has its own epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Epochs of every model.
    pub epochs: Option<usize>,
    /// Steps of every model, at most.
    pub steps: Option<usize>,
}

impl Comparison {
    /// Of the models that are trained and tested; `sizes` are those of `entries`, which there must be one of.
    pub(super) fn of(entries: &[Entry], sizes: &[Size], options: &Options) -> Result<Self, StudyError> {
        let experiment = &entries[0].experiment;
        let mut comparison = Self {
            dataset: experiment.data.dataset.name(),
            seed: experiment.seed,
            budget: Budget {
                epochs: options.epochs,
                steps: options.steps,
            },
            target: options.target,
            environment: Vec::new(),
            rows: Vec::new(),
        };
        for (entry, size) in entries.iter().zip(sizes) {
            let Some(row) = Row::of(entry, size, options.target)? else {
                continue;
            };
            comparison.rows.push(row);
            for mut environment in RunFolder::environments(&entry.folder)? {
                if let Some(environment) = environment.as_object_mut() {
                    environment.remove("command");
                }
                if !comparison.environment.contains(&environment) {
                    comparison.environment.push(environment);
                }
            }
        }
        Ok(comparison)
    }

    /// Whether the model of that name is trained and tested.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.name == name)
    }

    /// A table in Markdown.
    pub fn table(&self) -> String {
        table(self)
    }

    /// Writes `comparison.json` and `comparison.md` into the folder of the comparison.
    ///
    /// # Errors
    /// [`StudyError::Write`].
    pub fn store(&self, folder: &Path) -> Result<(), StudyError> {
        let file = folder.join("comparison.json");
        let json = match serde_json::to_vec_pretty(self) {
            Ok(json) => json,
            Err(error) => return Err(StudyError::Json { file, error }),
        };
        for (file, bytes) in [(file, json), (folder.join("comparison.md"), self.table().into_bytes())] {
            write_file(&file, &bytes).map_err(|error| StudyError::Write { file, error })?;
        }
        Ok(())
    }
}
