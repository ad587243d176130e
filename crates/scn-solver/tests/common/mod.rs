//! What the tests share: fixtures, random problems, options and numbers.

#![allow(clippy::unwrap_used)]
// Every test program uses its own part.
#![allow(dead_code, unused_imports)]

mod archive;
mod problem;

pub use archive::Archive;
pub use problem::Problem;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};

pub fn forward(method: Method, tolerance: f64, max_iterations: usize) -> ForwardOptions {
    ForwardOptions {
        method,
        tolerance,
        max_iterations,
    }
}

pub fn backward(ridge: f64, tolerance: f64, max_iterations: usize) -> BackwardOptions {
    BackwardOptions {
        ridge,
        tolerance,
        max_iterations,
    }
}

pub fn options(lambda2: f64, forward: ForwardOptions, backward: BackwardOptions) -> SolverOptions {
    SolverOptions {
        lambda2,
        forward,
        backward,
    }
}

/// `‖a − b‖ / ‖b‖`, or `‖a‖` for `b = 0`.
pub fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let size = norm(b);
    if size == 0.0 { norm(a) } else { norm(&difference) / size }
}

pub fn norm(a: &[f64]) -> f64 {
    a.iter().map(|a| a * a).sum::<f64>().sqrt()
}

pub fn to_f32(a: &[f64]) -> Vec<f32> {
    a.iter().map(|&a| a as f32).collect()
}

pub fn to_f64(a: &[f32]) -> Vec<f64> {
    a.iter().map(|&a| f64::from(a)).collect()
}

/// Uniform numbers, the same for the same seed.
pub struct Noise(ChaCha8Rng);

impl Noise {
    pub fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The next `len` numbers, in `low..high`.
    pub fn uniform(&mut self, len: usize, low: f32, high: f32) -> Vec<f32> {
        (0..len).map(|_| self.0.random_range(low..high)).collect()
    }
}

/// Solves a dense system given as rows `[A | b]` by elimination with pivoting; `None` where A is singular.
pub fn eliminate(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        if rows[column][column].abs() < 1e-9 {
            return None;
        }
        let upper = rows[column].clone();
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / upper[column];
            row.iter_mut()
                .zip(&upper)
                .for_each(|(value, upper)| *value -= factor * upper);
        }
    }
    let mut solution = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|column| rows[row][column] * solution[column]).sum();
        solution[row] = (rows[row][n] - known) / rows[row][row];
    }
    Some(solution)
}
