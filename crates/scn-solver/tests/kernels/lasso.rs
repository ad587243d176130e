//! Signed codes against the optimality conditions of the lasso, and against the closed form of orthonormal atoms.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scn_solver::kernels::{GROUP, LassoSolution, lasso};
use scn_solver::{SimdLevel, SolverError};

/// Signals `[groups, m, GROUP]`, atoms `[n, m]` and λ `[n]`.
struct Signals {
    m: usize,
    n: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    lambda: Vec<f32>,
}

impl Signals {
    fn random(seed: u64, [groups, m, n]: [usize; 3], lambda: f32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |length: usize, scale: f32| -> Vec<f32> {
            (0..length)
                .map(|_| scale * (2.0 * random.random::<f32>() - 1.0))
                .collect()
        };
        let x = uniform(groups * m * GROUP, 1.0);
        let weight = uniform(n * m, (3.0 / m as f32).sqrt());
        let lambda = uniform(n, lambda).into_iter().map(|value| lambda + value).collect();
        Self {
            m,
            n,
            x,
            weight,
            lambda,
        }
    }

    fn solve(&self, tolerance: f64, level: SimdLevel) -> LassoSolution {
        lasso(&self.x, &self.weight, &self.lambda, tolerance, 2000, level).unwrap()
    }

    /// A bound of the largest eigenvalue of `DᵀD`, by the sums of its rows.
    fn lipschitz(&self) -> f64 {
        let atom = |j: usize| &self.weight[j * self.m..][..self.m];
        let product = |j, k| -> f64 { atom(j).iter().zip(atom(k)).map(|(a, b)| f64::from(a * b)).sum() };
        let sums = (0..self.n).map(|j| (0..self.n).map(|k| f64::abs(product(j, k))).sum());
        1.05 * sums.fold(0.0, f64::max)
    }

    /// For each signal, its codes and the correlations `dⱼᵀ(x − Dα)` of its residual, in double precision.
    fn correlations(&self, codes: &[f32]) -> Vec<(Vec<f64>, Vec<f64>)> {
        let groups = codes.len() / (self.n * GROUP);
        let signal = |index: usize| {
            let (group, lane) = (index / GROUP, index % GROUP);
            let column = |values: &[f32], rows: usize| -> Vec<f64> {
                (0..rows)
                    .map(|row| f64::from(values[(group * rows + row) * GROUP + lane]))
                    .collect()
            };
            let (mut residual, codes) = (column(&self.x, self.m), column(codes, self.n));
            let atom = |j: usize| self.weight[j * self.m..][..self.m].iter().map(|&d| f64::from(d));
            for (j, code) in codes.iter().enumerate() {
                residual.iter_mut().zip(atom(j)).for_each(|(r, d)| *r -= d * code);
            }
            let correlations = (0..self.n)
                .map(|j| atom(j).zip(&residual).map(|(d, r)| d * r).sum())
                .collect();
            (codes, correlations)
        };
        (0..groups * GROUP).map(signal).collect()
    }
}

#[test]
fn codes_meet_the_optimality_conditions_and_have_both_signs() {
    for (seed, shape) in [[1, 7, 5], [2, 5, 13], [3, 12, 40], [1, 1, 1], [2, 144, 63]]
        .into_iter()
        .enumerate()
    {
        let signals = Signals::random(seed as u64, shape, 0.1);
        let lipschitz = signals.lipschitz();
        for level in SimdLevel::available() {
            // With some λ near 0 and more atoms than dimensions, rounding ends at 2e-5.
            let found = signals.solve(5e-5, level);
            assert!(found.worst.residual <= 5e-5, "{shape:?}: {:?}", found.worst);
            let mut signs = [0, 0, 0];
            for (codes, correlations) in signals.correlations(&found.codes) {
                // ρ is ‖α − S(α − ∇/L)‖/‖α‖, so that no condition is off by more than L·ρ·‖α‖, but for rounding.
                let norm = codes.iter().map(|code| code * code).sum::<f64>().sqrt();
                let bound = 5e-5 * lipschitz * norm + 1e-5;
                for j in 0..signals.n {
                    let (code, lambda) = (codes[j], f64::from(signals.lambda[j]));
                    let excess = match code {
                        0.0 => correlations[j].abs() - lambda,
                        code => (correlations[j] - lambda * code.signum()).abs(),
                    };
                    assert!(excess < bound, "{shape:?}, {}: {excess} at {code}", level.name());
                    signs[if code == 0.0 {
                        0
                    } else if code > 0.0 {
                        1
                    } else {
                        2
                    }] += 1;
                }
            }
            assert!(signs.iter().all(|&count| count > 0), "{shape:?}: {signs:?}");
        }
    }
}

