//! A comparison as it is printed and stored.

use std::path::Path;

use anyhow::Context;
use scn_train::{RunFolder, write_file};
use serde::Serialize;
use serde_json::Value;

use super::Args;
use super::child::Size;
use super::entry::Entry;
use super::row::Row;
use super::table::table;

/// What `--json` prints and `comparison.json` holds.
#[derive(Serialize)]
pub(super) struct Comparison {
    pub(super) dataset: &'static str,
    pub(super) seed: u64,
    pub(super) budget: Budget,
    /// The validation accuracy of `seconds_to_target`, in percent.
    pub(super) target: Option<f64>,
    /// What the models were trained on: more than one where they were not trained on the same.
    pub(super) environment: Vec<Value>,
    pub(super) rows: Vec<Row>,
}

/// What was asked for; without either every experiment has its own epochs.
#[derive(Serialize)]
pub(super) struct Budget {
    pub(super) epochs: Option<usize>,
    pub(super) steps: Option<usize>,
}

impl Comparison {
    /// Of the models that are trained and tested; `sizes` are those of `entries`, which there must be one of.
    pub(super) fn of(entries: &[Entry], sizes: &[Size], args: &Args) -> anyhow::Result<Self> {
        let experiment = &entries[0].experiment;
        let mut comparison = Self {
            dataset: experiment.data.dataset.name(),
            seed: experiment.seed,
            budget: Budget {
                epochs: args.epochs,
                steps: args.steps,
            },
            target: args.target,
            environment: Vec::new(),
            rows: Vec::new(),
        };
        for (entry, size) in entries.iter().zip(sizes) {
            let Some(row) = Row::of(entry, size, args.target)? else {
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

    /// Writes `comparison.json` and `comparison.md`.
    pub(super) fn store(&self, folder: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        for (name, bytes) in [("comparison.json", json), ("comparison.md", table(self).into_bytes())] {
            let file = folder.join(name);
            write_file(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}
