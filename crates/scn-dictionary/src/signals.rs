//! Many signals, or their codes, as the kernels take them: in groups of [`GROUP`], one SIMD lane each.

use scn_solver::kernels::{GROUP, convolution, convolution_weight_gradient};
use scn_solver::{ConvGeometry, SimdLevel};

/// `count` columns of `rows` values, `[groups, rows, GROUP]`; what the last group has more is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    rows: usize,
    count: usize,
    values: Vec<f32>,
}

impl Signals {
    /// Of `columns [count, rows]` minus `mean [rows]`.
    ///
    /// # Panics
    /// Where the columns are not whole.
    pub fn centred(columns: &[f32], mean: &[f32]) -> Self {
        let rows = mean.len();
        assert!(columns.len().is_multiple_of(rows), "whole columns of {rows} values");
        let count = columns.len() / rows;
        let mut values = vec![0.0; count.div_ceil(GROUP) * rows * GROUP];
        for (index, column) in columns.chunks_exact(rows).enumerate() {
            let group = &mut values[index / GROUP * rows * GROUP..][..rows * GROUP];
            for row in 0..rows {
                group[row * GROUP + index % GROUP] = column[row] - mean[row];
            }
        }
        Self { rows, count, values }
    }

    /// Of values that are laid out as those of `like`, with another number of rows.
    pub(crate) fn laid_out(rows: usize, like: &Signals, values: Vec<f32>) -> Self {
        assert_eq!(
            values.len() * like.rows,
            like.values.len() * rows,
            "groups of {rows} rows"
        );
        let count = like.count;
        Self { rows, count, values }
    }

    /// Values of a column.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// `[groups, rows, GROUP]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values of one column.
    pub fn column(&self, index: usize) -> Vec<f32> {
        let group = &self.values[index / GROUP * self.rows * GROUP..][..self.rows * GROUP];
        group.iter().skip(index % GROUP).step_by(GROUP).copied().collect()
    }

    /// All columns one after the other, `[count, rows]`.
    pub fn columns(&self) -> Vec<f32> {
        (0..self.count).flat_map(|index| self.column(index)).collect()
    }

    /// Every value changed, by its row; zeros must stay zeros.
    #[must_use]
    pub(crate) fn map(&self, change: impl Fn(usize, f32) -> f32) -> Self {
        let mut values = self.values.clone();
        for (index, lanes) in values.chunks_exact_mut(GROUP).enumerate() {
            let row = index % self.rows;
            lanes.iter_mut().for_each(|value| *value = change(row, *value));
        }
        Self { values, ..*self }
    }

    /// The sum of `term` of every value and its row, taken in order; it must be 0 for zeros.
    pub(crate) fn sum(&self, term: impl Fn(usize, f64) -> f64) -> f64 {
        let lanes = self.values.chunks_exact(GROUP).enumerate();
        lanes
            .map(|(index, lanes)| {
                lanes
                    .iter()
                    .map(|&value| term(index % self.rows, value.into()))
                    .sum::<f64>()
            })
            .sum()
    }

    /// For each row the sum of `term`, which must be 0 for zeros.
    pub(crate) fn row_sums(&self, term: impl Fn(f32) -> f32) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows];
        for (index, lanes) in self.values.chunks_exact(GROUP).enumerate() {
            sums[index % self.rows] += lanes.iter().map(|&value| f64::from(term(value))).sum::<f64>();
        }
        sums
    }

    /// The largest magnitude.
    pub(crate) fn largest(&self) -> f32 {
        self.values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
    }

    /// `matrix [n, rows]` times every column.
    #[must_use]
    pub fn times(&self, matrix: &[f32]) -> Self {
        let rows = matrix.len() / self.rows;
        let values = convolution(&self.geometry(rows), &self.values, matrix, SimdLevel::detect());
        Self::laid_out(rows, self, values)
    }

    /// `Σ codes·signalᵀ [n, rows]` over the columns of both.
    pub fn products(&self, codes: &Signals) -> Vec<f32> {
        convolution_weight_gradient(
            &self.geometry(codes.rows),
            &self.values,
            &codes.values,
            SimdLevel::detect(),
        )
    }

    fn geometry(&self, outputs: usize) -> ConvGeometry {
        let groups = self.values.len() / (self.rows * GROUP);
        geometry([groups, self.rows, 1, GROUP], outputs)
    }
}

/// Of a 1×1 layer.
pub(crate) fn geometry(x: [usize; 4], outputs: usize) -> ConvGeometry {
    ConvGeometry::new(x, [outputs, x[1], 1, 1], 1)
        .unwrap_or_else(|error| panic!("windows of one pixel fit any image in memory: {error}"))
}

/// `left [n, k]` times `right [k, columns]`.
pub(crate) fn matrix_product(left: &[f32], right: &[f32], columns: usize) -> Vec<f32> {
    let inner = right.len() / columns;
    let geometry = geometry([1, inner, 1, columns], left.len() / inner);
    convolution(&geometry, right, left, SimdLevel::detect())
}
