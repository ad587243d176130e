//! Compares a solution with the answers that its problem carries.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

/// What a solution tells about the solve: nothing that a problem could know beforehand.
const ABOUT_THE_SOLVE: [&str; 2] = ["kkt_residual", "iterations"];

/// How far every tensor of a solution is from the tensor of that name in its problem, both safetensors files: for
/// `codes` the largest difference relative to the largest code, else the norm of the difference relative to the norm.
///
/// # Errors
/// A message where the problem carries no answer, or one of another shape.
pub(super) fn differences(problem: &[u8], solution: &[u8]) -> Result<BTreeMap<String, f64>, String> {
    let open = |bytes| SafeTensors::deserialize(bytes).map_err(|error| error.to_string());
    let (problem, solution) = (open(problem)?, open(solution)?);
    let mut differences = BTreeMap::new();
    for name in solution.names() {
        if ABOUT_THE_SOLVE.contains(&name) || !problem.names().contains(&name) {
            continue;
        }
        let (shape, exact) = floats(&problem, name)?;
        let (found_shape, found) = floats(&solution, name)?;
        if shape != found_shape {
            return Err(format!(
                "the answer `{name}` has shape {shape:?}, the solution's {found_shape:?}"
            ));
        }
        let measure = if name == "codes" { largest } else { norm };
        let gaps: Vec<f64> = found.iter().zip(&exact).map(|(found, exact)| found - exact).collect();
        let (difference, size) = (measure(&gaps), measure(&exact));
        let relative = if size == 0.0 { difference } else { difference / size };
        differences.insert(name.to_owned(), relative);
    }
    if differences.is_empty() {
        let names = solution.names().join(", ");
        return Err(format!(
            "carries no answer to compare with: expected one or more of {names}"
        ));
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

/// Shape and values of a tensor of floats.
fn floats(archive: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f64>), String> {
    let view = archive.tensor(name).map_err(|error| error.to_string())?;
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F64 => data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect(),
        Dtype::F32 => data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes).into())
            .collect(),
        other => return Err(format!("the answer `{name}` is of type {other}, expected F32 or F64")),
    };
    Ok((view.shape().to_vec(), values))
}
