//! What the tests share: random values, and the matrix of a convolutional dictionary, written out.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Independent normal values.
pub fn normal(count: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| StandardNormal.sample(&mut random)).collect()
}

/// Normal values of which most are 0.
pub fn sparse(count: usize, seed: u64) -> Vec<f64> {
    let keep = |value: f64| if value > 1.0 { value } else { 0.0 };
    normal(count, seed).into_iter().map(keep).collect()
}

/// The columns of the matrix D: for each atom of `weight [n, c, k, k]` and each of `code` positions, the atom at that
/// position of a signal that holds all of them whole.
pub struct Columns {
    /// Atom, row and column of the code, and the column itself.
    pub columns: Vec<([usize; 3], Vec<f64>)>,
}

impl Columns {
    pub fn of(weight: &[f64], shape: [usize; 4], stride: usize, dilation: usize, code: [usize; 2]) -> Self {
        let [count, channels, kernel, _] = shape;
        let [height, width] = code.map(|side| (side - 1) * stride + dilation * (kernel - 1) + 1);
        let mut columns = Vec::new();
        for atom in 0..count {
            for row in 0..code[0] {
                for column in 0..code[1] {
                    let mut values = vec![0.0; channels * height * width];
                    for channel in 0..channels {
                        for u in 0..kernel {
                            for v in 0..kernel {
                                let (y, x) = (row * stride + dilation * u, column * stride + dilation * v);
                                let from = ((atom * channels + channel) * kernel + u) * kernel + v;
                                values[(channel * height + y) * width + x] = weight[from];
                            }
                        }
                    }
                    columns.push(([atom, row, column], values));
                }
            }
        }
        Self { columns }
    }

    /// The coherence of the matrix, without columns of zeros.
    pub fn coherence(&self) -> f64 {
        let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        let units: Vec<Vec<f64>> = self
            .columns
            .iter()
            .filter(|(_, column)| column.iter().any(|&value| value != 0.0))
            .map(|(_, column)| {
                let norm = dot(column, column).sqrt();
                column.iter().map(|value| value / norm).collect()
            })
            .collect();
        let mut largest = 0.0f64;
        for (i, one) in units.iter().enumerate() {
            for other in &units[..i] {
                largest = largest.max(dot(one, other).abs());
            }
        }
        largest
    }
}
