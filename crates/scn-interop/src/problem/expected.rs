//! Compares a solution with the answers that its problem carries.

use std::collections::BTreeMap;
use std::path::Path;

use super::ProblemError;
use crate::archive::{self, Archive};

/// What a solution tells about the solve: nothing that a problem could know beforehand.
const ABOUT_THE_SOLVE: [&str; 2] = ["kkt_residual", "iterations"];

/// How far every tensor of a solution, the bytes of a safetensors file, is from the tensor of that name in its problem:
/// for `codes` the largest difference relative to the largest code, else the norm of the difference relative to the norm.
///
/// # Errors
/// [`ProblemError::NoAnswer`] where the problem carries no answer, [`ProblemError::Answer`] where one has another shape or
/// type, and what keeps the file from being read.
pub fn differences(problem: &Path, solution: &[u8]) -> Result<BTreeMap<String, f64>, ProblemError> {
    let problem = archive::read(problem).map_err(ProblemError::of_file)?;
    let problem = Archive::parse(&problem)?;
    let solution = Archive::parse(solution)?;
    let mut answers: BTreeMap<_, _> = problem.into_iter().collect();
    let (mut differences, mut names) = (BTreeMap::new(), Vec::new());
    for (name, found) in solution {
        let answer = answers.remove(&name).filter(|_| !ABOUT_THE_SOLVE.contains(&&*name));
        names.push(name.clone());
        let Some(answer) = answer else { continue };
        let wrong = |reason: String| ProblemError::Answer {
            name: name.clone(),
            reason,
        };
        if answer.shape != found.shape {
            return Err(wrong(format!(
                "has shape {:?}, that of the solution {:?}",
                answer.shape, found.shape
            )));
        }
        let numbers = |dtype| wrong(format!("is of type {dtype}, expected F32 or F64"));
        let exact = answer.numbers().ok_or_else(|| numbers(answer.dtype))?;
        let found = found.numbers().ok_or_else(|| numbers(found.dtype))?;
        let measure = if name == "codes" { largest } else { norm };
        let gaps: Vec<f64> = found.iter().zip(&exact).map(|(found, exact)| found - exact).collect();
        let (difference, size) = (measure(&gaps), measure(&exact));
        let relative = if size == 0.0 { difference } else { difference / size };
        differences.insert(name, relative);
    }
    if differences.is_empty() {
        return Err(ProblemError::NoAnswer {
            solution: names.join(", "),
        });
    }
    Ok(differences)
}

/// The largest magnitude, NaN where there is one.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| {
        if largest.is_nan() || largest >= value.abs() {
            largest
        } else {
            value.abs()
        }
    })
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
