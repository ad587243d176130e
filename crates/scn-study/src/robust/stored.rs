//! What robust inference stored with a run or a checkpoint, for other studies.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FILE, SparsityFit};
use crate::{StudyError, Trained};

/// The part of a stored report that others need.
#[derive(Debug)]
pub struct Stored {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Deserialize)]
struct Content {
    /// Of the weights that were fitted; not there in files of before it was recorded.
    weights_sha256: Option<String>,
    fit: Option<SparsityFit>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    severity: u8,
    fixed: f64,
    fitted: Option<f64>,
}

/// Accuracies in percent, means over the corruptions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RobustAccuracy {
    /// With the sparsity of training.
    pub fixed: f64,
    /// With the sparsity that the residual chooses.
    pub fitted: Option<f64>,
}

impl Stored {
    /// What is stored in a folder, if anything.
    ///
    /// # Errors
    /// [`StudyError::Stored`] where the file is there and cannot be understood.
    pub fn read(folder: &Path) -> Result<Option<Self>, StudyError> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(format!("cannot read it: {error}")),
        };
        let content = text.and_then(|text| serde_json::from_str::<Content>(&text).map_err(|error| error.to_string()));
        match content {
            Ok(Content { fit: Some(fit), .. }) if !usable(&fit) => Err(format!("the fit {fit:?} is none")),
            other => other,
        }
        .map(|content| {
            let file = file.clone();
            Some(Self { file, content })
        })
        .map_err(|reason| StudyError::Stored { file, reason })
    }

    /// How the sparsity follows the residual in a network with codes, and whether its weights are known to be these: those
    /// of a file that was stored before digests were are taken to be.
    ///
    /// # Errors
    /// [`StudyError::OtherWeights`] where they are not.
    pub fn fit_of(&self, trained: &Trained) -> Result<Option<(SparsityFit, bool)>, StudyError> {
        let Some(fit) = self.content.fit else { return Ok(None) };
        let found = trained.weights_sha256();
        match &self.content.weights_sha256 {
            None => Ok(Some((fit, false))),
            Some(fitted) if *fitted == found => Ok(Some((fit, true))),
            Some(fitted) => Err(StudyError::OtherWeights {
                file: self.file.clone(),
                fitted: fitted.clone(),
                checkpoint: trained.path.clone(),
                found,
            }),
        }
    }

    /// Whether it is of weights with this digest, as far as it says.
    pub fn is_of(&self, weights_sha256: &str) -> bool {
        let of = self.content.weights_sha256.as_deref();
        of.is_none_or(|of| of == weights_sha256)
    }

    /// The mean over the corruptions, if there were any.
    pub fn accuracy(&self) -> Option<RobustAccuracy> {
        let corrupted: Vec<&Row> = self.content.rows.iter().filter(|row| row.severity > 0).collect();
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
