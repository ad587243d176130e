//! Matrices of any tensor backend, with the arithmetic that the solvers write.

use std::ops::{Add, Div, Mul, Sub};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice, TensorData, read_sync};
use scn_solver::ConvGeometry;

use super::layer;

/// A matrix `[rows, columns]` of any backend. Arithmetic broadcasts single rows, columns and numbers.
pub(super) struct Matrix<B: Backend>(pub(super) FloatTensor<B>);

impl<B: Backend> Clone for Matrix<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> Add for Matrix<B> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(B::float_add(self.0, other.0))
    }
}

impl<B: Backend> Sub for Matrix<B> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(B::float_sub(self.0, other.0))
    }
}

impl<B: Backend> Mul for Matrix<B> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }
}

impl<B: Backend> Div for Matrix<B> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self(B::float_div(self.0, other.0))
    }
}

impl<B: Backend> Matrix<B> {
    /// `[b, n, h, w]` as `[n, b·h·w]`.
    pub(super) fn from_planes(planes: FloatTensor<B>) -> Self {
        let [batch, n, height, width] = planes.shape().dims();
        let planes = B::float_permute(planes, &[1, 0, 2, 3]);
        Self(B::float_reshape(planes, Shape::new([n, batch * height * width])))
    }

    pub(super) fn into_planes(self, geometry: &ConvGeometry) -> FloatTensor<B> {
        let [batch, n, height, width] = geometry.codes_shape();
        let planes = B::float_reshape(self.0, Shape::new([n, batch, height, width]));
        B::float_permute(planes, &[1, 0, 2, 3])
    }

    pub(super) fn stack(rows: Vec<Self>) -> Self {
        Self(B::float_cat(rows.into_iter().map(|row| row.0).collect(), 0))
    }

    pub(super) fn rows(&self) -> usize {
        self.0.shape().dims::<2>()[0]
    }

    pub(super) fn row(&self, j: usize) -> Self {
        Self(B::float_slice(self.0.clone(), &[Slice::from(j..j + 1)]))
    }

    pub(super) fn into_rows(self) -> Vec<Self> {
        (0..self.rows()).map(|j| self.row(j)).collect()
    }

    /// The columns of a square matrix.
    pub(super) fn columns(&self) -> Vec<Self> {
        let column = |j| B::float_slice(self.0.clone(), &[Slice::full(), Slice::from(j..j + 1)]);
        (0..self.rows()).map(|j| Self(column(j))).collect()
    }

    pub(super) fn zeros_like(&self) -> Self {
        Self(B::float_zeros(self.0.shape(), &self.0.device(), self.0.dtype().into()))
    }

    pub(super) fn product(&self, other: &Self) -> Self {
        Self(B::float_matmul(self.0.clone(), other.0.clone()))
    }

    pub(super) fn scale(&self, factor: f64) -> Self {
        Self(B::float_mul_scalar(self.0.clone(), factor.into()))
    }

    pub(super) fn shift(&self, term: f64) -> Self {
        Self(B::float_add_scalar(self.0.clone(), term.into()))
    }

    pub(super) fn square_root(self) -> Self {
        Self(B::float_sqrt(self.0))
    }

    pub(super) fn positive_part(self) -> Self {
        Self(B::float_clamp_min(self.0, 0.0.into()))
    }

    pub(super) fn minimum(self, other: &Self) -> Self {
        let smaller = B::float_lower(other.0.clone(), self.0.clone(), layer::bool_dtype::<B>(&self.0));
        Self(B::float_mask_where(self.0, smaller, other.0.clone()))
    }

    /// `[1, columns]`.
    pub(super) fn column_sums(&self) -> Self {
        Self(B::float_sum_dim(self.0.clone(), 0))
    }

    /// Euclidean, `[1, columns]`.
    pub(super) fn column_norms(&self) -> Self {
        (self.clone() * self.clone()).column_sums().square_root()
    }

    /// The largest magnitude of each column, or 1 where it is 0, `[1, columns]`: divided by it, squares stay within the
    /// range of f32 on any scale.
    pub(super) fn column_units(&self) -> Self {
        let largest = Self(B::float_max_abs_dim(self.0.clone(), 0));
        let zeros = largest.is_zero();
        largest.fill_where(&zeros, 1.0)
    }

    /// 1 where positive, else 0.
    pub(super) fn is_positive(&self) -> Self {
        Self(layer::indicator::<B>(self.0.clone()))
    }

    /// 1 where zero, else 0.
    pub(super) fn is_zero(&self) -> Self {
        let mask = B::float_equal_elem(self.0.clone(), 0.0.into(), layer::bool_dtype::<B>(&self.0));
        Self(layer::to_float::<B>(mask))
    }

    /// 1 for columns that hold NaN or an infinity, else 0; `[1, columns]`.
    pub(super) fn columns_with_nan_or_infinity(&self) -> Self {
        let dtype = layer::bool_dtype::<B>(&self.0);
        let nan = layer::to_float::<B>(B::float_is_nan(self.0.clone(), dtype));
        let infinite = layer::to_float::<B>(B::float_is_inf(self.0.clone(), dtype));
        Self(B::float_add(nan, infinite)).column_sums().is_positive()
    }

    /// `value` where `indicator` (broadcast) is 1.
    pub(super) fn fill_where(self, indicator: &Self, value: f64) -> Self {
        let mask = B::float_greater_elem(indicator.0.clone(), 0.0.into(), layer::bool_dtype::<B>(&indicator.0));
        let mask = B::bool_expand(mask, self.0.shape());
        Self(B::float_mask_fill(self.0, mask, value.into()))
    }

    /// `1/value`, or `otherwise` at zeros.
    pub(super) fn inverse_or(self, otherwise: f64) -> Self {
        let zeros = self.is_zero();
        Self(B::float_recip(self.fill_where(&zeros, 1.0).0)).fill_where(&zeros, otherwise)
    }

    /// `[n, 1]`.
    pub(super) fn diagonal(&self) -> Self {
        let diagonal = self.clone() * Self(layer::identity::<B>(self.rows(), &self.0.device()));
        Self(B::float_sum_dim(diagonal.0, 1))
    }

    /// A bound of `λ_max [1, 1]` by power iteration, at most the infinity norm; 0 for a zero matrix.
    pub(super) fn largest_eigenvalue(&self) -> Self {
        let n = self.rows();
        let start: Vec<f32> = (0..n).map(layer::power_start).collect();
        let mut vector = Self(B::float_from_data(TensorData::new(start, [n, 1]), &self.0.device()));
        let mut norm = vector.column_norms();
        for _ in 0..layer::POWER_ITERATIONS {
            let direction = vector / norm.shift(f32::MIN_POSITIVE.into());
            vector = self.product(&direction);
            norm = vector.column_norms();
        }
        let row_sums = B::float_sum_dim(B::float_abs(self.0.clone()), 1);
        let infinity_norm = Self(B::float_max_dim(row_sums, 0));
        norm.scale(layer::LIPSCHITZ_MARGIN.into()).minimum(&infinity_norm)
    }

    /// The largest value, read back.
    pub(super) fn largest(&self) -> f64 {
        match read_sync(B::float_into_data(B::float_max(self.0.clone()))) {
            Ok(data) => data.iter::<f64>().next().unwrap_or(f64::NAN),
            Err(error) => panic!("reading a residual back from the device failed: {error}"),
        }
    }
}
