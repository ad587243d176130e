//! Fixed points `z = f(z)` of many images at once, each solved alone: what an image gets does not depend on the others.

mod anderson;
mod broyden;

use burn::tensor::{Bool, Tensor, TensorData};

use crate::Solves;
use anderson::Anderson;
use broyden::Broyden;

scn_keys::names! {
    /// How fixed points are found, `model.equilibrium.method`.
    pub enum Method {
        /// Broyden's quasi-Newton method (Broyden, Math. Comp. 19:577-593, 1965), whose inverse Jacobian is −I and a
        /// term of rank one for each iteration.
        Broyden = "broyden",
        /// Anderson's mixing of the last iterates (Anderson, J. ACM 12:547-560, 1965).
        Anderson = "anderson",
    }
}

/// When a solve ends.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The relative residual of an image at which its solve ends.
    pub tolerance: f64,
    /// Evaluations of f at most.
    pub max_iterations: usize,
}

/// What chooses the next iterate.
trait Iteration {
    /// The iterate `[b, d]` after z, given the residual `f(z) − z`.
    fn next(&mut self, z: Tensor<2>, residual: Tensor<2>) -> Tensor<2>;
}

/// Keeps the denominators of residuals of 0 positive.
const SMALL: f64 = 1e-30;

/// The fixed points of f, from `start [b, d]` on, without autodiff: of each image the iterate at which its residual
/// `‖f(z) − z‖/‖f(z)‖` first met the tolerance, or else that with the smallest.
pub fn solve(
    method: Method,
    limits: Limits,
    start: Tensor<2>,
    mut f: impl FnMut(Tensor<2>) -> Tensor<2>,
) -> (Tensor<2>, Solves) {
    let [batch, _] = start.dims();
    let mut iteration: Box<dyn Iteration> = match method {
        Method::Broyden => Box::new(Broyden::new(&start, limits.max_iterations)),
        Method::Anderson => Box::new(Anderson::default()),
    };
    let mut solves = Solves {
        iterations: vec![limits.max_iterations; batch],
        residuals: vec![f64::INFINITY; batch],
        tolerance: limits.tolerance,
    };
    let mut found = start.clone();
    let mut z = start;
    for made in 1..=limits.max_iterations {
        let image = f(z.clone());
        let residual = image.clone() - z.clone();
        let relative = relative(&residual, image);
        let better = solves.take(&relative, made);
        found = match better.iter().all(|&better| better) {
            true => z.clone(),
            false => {
                let mask = Tensor::<1, Bool>::from_data(TensorData::new(better, [batch]), &z.device());
                found.mask_where(mask.reshape([batch, 1]).expand(z.dims()), z.clone())
            }
        };
        if made == limits.max_iterations || solves.ended() {
            break;
        }
        z = iteration.next(z, residual);
    }
    (found, solves)
}

impl Solves {
    /// Takes the residuals after so many iterations, and says which images are better off than before.
    fn take(&mut self, residuals: &[f64], iterations: usize) -> Vec<bool> {
        let mut better = Vec::with_capacity(residuals.len());
        for ((best, made), &residual) in self.residuals.iter_mut().zip(&mut self.iterations).zip(residuals) {
            let improves = *best > self.tolerance && residual < *best;
            if improves {
                *best = residual;
                if residual <= self.tolerance {
                    *made = iterations;
                }
            }
            better.push(improves);
        }
        better
    }

    /// Whether every image meets the tolerance.
    fn ended(&self) -> bool {
        self.residuals.iter().all(|&residual| residual <= self.tolerance)
    }
}

/// `‖r‖/‖f(z)‖` of each image, on the host; infinite where f(z) is not finite.
pub(super) fn relative(residual: &Tensor<2>, image: Tensor<2>) -> Vec<f64> {
    let norms = |values: Tensor<2>| values.powi_scalar(2).sum_dim(1).sqrt();
    let both = Tensor::cat(vec![norms(residual.clone()), norms(image)], 1);
    let both: Vec<f64> = both.into_data().iter::<f64>().collect();
    let of_image = |norms: &[f64]| match norms[1].is_finite() {
        true => norms[0] / norms[1].max(SMALL),
        false => f64::INFINITY,
    };
    both.chunks_exact(2).map(of_image).collect()
}

/// `⟨a, b⟩` of each image, `[b, 1]`.
fn dot(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    (a * b).sum_dim(1)
}

#[cfg(test)]
mod tests;
