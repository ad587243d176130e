//! What robust inference found.

use std::path::Path;

use serde::Serialize;

use super::{FILE, FitPoint, SparsityFit, TABLE};
use crate::{StudyError, store_beside};

/// What is found, shown and stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The checkpoint.
    pub checkpoint: String,
    /// SHA-256 of its weights, which alone the fit belongs to.
    pub weights_sha256: String,
    /// Name of the network.
    pub model: &'static str,
    /// What is chosen, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<&'static str>,
    /// Its value in training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained: Option<f64>,
    /// The values that were tried.
    pub tried: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// How the sparsity follows the residual.
    pub fit: Option<SparsityFit>,
    /// Training images of the fit.
    pub fit_images: usize,
    /// What the fit goes through.
    pub fit_points: Vec<FitPoint>,
    /// Where the corrupted test images are from.
    pub corruptions: String,
    /// Test images.
    pub test_images: usize,
    /// One for each corruption, from none on.
    pub rows: Vec<Row>,
}

impl Report {
    /// Stores the report and its rows as a table in the folder of a run or of a checkpoint.
    ///
    /// # Errors
    /// As [`store_beside`].
    pub fn store(&self, folder: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| StudyError::Json {
            file: folder.join(FILE),
            error,
        })?;
        store_beside(folder, &[(FILE, json), (TABLE, self.csv().into_bytes())])
    }

    /// The rows as comma-separated values.
    pub fn csv(&self) -> String {
        let mut text = String::from("noise,severity,residual,fixed,fitted,best,best_value\n");
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for row in &self.rows {
            let Row { noise, severity, .. } = row;
            let values = [row.residual, Some(row.fixed), row.fitted, row.best, row.best_value].map(cell);
            text += &format!("{noise},{severity},{}\n", values.join(","));
        }
        text
    }
}

/// Accuracies in percent on test images with one corruption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the corruption.
    pub noise: &'static str,
    /// 0 for the images as they are.
    pub severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Mean residual of the images.
    pub residual: Option<f64>,
    /// With the sparsity of training.
    pub fixed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// With the sparsity that the residual chooses.
    pub fitted: Option<f64>,
    /// With the value that is best on these very images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// That value.
    pub best_value: Option<f64>,
}
