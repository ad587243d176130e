//! Random elastic nets with a plain, separate transcription of their mathematics.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{eliminate, norm};

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
