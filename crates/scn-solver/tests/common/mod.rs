//! What the tests share: fixtures, random problems and a plain, separate transcription of the mathematics.

#![allow(clippy::unwrap_used)]
// Every test file uses its own part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors};
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};

/// A fixture file.
pub struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Archive {
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            path: path.to_path_buf(),
            bytes,
        }
    }

    /// Every fixture of `tests/fixtures/<kind>`, by name.
    pub fn all(kind: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        paths.sort();
        assert!(!paths.is_empty(), "no fixtures of kind {kind}");
        paths.iter().map(|path| Self::open(path)).collect()
    }

    pub fn name(&self) -> String {
        self.path.file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// The values of a tensor of any of the fixtures' types.
    pub fn f64s(&self, name: &str) -> Vec<f64> {
        let archive = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = archive.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F64 => data
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            Dtype::I32 => data
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            other => panic!("{}: {name} has type {other:?}", self.path.display()),
        }
    }

    /// λ₁ in double precision: one value per atom, or the one value of all atoms.
    pub fn lambda1(&self) -> Vec<f64> {
        let stored = self.f64s("lambda1");
        if stored.iter().all(|&value| value == stored[0]) {
            stored.into_iter().map(decimal).collect()
        } else {
            stored
        }
    }

    /// λ₂ in double precision.
    pub fn lambda2(&self) -> f64 {
        decimal(self.f64s("lambda2")[0])
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.bytes)
            .unwrap()
            .tensor(name)
            .unwrap()
            .shape()
            .to_vec()
    }
}

/// The shortest decimal that rounds to a stored f32. The answers were computed with constants like 0.05 in double
/// precision, of which the files hold the rounding to f32: 1e-9 away, where the answers are exact to 1e-14.
fn decimal(stored: f64) -> f64 {
    (stored as f32).to_string().parse().unwrap()
}

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

/// An elastic net `D [m, n]`, `x [p, m]`, `λ₁ [n]`, λ₂, with its plain double-precision mathematics.
#[derive(Clone, Debug)]
pub struct Problem {
    pub m: usize,
    pub n: usize,
    pub p: usize,
    pub dictionary: Vec<f64>,
    pub x: Vec<f64>,
    pub lambda1: Vec<f64>,
    pub lambda2: f64,
}

impl Problem {
    /// Uniform numbers in `D` (scaled to atoms of norm about 1) and `x`; λ₁ uniform in `[0, 2·lambda1]`, per atom.
    pub fn random(seed: u64, [m, n, p]: [usize; 3], lambda1: f64, lambda2: f64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |length: usize, low: f64, high: f64| -> Vec<f64> {
            (0..length)
                .map(|_| low + (high - low) * random.random::<f64>())
                .collect()
        };
        let scale = (3.0 / m as f64).sqrt();
        Self {
            m,
            n,
            p,
            dictionary: uniform(m * n, -scale, scale),
            x: uniform(p * m, -1.0, 1.0),
            lambda1: uniform(n, 0.0, 2.0 * lambda1),
            lambda2,
        }
    }

    pub fn x(&self, problem: usize) -> &[f64] {
        &self.x[problem * self.m..(problem + 1) * self.m]
    }

    /// `Dα`.
    pub fn synthesis(&self, codes: &[f64]) -> Vec<f64> {
        (0..self.m)
            .map(|i| (0..self.n).map(|j| self.dictionary[i * self.n + j] * codes[j]).sum())
            .collect()
    }

    /// `∇ⱼ = dⱼᵀ(Dα − x) + λ₂αⱼ + λ₁ⱼ` (SCN eqs. 3 and 4).
    pub fn gradient(&self, problem: usize, codes: &[f64]) -> Vec<f64> {
        let synthesis = self.synthesis(codes);
        let x = self.x(problem);
        (0..self.n)
            .map(|j| {
                let correlation: f64 = (0..self.m)
                    .map(|i| self.dictionary[i * self.n + j] * (synthesis[i] - x[i]))
                    .sum();
                correlation + self.lambda2 * codes[j] + self.lambda1[j]
            })
            .collect()
    }

    /// SCN eq. 1.
    pub fn objective(&self, problem: usize, codes: &[f64]) -> f64 {
        let synthesis = self.synthesis(codes);
        let misfit: f64 = self
            .x(problem)
            .iter()
            .zip(synthesis)
            .map(|(x, y)| (x - y).powi(2))
            .sum();
        let linear: f64 = self.lambda1.iter().zip(codes).map(|(l, a)| l * a).sum();
        0.5 * misfit + linear + 0.5 * self.lambda2 * codes.iter().map(|a| a * a).sum::<f64>()
    }

    /// `Q = DᵀD + λ₂I`.
    pub fn quadratic(&self) -> Vec<f64> {
        let n = self.n;
        let mut q = vec![0.0; n * n];
        for j in 0..n {
            for k in 0..n {
                q[j * n + k] = (0..self.m)
                    .map(|i| self.dictionary[i * n + j] * self.dictionary[i * n + k])
                    .sum();
            }
            q[j * n + j] += self.lambda2;
        }
        q
    }

    /// `λ_max(Q)` from below, by power iteration until the Rayleigh quotient settles.
    pub fn largest_eigenvalue(&self) -> f64 {
        let (q, n) = (self.quadratic(), self.n);
        let mut vector: Vec<f64> = (0..n).map(|j| 1.0 + (j as f64 * 0.7).sin()).collect();
        let mut eigenvalue = 0.0;
        for _ in 0..20_000 {
            let length = norm(&vector);
            vector.iter_mut().for_each(|v| *v /= length);
            let product: Vec<f64> = (0..n).map(|j| (0..n).map(|k| q[j * n + k] * vector[k]).sum()).collect();
            eigenvalue = vector.iter().zip(&product).map(|(v, w)| v * w).sum();
            vector = product;
        }
        eigenvalue
    }

    /// `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖`, as the definition reads.
    pub fn certificate(&self, problem: usize, codes: &[f64], lipschitz: f64) -> f64 {
        let gradient = self.gradient(problem, codes);
        let gap: Vec<f64> = (0..self.n)
            .map(|j| codes[j] - (codes[j] - gradient[j] / lipschitz).max(0.0))
            .collect();
        norm(&gap) / norm(codes)
    }

    /// The smallest objective over all supports whose atoms are linearly independent. One of them is optimal: from
    /// any optimum one can move along the null space of its atoms, where the objective is flat, until a code is 0.
    pub fn optimum_by_enumeration(&self, problem: usize) -> f64 {
        let (q, n) = (self.quadratic(), self.n);
        let b: Vec<f64> = self.gradient(problem, &vec![0.0; n]).iter().map(|g| -g).collect();
        let mut best = f64::INFINITY;
        for support in 0u32..1 << n {
            let active: Vec<usize> = (0..n).filter(|j| support >> j & 1 == 1).collect();
            let rows = active
                .iter()
                .map(|&j| active.iter().map(|&k| q[j * n + k]).chain([b[j]]).collect())
                .collect();
            let Some(solution) = eliminate(rows) else { continue };
            if solution.iter().all(|&alpha| alpha >= 0.0) {
                let mut codes = vec![0.0; n];
                active.iter().zip(solution).for_each(|(&j, alpha)| codes[j] = alpha);
                best = best.min(self.objective(problem, &codes));
            }
        }
        best
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
