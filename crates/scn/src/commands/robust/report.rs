//! What robust inference found, and how it is shown.

use scn_train::robust::{FitPoint, SparsityFit};
use serde::Serialize;

/// What is printed and stored.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) checkpoint: String,
    pub(super) model: &'static str,
    /// What is chosen, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sparsity: Option<&'static str>,
    /// Its value in training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trained: Option<f64>,
    /// The values that were tried.
    pub(super) tried: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fit: Option<SparsityFit>,
    pub(super) fit_images: usize,
    pub(super) fit_points: Vec<FitPoint>,
    /// Where the corrupted test images are from.
    pub(super) corruptions: String,
    pub(super) test_images: usize,
    pub(super) rows: Vec<Row>,
}

/// Accuracies in percent on test images with one corruption.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) noise: &'static str,
    /// 0 for the images as they are.
    pub(super) severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) residual: Option<f64>,
    pub(super) fixed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fitted: Option<f64>,
    /// With the value that is best on these very images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) best: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) best_value: Option<f64>,
}

/// A number, or `-`.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

/// The report for people.
pub(super) fn table(report: &Report) -> String {
    let mut text = format!(
        "{}, a {}, on {} test images; corruptions {}\n",
        report.checkpoint, report.model, report.test_images, report.corruptions
    );
    if let (Some(sparsity), Some(trained), Some(fit)) = (report.sparsity, report.trained, report.fit) {
        text += &format!(
            "{sparsity} {trained} in training, {:.4} + {:.4}·residual fitted on {} training images, kept in {}..{}\n",
            fit.intercept, fit.slope, report.fit_images, fit.least, fit.largest
        );
    }
    text += "\nnoise     severity  residual    fixed   fitted     best (at, by the test labels)\n";
    for row in &report.rows {
        let at = row.best_value.map_or_else(String::new, |value| format!(" ({value})"));
        text += &format!(
            "{:<9} {:>8}  {:>8}  {:>7.2}  {:>7}  {:>7}{at}\n",
            row.noise,
            row.severity,
            number(row.residual, 4),
            row.fixed,
            number(row.fitted, 2),
            number(row.best, 2),
        );
    }
    text
}

/// The rows as comma-separated values.
pub(super) fn csv(report: &Report) -> String {
    let mut text = String::from("noise,severity,residual,fixed,fitted,best,best_value\n");
    let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in &report.rows {
        let Row { noise, severity, .. } = row;
        let values = [row.residual, Some(row.fixed), row.fitted, row.best, row.best_value].map(cell);
        text += &format!("{noise},{severity},{}\n", values.join(","));
    }
    text
}
