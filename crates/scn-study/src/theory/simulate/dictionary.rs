//! A convolutional dictionary with what pursuits need of it. Atoms lie wholly inside the signal.

use crate::theory::atoms::{Atoms, Overlap};
use crate::theory::coherence::coherence;

/// A convolutional dictionary of unit atoms, for codes of one size.
#[derive(Clone, Debug)]
pub struct Dictionary {
    /// `[n, c, k, k]`, of unit norm.
    weight: Vec<f64>,
    shape: [usize; 4],
    stride: usize,
    /// Rows and columns of its codes.
    code: [usize; 2],
    /// μ.
    coherence: f64,
    overlap: Overlap,
    /// The correlations `[n, n, p, p]` of two atoms at the p² shifts at which they overlap.
    gram: Vec<f64>,
}

impl Dictionary {
    /// Of `weight [n, c, k, k]`, normalised, the atoms `stride` apart, for codes of `code` rows and columns.
    ///
    /// # Panics
    /// Where `weight` is not of its shape, or `stride` is 0.
    pub fn new(weight: &[f64], shape @ [count, _, kernel, _]: [usize; 4], stride: usize, code: [usize; 2]) -> Self {
        let atoms = Atoms::normalized(weight, shape);
        let overlap = Overlap::convolutional(kernel, stride, 1);
        let mut gram = Vec::with_capacity(count * count * overlap.places.len().pow(2));
        for i in 0..count {
            for j in 0..count {
                for &rows in &overlap.places {
                    let correlation = |&columns: &isize| atoms.correlation(i, j, [rows, columns]);
                    gram.extend(overlap.places.iter().map(correlation));
                }
            }
        }
        let size = weight.len() / count.max(1);
        let unit = |(index, value): (usize, &f64)| match atoms.norms[index / size] {
            0.0 => 0.0,
            norm => value / norm,
        };
        Self {
            weight: weight.iter().enumerate().map(unit).collect(),
            shape,
            stride,
            code,
            coherence: coherence(&atoms, &overlap).value,
            overlap,
            gram,
        }
    }

    /// μ.
    pub fn coherence(&self) -> f64 {
        self.coherence
    }

    /// Shape `[n, c, k, k]` of the atoms.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Rows and columns from one atom to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Which atoms meet.
    pub fn overlap(&self) -> &Overlap {
        &self.overlap
    }

    /// Shape `[1, n, h, w]` of the codes.
    pub fn code_shape(&self) -> [usize; 4] {
        [1, self.shape[0], self.code[0], self.code[1]]
    }

    /// Shape `[1, c, h, w]` of the signals.
    pub fn signal_shape(&self) -> [usize; 4] {
        let [_, channels, kernel, _] = self.shape;
        let [height, width] = self.code.map(|side| (side - 1) * self.stride + kernel);
        [1, channels, height, width]
    }

    /// The signal `DΓ`.
    pub fn synthesize(&self, codes: &[f64]) -> Vec<f64> {
        let mut signal = vec![0.0; self.signal_shape().iter().product()];
        for (index, &code) in codes.iter().enumerate().filter(|(_, code)| **code != 0.0) {
            self.each_run(index, |atom, range| {
                for (value, weight) in signal[range].iter_mut().zip(atom) {
                    *value += code * weight;
                }
            });
        }
        signal
    }

    /// The correlations `Dᵀy` of a signal with all atoms.
    pub fn analyze(&self, signal: &[f64]) -> Vec<f64> {
        let count = self.code_shape().iter().product();
        let of_atom = |index| {
            let mut sum = 0.0;
            self.each_run(index, |atom, range| {
                sum += signal[range]
                    .iter()
                    .zip(atom)
                    .map(|(value, weight)| value * weight)
                    .sum::<f64>();
            });
            sum
        };
        (0..count).map(of_atom).collect()
    }

    /// Calls `visit` with every row of the atom that a code belongs to, and where it lies in the signal.
    fn each_run<'a>(&'a self, index: usize, mut visit: impl FnMut(&'a [f64], std::ops::Range<usize>)) {
        let [_, channels, kernel, _] = self.shape;
        let [_, _, height, width] = self.signal_shape();
        let [atom, row, column] = self.place(index);
        for channel in 0..channels {
            for line in 0..kernel {
                let from = ((atom * channels + channel) * kernel + line) * kernel;
                let to = (channel * height + row * self.stride + line) * width + column * self.stride;
                visit(&self.weight[from..from + kernel], to..to + kernel);
            }
        }
    }

    /// Atom, row and column of a code.
    fn place(&self, index: usize) -> [usize; 3] {
        let [rows, columns] = self.code;
        [index / (rows * columns), index / columns % rows, index % columns]
    }

    /// Calls `visit` with every code whose atom overlaps with that of a code, itself included, and their correlation.
    pub fn each_neighbour(&self, index: usize, mut visit: impl FnMut(usize, f64)) {
        let [rows, columns] = self.code;
        let [atom, row, column] = self.place(index);
        let shifts = self.overlap.positions.len();
        for other in 0..self.shape[0] {
            let table = &self.gram[(atom * self.shape[0] + other) * shifts * shifts..][..shifts * shifts];
            for (down, correlations) in self.overlap.positions.iter().zip(table.chunks_exact(shifts)) {
                let Some(row) = row.checked_add_signed(*down).filter(|&row| row < rows) else {
                    continue;
                };
                for (right, &correlation) in self.overlap.positions.iter().zip(correlations) {
                    if let Some(column) = column.checked_add_signed(*right).filter(|&column| column < columns) {
                        visit((other * rows + row) * columns + column, correlation);
                    }
                }
            }
        }
    }
}
