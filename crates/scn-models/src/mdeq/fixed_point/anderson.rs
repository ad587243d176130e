//! Anderson's method: the next iterate is the combination `Σ αᵢ f(zᵢ)` of the last ones, `Σ αᵢ = 1`, that would have the
//! smallest residual `‖Σ αᵢ (f(zᵢ) − zᵢ)‖` if f were affine.

use std::collections::VecDeque;

use burn::tensor::{Tensor, TensorData};

use super::{Iteration, dot};

/// Iterates that are combined.
const MEMORY: usize = 6;
/// Added to the diagonal of the normal equations, relative to its mean: residuals are rounded to f32.
const RIDGE: f64 = 1e-10;

/// The last iterates.
#[derive(Default)]
pub struct Anderson {
    /// Of each iterate, `f(z)` and the residual.
    last: VecDeque<(Tensor<2>, Tensor<2>)>,
    /// Inner products of the residuals, on the host: of each iterate with all of `last`, and of these those of each image.
    products: VecDeque<VecDeque<Vec<f64>>>,
}

impl Iteration for Anderson {
    fn next(&mut self, z: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        let [batch, _] = z.dims();
        if self.last.len() == MEMORY {
            self.last.pop_front();
            self.products.pop_front();
            self.products.iter_mut().for_each(|row| {
                row.pop_front();
            });
        }
        self.last.push_back((z + residual.clone(), residual.clone()));
        let of_new = self.last.iter().map(|(_, other)| dot(residual.clone(), other.clone()));
        let of_new: Vec<f64> = Tensor::cat(of_new.collect(), 1).into_data().iter::<f64>().collect();
        let count = self.last.len();
        let column = |i: usize| (0..batch).map(|image| of_new[image * count + i]).collect::<Vec<_>>();
        for (i, row) in self.products.iter_mut().enumerate() {
            row.push_back(column(i));
        }
        self.products.push_back((0..count).map(column).collect());
        let weights: Vec<f32> = (0..batch).flat_map(|image| self.weights(image)).collect();
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [batch, count]), &residual.device());
        let parts = self.last.iter().enumerate().map(|(i, (mapped, _))| {
            let weight = weights.clone().slice_dim(1, i..i + 1);
            mapped.clone() * weight
        });
        parts.reduce(|sum, part| sum + part).unwrap_or(residual)
    }
}

impl Anderson {
    /// The weights αᵢ of an image's last iterates: `Gx = 1`, `α = x/Σx`, with the Gram matrix G of their residuals.
    fn weights(&self, image: usize) -> Vec<f32> {
        let count = self.last.len();
        let entry = |i: usize, j: usize| self.products[i][j][image];
        let mean = (0..count).map(|i| entry(i, i)).sum::<f64>() / count as f64;
        let mut gram: Vec<Vec<f64>> = (0..count).map(|i| (0..count).map(|j| entry(i, j)).collect()).collect();
        gram.iter_mut().enumerate().for_each(|(i, row)| row[i] += RIDGE * mean);
        let newest = || (0..count).map(|i| f32::from(u8::from(i + 1 == count))).collect();
        let Some(solution) = solved(gram) else { return newest() };
        let sum: f64 = solution.iter().sum();
        let weights: Vec<f32> = solution.iter().map(|value| (value / sum) as f32).collect();
        match weights.iter().all(|weight| weight.is_finite()) {
            true => weights,
            false => newest(),
        }
    }
}

/// The solution of `Gx = 1` by Gaussian elimination with pivoting; `None` where G is singular.
fn solved(mut matrix: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let count = matrix.len();
    let mut right = vec![1.0; count];
    for k in 0..count {
        let pivot = (k..count).max_by(|&a, &b| matrix[a][k].abs().total_cmp(&matrix[b][k].abs()))?;
        if matrix[pivot][k] == 0.0 || !matrix[pivot][k].is_finite() {
            return None;
        }
        matrix.swap(k, pivot);
        right.swap(k, pivot);
        let upper = matrix[k].clone();
        for i in k + 1..count {
            let factor = matrix[i][k] / upper[k];
            for (value, above) in matrix[i][k..].iter_mut().zip(&upper[k..]) {
                *value -= factor * above;
            }
            right[i] -= factor * right[k];
        }
    }
    for k in (0..count).rev() {
        let known: f64 = (k + 1..count).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - known) / matrix[k][k];
    }
    Some(right)
}
