//! The atoms of a convolutional dictionary, normalised, and the shifts at which they meet.

/// Atoms `[n, c, k, k]` of unit norm. An atom of zeros has no direction and stays zero.
#[derive(Clone, Debug)]
pub struct Atoms {
    /// Their shape `[n, c, k, k]`.
    shape: [usize; 4],
    /// Atom by atom `[n, k, k, c]`, so that the places which two shifted atoms share lie in runs.
    values: Vec<f64>,
    /// The norm of each atom before, `[n]`.
    pub norms: Vec<f64>,
}

impl Atoms {
    /// Normalises `weight [n, c, k, k]`.
    ///
    /// # Panics
    /// Where `weight` is not of that shape, or its windows are not square.
    pub fn normalized(weight: &[f64], shape: [usize; 4]) -> Self {
        let [_, channels, kernel, width] = shape;
        assert_eq!(
            weight.len(),
            shape.iter().product::<usize>(),
            "values of a weight {shape:?}"
        );
        assert_eq!(kernel, width, "the window of a weight {shape:?} is not square");
        let (places, size) = (kernel * kernel, channels * kernel * kernel);
        let mut values = vec![0.0; weight.len()];
        let mut norms = Vec::with_capacity(shape[0]);
        for (from, to) in weight
            .chunks_exact(size.max(1))
            .zip(values.chunks_exact_mut(size.max(1)))
        {
            // Squares of very large and very small values leave the range of f64.
            let largest = from.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
            if largest == 0.0 {
                norms.push(0.0);
                continue;
            }
            let norm = from.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
            for channel in 0..channels {
                for place in 0..places {
                    to[place * channels + channel] = from[channel * places + place] / largest / norm;
                }
            }
            norms.push(largest * norm);
        }
        Self { shape, values, norms }
    }

    /// Atoms n.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// Channels c of the signal.
    pub fn channels(&self) -> usize {
        self.shape[1]
    }

    /// Side k of the window.
    pub fn kernel(&self) -> usize {
        self.shape[2]
    }

    /// The atoms of zeros.
    pub fn zero(&self) -> Vec<usize> {
        (0..self.count()).filter(|&atom| self.norms[atom] == 0.0).collect()
    }

    /// The inner product of atom `i` with atom `j` that lies `[rows, columns]` places further down and right.
    pub fn correlation(&self, i: usize, j: usize, [rows, columns]: [isize; 2]) -> f64 {
        let [_, channels, kernel, _] = self.shape;
        let size = channels * kernel * kernel;
        let (one, other) = (&self.values[i * size..][..size], &self.values[j * size..][..size]);
        let common = |shift: isize| (shift.max(0) as usize)..kernel.saturating_add_signed(shift.min(0));
        let (shared_rows, shared_columns) = (common(rows), common(columns));
        if shared_rows.is_empty() || shared_columns.is_empty() {
            return 0.0;
        }
        let run = shared_columns.len() * channels;
        let start = |row: usize, column: usize| (row * kernel + column) * channels;
        shared_rows
            .map(|row| {
                let in_one = start(row, shared_columns.start);
                let in_other = start(
                    row.wrapping_add_signed(-rows),
                    shared_columns.start.wrapping_add_signed(-columns),
                );
                dot(&one[in_one..][..run], &other[in_other..][..run])
            })
            .sum()
    }
}

/// The inner product, in eight sums that processors can keep side by side.
fn dot(one: &[f64], other: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (ones, rest) = one.as_chunks::<LANES>();
    let (others, other_rest) = other.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in ones.iter().zip(others) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f64>() + rest
}

/// The steps along one side from an atom to those that share places with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// In positions of codes, rising.
    pub positions: Vec<isize>,
    /// The same in places of the window.
    pub places: Vec<isize>,
}

impl Overlap {
    /// Of windows of side `kernel` that lie `stride` apart, with `dilation` from place to place: places meet at steps `a`
    /// with `stride·a = dilation·t`, `|t| < kernel`. Without dilation these are `2⌊(k − 1)/s⌋ + 1` positions.
    ///
    /// # Panics
    /// Where `kernel`, `stride` or `dilation` is 0.
    pub fn convolutional(kernel: usize, stride: usize, dilation: usize) -> Self {
        assert!(
            kernel > 0 && stride > 0 && dilation > 0,
            "a window has a side, a stride and a dilation"
        );
        let positive = (1..kernel).filter_map(|places| {
            let distance = dilation.checked_mul(places)?;
            distance
                .is_multiple_of(stride)
                .then_some(((distance / stride) as isize, places as isize))
        });
        let positive: Vec<_> = positive.collect();
        let negative = positive.iter().rev().map(|&(position, places)| (-position, -places));
        let (positions, places) = negative.chain([(0, 0)]).chain(positive.iter().copied()).unzip();
        Self { positions, places }
    }

    /// Of windows that are coded alone: each atom meets those of its own window.
    pub fn alone() -> Self {
        Self {
            positions: vec![0],
            places: vec![0],
        }
    }
}
