//! What `scn robust` stored with a run or a checkpoint, for other commands.

use std::io::ErrorKind;
use std::path::Path;

use scn_train::robust::SparsityFit;
use serde::{Deserialize, Serialize};

use super::FILE;
use crate::exit::BadInput;

/// The part of a stored report that others need.
#[derive(Deserialize)]
pub(crate) struct Stored {
    fit: Option<SparsityFit>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    severity: u8,
    fixed: f64,
    fitted: Option<f64>,
}

/// Accuracies in percent, means over the corruptions.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct RobustAccuracy {
    /// With the sparsity of training.
    pub(crate) fixed: f64,
    /// With the sparsity that the residual chooses.
    pub(crate) fitted: Option<f64>,
}

impl Stored {
    /// What is stored in a folder, if anything.
    ///
    /// # Errors
    /// [`BadInput`] where the file is there and cannot be understood.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, BadInput> {
        let file = folder.join(FILE);
        let fail = |message: String| BadInput(format!("{}: {message}: run `scn robust` again", file.display()));
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(format!("cannot read it: {error}"))),
        };
        let stored: Self = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        match stored.fit {
            Some(fit) if !usable(&fit) => Err(fail(format!("the fit {fit:?} is none"))),
            _ => Ok(Some(stored)),
        }
    }

    /// How the sparsity follows the residual, for networks with codes.
    pub(crate) fn fit(&self) -> Option<SparsityFit> {
        self.fit
    }

    /// The mean over the corruptions, if there were any.
    pub(crate) fn accuracy(&self) -> Option<RobustAccuracy> {
        let corrupted: Vec<&Row> = self.rows.iter().filter(|row| row.severity > 0).collect();
        let mean = |of: &dyn Fn(&Row) -> Option<f64>| {
            let values: Option<Vec<f64>> = corrupted.iter().map(|row| of(row)).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let fixed = mean(&|row| Some(row.fixed)).filter(|_| !corrupted.is_empty())?;
        Some(RobustAccuracy {
            fixed,
            fitted: mean(&|row| row.fitted),
        })
    }
}

fn usable(fit: &SparsityFit) -> bool {
    let numbers = [fit.slope, fit.intercept, fit.least, fit.largest];
    numbers.iter().all(|number| number.is_finite()) && fit.least <= fit.largest
}