#[test]
fn orthonormal_atoms_make_the_solution_the_soft_threshold() {
    let mut signals = Signals::random(5, [2, 6, 4], 0.2);
    signals.weight = (0..4 * 6).map(|i| f32::from(i % 6 == i / 6)).collect();
    let found = signals.solve(1e-6, SimdLevel::detect());
    for group in 0..2 {
        for j in 0..4 {
            for lane in 0..GROUP {
                let x = signals.x[(group * 6 + j) * GROUP + lane];
                let expected = x.signum() * (x.abs() - signals.lambda[j]).max(0.0);
                let code = found.codes[(group * 4 + j) * GROUP + lane];
                assert!((code - expected).abs() < 1e-6, "{code}, expected {expected}");
            }
        }
    }
}

#[test]
fn zero_atoms_no_signals_and_large_lambdas_have_no_codes() {
    let level = SimdLevel::detect();
    let mut signals = Signals::random(6, [1, 9, 5], 0.1);
    signals.weight[9..18].fill(0.0);
    let found = signals.solve(1e-5, level);
    assert!(found.codes[GROUP..2 * GROUP].iter().all(|&code| code == 0.0));
    assert!(found.codes[..GROUP].iter().any(|&code| code != 0.0));
    signals.lambda.fill(100.0);
    let found = signals.solve(1e-5, level);
    assert!(found.codes.iter().all(|&code| code == 0.0));
    assert_eq!(found.worst.residual, 0.0);
    assert!(
        lasso(&[], &signals.weight, &signals.lambda, 1e-4, 9, level)
            .unwrap()
            .codes
            .is_empty()
    );
    assert!(lasso(&[], &[], &[], 1e-4, 9, level).unwrap().codes.is_empty());
}

#[test]
fn numbers_that_are_not_finite_or_negative_are_refused() {
    let level = SimdLevel::detect();
    let signals = Signals::random(7, [1, 3, 2], 0.1);
    let solve = |x: &[f32], weight: &[f32], lambda: &[f32]| lasso(x, weight, lambda, 1e-4, 9, level);
    let spoiled = |values: &[f32], value: f32| {
        let mut values = values.to_vec();
        values[1] = value;
        values
    };
    let (x, weight, lambda) = (&signals.x, &signals.weight, &signals.lambda);
    let not_finite = |result| matches!(result, Err(SolverError::NotFinite { .. }));
    assert!(not_finite(solve(&spoiled(x, f32::NAN), weight, lambda)));
    assert!(not_finite(solve(x, &spoiled(weight, f32::INFINITY), lambda)));
    assert!(not_finite(solve(x, weight, &spoiled(lambda, f32::NAN))));
    let negative = solve(x, weight, &spoiled(lambda, -0.1));
    assert!(matches!(negative, Err(SolverError::Negative { index: 1, .. })));
}

/// The groups are solved apart, so that the number of threads and of other signals changes nothing.
#[test]
fn a_group_has_the_same_codes_whatever_is_beside_it() {
    let signals = Signals::random(8, [3, 10, 17], 0.1);
    let level = SimdLevel::detect();
    let all = signals.solve(1e-4, level).codes;
    for group in 0..3 {
        let x = &signals.x[group * 10 * GROUP..][..10 * GROUP];
        let alone = lasso(x, &signals.weight, &signals.lambda, 1e-4, 2000, level).unwrap();
        assert_eq!(alone.codes, all[group * 17 * GROUP..][..17 * GROUP]);
    }
}
