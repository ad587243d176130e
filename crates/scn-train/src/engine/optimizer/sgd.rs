//! Stochastic gradient descent with momentum as PyTorch computes it, without dampening: `v ← momentum·v + g` (`v ← g` at
//! the first step), and the direction is v, or `g + momentum·v` with Nesterov's momentum.

use burn::tensor::Tensor;

/// The direction of a step, and the buffer v, flattened, of the next one.
pub(super) fn direction<const D: usize>(
    momentum: f64,
    nesterov: bool,
    buffer: Option<Tensor<1>>,
    gradient: Tensor<D>,
) -> (Tensor<D>, Tensor<1>) {
    let buffer = match buffer {
        Some(buffer) => buffer.reshape(gradient.dims()) * momentum + gradient.clone(),
        None => gradient.clone(),
    };
    let direction = match nesterov {
        true => gradient + buffer.clone() * momentum,
        false => buffer.clone(),
    };
    (direction, buffer.reshape([-1]))
}
