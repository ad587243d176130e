//! Broyden's method for `g(z) = f(z) − z = 0` with the inverse Jacobian `B = −I + Σ uᵢvᵢᵀ` of each image: `Δz = −Bg`, and
//! after it, with the change Δg, `v = BᵀΔz` and `u = (Δz − BΔg)/⟨v, Δg⟩`, so that `B⁺Δg = Δz` (Bai, Koltun & Kolter,
//! arXiv:2006.08656, section 3.3, without line search).

use burn::tensor::Tensor;

use super::{Iteration, dot};

/// Pairs that are kept; later ones take the places of the oldest.
const MEMORY: usize = 40;
/// A pair whose denominator is not above this part of its factors' norms tells nothing, and is left out for that image.
const LEAST: f64 = 1e-7;

/// The inverse Jacobians of all images.
pub struct Broyden {
    /// uᵢ and vᵢ, each `[b, m, d]`; zeros where there is none yet.
    u: Tensor<3>,
    v: Tensor<3>,
    pairs: usize,
    /// Δz and the residual from which it was taken.
    last: Option<(Tensor<2>, Tensor<2>)>,
}

impl Broyden {
    /// For solves of so many iterations that start like `start [b, d]`.
    pub fn new(start: &Tensor<2>, max_iterations: usize) -> Self {
        let [batch, values] = start.dims();
        // The last iteration takes no step, and the first one makes no pair.
        let room = max_iterations.saturating_sub(2).clamp(1, MEMORY);
        let zeros = Tensor::zeros([batch, room, values], &start.device());
        Self {
            u: zeros.clone(),
            v: zeros,
            pairs: 0,
            last: None,
        }
    }

    /// `Σ aᵢ⟨bᵢ, x⟩ − x` of each image.
    fn applied(a: &Tensor<3>, b: &Tensor<3>, x: Tensor<2>) -> Tensor<2> {
        let products = b.clone().matmul(x.clone().unsqueeze_dim(2));
        let sum: Tensor<3> = products.swap_dims(1, 2).matmul(a.clone());
        sum.squeeze_dim(1) - x
    }
}

/// Puts `values [b, d]` into the place `[.., place, ..]` of a tensor, in place where nothing else holds it.
fn put(tensor: &mut Tensor<3>, place: usize, values: Tensor<2>) {
    let [batch, count] = values.dims();
    let empty = Tensor::empty([0, 0, 0], &values.device());
    let whole = std::mem::replace(tensor, empty);
    *tensor = whole.slice_assign([0..batch, place..place + 1, 0..count], values.unsqueeze_dim(1));
}

impl Iteration for Broyden {
    fn next(&mut self, z: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        if let Some((step, before)) = self.last.take() {
            let change = residual.clone() - before;
            let v = Self::applied(&self.v, &self.u, step.clone());
            let error = step - Self::applied(&self.u, &self.v, change.clone());
            let (denominator, norms) = (
                dot(v.clone(), change.clone()),
                dot(v.clone(), v.clone()) * dot(change.clone(), change),
            );
            let told = denominator.clone().powi_scalar(2).greater(norms * (LEAST * LEAST));
            // Where nothing is told, both are 0 and the pair adds nothing.
            let inverse = denominator.zeros_like().mask_where(told, denominator.recip());
            let place = self.pairs % self.u.dims()[1];
            put(&mut self.u, place, error * inverse);
            put(&mut self.v, place, v);
            self.pairs += 1;
        }
        let step = -Self::applied(&self.u, &self.v, residual.clone());
        self.last = Some((step.clone(), residual));
        z + step
    }
}
