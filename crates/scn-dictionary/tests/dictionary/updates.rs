//! The nearest orthogonal matrix against its definition.

use scn_dictionary::nearest_orthogonal;

use crate::common::dot;

/// Numbers without a pattern between −1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn nearest(matrix: &[f64], n: usize) -> Vec<Vec<f64>> {
    let values = nearest_orthogonal(matrix, n).unwrap();
    let rows = values.chunks_exact(matrix.len() / n);
    rows.map(|row| row.iter().map(|&value| value.into()).collect())
        .collect()
}

/// The polar factor is the only Q with orthonormal rows for which M Qᵀ is symmetric and positive semidefinite.
#[test]
fn the_nearest_orthogonal_matrix_is_the_polar_factor() {
    for (seed, [n, p]) in [[1, 1], [1, 9], [4, 4], [7, 10], [31, 31], [12, 40]]
        .into_iter()
        .enumerate()
    {
        let matrix = numbers(n * p, seed as u64 + 1);
        let rows: Vec<&[f64]> = matrix.chunks_exact(p).collect();
        let nearest = nearest(&matrix, n);
        let product = |a: usize, b: usize| dot(rows[a], &nearest[b]);
        for (a, b) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))) {
            let expected = f64::from(u8::from(a == b));
            assert!(
                (dot(&nearest[a], &nearest[b]) - expected).abs() < 1e-6,
                "{n}×{p}: {a}, {b}"
            );
            assert!((product(a, b) - product(b, a)).abs() < 1e-5, "{n}×{p}: {a}, {b}");
        }
        for trial in 0..20 {
            let v = numbers(n, 100 + trial);
            let form: f64 = (0..n * n)
                .map(|at| v[at / n] * product(at / n, at % n) * v[at % n])
                .sum();
            assert!(form > -1e-6, "{n}×{p}: {form}");
        }
    }
}

/// Bowren's eq. 18 without its last factor would turn the atoms of this dictionary into each other.
#[test]
fn orthonormal_atoms_of_any_length_keep_their_directions() {
    let mut matrix = vec![0.0; 15];
    (matrix[1], matrix[5 + 3], matrix[10]) = (0.1, -7.0, 1e-3);
    let nearest = nearest(&matrix, 3);
    let mut expected = vec![vec![0.0; 5]; 3];
    (expected[0][1], expected[1][3], expected[2][0]) = (1.0, -1.0, 1.0);
    for (found, expected) in nearest.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-6, "{nearest:?}");
    }
}

/// No nearby matrix with orthonormal rows is nearer: turns in every plane lose.
#[test]
fn turns_of_the_nearest_orthogonal_matrix_are_farther() {
    let (n, p) = (4, 6);
    let matrix = numbers(n * p, 42);
    let nearest = nearest(&matrix, n);
    let distance =
        |rows: &[Vec<f64>]| -> f64 { rows.iter().flatten().zip(&matrix).map(|(a, b)| (a - b).powi(2)).sum() };
    for (i, j) in (0..p).flat_map(|i| (0..i).map(move |j| (i, j))) {
        for angle in [-0.3f64, -0.01, 0.01, 0.3] {
            let (sin, cos) = angle.sin_cos();
            let mut turned = nearest.clone();
            for row in &mut turned {
                (row[i], row[j]) = (cos * row[i] - sin * row[j], sin * row[i] + cos * row[j]);
            }
            assert!(distance(&turned) > distance(&nearest));
        }
    }
}

#[test]
fn extreme_and_broken_values() {
    let tiny: Vec<f64> = numbers(12, 3).iter().map(|value| 1e-200 * value).collect();
    let huge: Vec<f64> = numbers(12, 3).iter().map(|value| 1e200 * value).collect();
    assert_eq!(nearest_orthogonal(&tiny, 3).unwrap().len(), 12);
    let [tiny, huge] = [nearest(&tiny, 3), nearest(&huge, 3)];
    assert!(
        tiny.iter()
            .flatten()
            .zip(huge.iter().flatten())
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
    // A zero matrix has no direction.
    assert!(nearest(&[0.0; 6], 2).iter().flatten().all(|value| *value == 0.0));
    for broken in [f64::NAN, f64::INFINITY] {
        assert!(nearest_orthogonal(&[broken, 1.0, 0.0, 1.0], 2).is_err());
    }
}
