//! The pursuits of one layer, by explicit matrices and enumeration.

use scn_study::theory::simulate::{Dictionary, basis_pursuit, lasso, thresholding};

use crate::common::{Columns, normal};

const SHAPE: [usize; 4] = [3, 1, 2, 2];

/// A small overcomplete dictionary with its matrix.
fn dictionary(stride: usize, code: [usize; 2], seed: u64) -> (Dictionary, Vec<Vec<f64>>) {
    let weight = normal(12, seed);
    let dictionary = Dictionary::new(&weight, SHAPE, stride, code);
    let columns = Columns::of(&weight, SHAPE, stride, 1, code).columns.into_iter();
    let unit = columns.map(|(_, column)| {
        let norm = column.iter().map(|value| value * value).sum::<f64>().sqrt();
        column.iter().map(|value| value / norm).collect()
    });
    (dictionary, unit.collect())
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[test]
fn synthesis_and_analysis_are_the_matrix_and_its_transpose() {
    for (stride, code) in [(1, [3, 4]), (2, [2, 3]), (3, [2, 2])] {
        let (dictionary, columns) = dictionary(stride, code, 3);
        let codes = normal(columns.len(), 4);
        let signal = dictionary.synthesize(&codes);
        assert_eq!(signal.len(), dictionary.signal_shape().iter().product::<usize>());
        for (place, found) in signal.iter().enumerate() {
            let expected: f64 = columns
                .iter()
                .zip(&codes)
                .map(|(column, code)| column[place] * code)
                .sum();
            assert!((found - expected).abs() < 1e-12);
        }
        let analysed = dictionary.analyze(&signal);
        let soft = thresholding(&dictionary, &signal, 0.3);
        for ((column, found), soft) in columns.iter().zip(&analysed).zip(soft) {
            let expected = dot(column, &signal);
            assert!((found - expected).abs() < 1e-12);
            assert!((soft - expected.signum() * (expected.abs() - 0.3).max(0.0)).abs() < 1e-12);
        }
        for (index, column) in columns.iter().enumerate() {
            let mut seen = vec![0.0; columns.len()];
            dictionary.each_neighbour(index, |other, correlation| seen[other] = correlation);
            for (seen, other) in seen.iter().zip(&columns) {
                assert!((seen - dot(column, other)).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn the_lasso_meets_its_optimality_conditions() {
    for seed in 0..20 {
        let (dictionary, columns) = dictionary(1, [4, 3], seed);
        let signal = normal(dictionary.signal_shape().iter().product(), 100 + seed);
        for xi in [0.01, 0.2, 1.0, 100.0] {
            let solution = lasso(&dictionary, &signal, xi);
            assert!(solution.kkt < 1e-8, "{seed}, ξ {xi}: {}", solution.kkt);
            let made = dictionary.synthesize(&solution.codes);
            let residual: Vec<f64> = signal.iter().zip(made).map(|(signal, made)| signal - made).collect();
            for (column, &code) in columns.iter().zip(&solution.codes) {
                let gradient = dot(column, &residual);
                match code != 0.0 {
                    true => assert!((gradient - xi * code.signum()).abs() < 1e-7 * xi),
                    false => assert!(gradient.abs() < xi * (1.0 + 1e-7)),
                }
            }
        }
        assert!(lasso(&dictionary, &signal, 100.0).codes.iter().all(|&code| code == 0.0));
    }
}

/// The least 1-norm of codes that give a signal of 4 values, over all bases of 4 of the columns: a linear program has a
/// solution among these.
fn least_norm(columns: &[Vec<f64>], signal: &[f64]) -> f64 {
    let mut least = f64::INFINITY;
    for chosen in 0u32..1 << columns.len() {
        if chosen.count_ones() as usize != signal.len() {
            continue;
        }
        let basis: Vec<&Vec<f64>> = (0..columns.len())
            .filter(|j| chosen >> j & 1 == 1)
            .map(|j| &columns[j])
            .collect();
        if let Some(codes) = solve(&basis, signal) {
            least = least.min(codes.iter().map(|code| code.abs()).sum());
        }
    }
    least
}

/// Gaussian elimination with pivots.
fn solve(columns: &[&Vec<f64>], signal: &[f64]) -> Option<Vec<f64>> {
    let size = signal.len();
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|i| columns.iter().map(|column| column[i]).chain([signal[i]]).collect())
        .collect();
    for k in 0..size {
        let pivot = (k..size).max_by(|&a, &b| rows[a][k].abs().total_cmp(&rows[b][k].abs()))?;
        rows.swap(k, pivot);
        if rows[k][k].abs() < 1e-9 {
            return None;
        }
        for i in 0..size {
            if i != k {
                let factor = rows[i][k] / rows[k][k];
                for j in k..=size {
                    rows[i][j] -= factor * rows[k][j];
                }
            }
        }
    }
    Some((0..size).map(|k| rows[k][size] / rows[k][k]).collect())
}

#[test]
fn basis_pursuit_finds_the_least_1_norm() {
    let mut solved = 0;
    for seed in 0..30 {
        let weight = normal(28, seed);
        let shape = [7, 1, 2, 2];
        let dictionary = Dictionary::new(&weight, shape, 1, [1, 1]);
        let unit = |index: usize| {
            let mut codes = vec![0.0; 7];
            codes[index] = 1.0;
            dictionary.synthesize(&codes)
        };
        let columns: Vec<_> = (0..7).map(unit).collect();
        let signal = normal(4, 200 + seed);
        let Some(codes) = basis_pursuit(&dictionary, &signal) else {
            continue;
        };
        solved += 1;
        let made = dictionary.synthesize(&codes);
        assert!(
            made.iter()
                .zip(&signal)
                .all(|(made, signal)| (made - signal).abs() < 1e-8)
        );
        let norm: f64 = codes.iter().map(|code| code.abs()).sum();
        let least = least_norm(&columns, &signal);
        assert!((norm - least).abs() < 1e-8 * least, "{seed}: {norm}, least {least}");
    }
    assert!(solved >= 25, "{solved} of 30 are solved");
    let (dictionary, columns) = dictionary(1, [3, 3], 1);
    let zeros = vec![0.0; dictionary.signal_shape().iter().product()];
    assert_eq!(basis_pursuit(&dictionary, &zeros), Some(vec![0.0; columns.len()]));
}
