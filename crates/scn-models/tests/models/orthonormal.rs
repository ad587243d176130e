//! The nearest matrix with orthonormal rows, against polar factors that are known by construction.

use burn::tensor::{Device, Tensor};
use scn_models::Constraint;

use crate::common::{devices, normal, tensor, values};

/// Orthonormal rows `[rows][columns]` in f64, by Gram and Schmidt, twice.
fn frame(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f64>> {
    let random = normal(rows * columns, seed);
    let mut frame: Vec<Vec<f64>> = Vec::new();
    for row in random.chunks(columns) {
        let mut row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        for _ in 0..2 {
            for other in &frame {
                let product = dot(&row, other);
                row.iter_mut()
                    .zip(other)
                    .for_each(|(value, other)| *value -= product * other);
            }
            let norm = dot(&row, &row).sqrt();
            row.iter_mut().for_each(|value| *value /= norm);
        }
        frame.push(row);
    }
    frame
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `U diag(s) V` for U `[n, n]` and V `[n, m]` with orthonormal rows, and its polar factor `U V`.
fn with_singular_values(singular: &[f64], columns: usize, seed: u64) -> [Vec<f64>; 2] {
    let n = singular.len();
    let (u, v) = (frame(n, n, seed), frame(n, columns, seed + 1));
    let product = |scale: &dyn Fn(usize) -> f64| {
        let value = |i: usize, j: usize| (0..n).map(|k| u[i][k] * scale(k) * v[k][j]).sum::<f64>();
        (0..n * columns).map(|at| value(at / columns, at % columns)).collect()
    };
    [product(&|k| singular[k]), product(&|_| 1.0)]
}

/// The orthonormal matrix that is put in the place of `matrix [n, m]`, as a tensor `[n, c, k, k]`.
fn projected(matrix: &[f64], shape: [usize; 4], device: &Device) -> Vec<f64> {
    let matrix = tensor(matrix.iter().map(|&value| value as f32).collect(), shape, device);
    let found: Tensor<4> = Constraint::Orthonormal.apply(matrix);
    assert_eq!(found.dims(), shape);
    values(&found)
}

fn largest_defect(rows: &[f64], n: usize) -> f64 {
    let rows: Vec<_> = rows.chunks(rows.len() / n).collect();
    let defect = |(i, j): (usize, usize)| (dot(rows[i], rows[j]) - f64::from(u8::from(i == j))).abs();
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    pairs.map(defect).fold(0.0, f64::max)
}

#[test]
fn the_nearest_orthonormal_matrix_is_the_polar_factor() {
    // Singular values near 1 as after a step, all sizes, far from 1, and as many rows as columns.
    let cases: [(Vec<f64>, [usize; 4]); 5] = [
        ((0..8).map(|k| 0.9 + 0.03 * f64::from(k)).collect(), [8, 3, 3, 3]),
        ((0..27).map(|k| 0.5 + 0.1 * f64::from(k)).collect(), [27, 3, 3, 3]),
        (vec![1e-12, 2e-12, 1.5e-12], [3, 1, 2, 2]),
        (vec![4e15, 1e15, 2e15, 3e15], [4, 1, 2, 2]),
        (vec![2.5], [1, 2, 1, 1]),
    ];
    for (name, device) in devices() {
        for (case, (singular, shape)) in cases.iter().enumerate() {
            let columns = shape[1..].iter().product();
            let [matrix, polar] = with_singular_values(singular, columns, 10 * case as u64);
            let found = projected(&matrix, *shape, &device);
            assert!(largest_defect(&found, shape[0]) < 1e-5, "{name}, case {case}");
            // The polar factor of what f32 holds of the matrix differs by its condition number times the rounding.
            for (found, polar) in found.iter().zip(&polar) {
                assert!(
                    (found - polar).abs() < 5e-6,
                    "{name}, case {case}: {found}, not {polar}"
                );
            }
        }
    }
}

#[test]
fn nearly_singular_matrices_become_orthonormal() {
    for (name, device) in devices() {
        for smallest in [1e-2, 1e-4, 1e-6] {
            let singular: Vec<f64> = (0..12).map(|k| f64::powf(smallest, f64::from(k) / 11.0)).collect();
            let [matrix, polar] = with_singular_values(&singular, 18, 7);
            let found = projected(&matrix, [12, 2, 3, 3], &device);
            let defect = largest_defect(&found, 12);
            let error = found.iter().zip(&polar).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{name}, smallest singular value {smallest:e}: defect {defect:.1e}, error {error:.1e}");
            assert!(defect < 1e-5, "{name}, {smallest}: {defect}");
            assert!(error < 1e-6 / smallest + 5e-6, "{name}, {smallest}: {error}");
        }
    }
}

#[test]
fn wide_dictionaries_stay_orthonormal() {
    let (n, shape) = (256, [256, 64, 3, 3]);
    let matrix: Vec<f64> = normal(n * 576, 3).into_iter().map(f64::from).collect();
    let found = projected(&matrix, shape, &Device::flex());
    let defect = largest_defect(&found, n);
    println!("{defect:e}");
    assert!(defect < 1e-5, "{defect}");
}

#[test]
fn what_has_no_nearest_matrix_stays_finite_or_as_it_is() {
    let device = Device::flex();
    assert_eq!(projected(&[0.0; 18], [2, 1, 3, 3], &device), [0.0; 18]);
    let mut unknown = vec![1.0; 18];
    unknown[3] = f64::NAN;
    assert!(
        projected(&unknown, [2, 1, 3, 3], &device)
            .iter()
            .any(|value| value.is_nan())
    );
    // Twice the same row: rank 1.
    let found = projected(&[0.5; 18], [2, 1, 3, 3], &device);
    assert!(
        found.iter().all(|value| value.is_finite() && value.abs() < 1.0),
        "{found:?}"
    );
}
