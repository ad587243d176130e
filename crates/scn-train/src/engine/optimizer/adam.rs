//! Adam (Kingma & Ba, arXiv:1412.6980) as PyTorch computes it: with the means m of gradients and v of their squares, the
//! direction of step t is `m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)`.

use burn::tensor::Tensor;

/// The decay of the mean of squares, and what keeps its root from 0: PyTorch's defaults.
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The direction of a step, and the means m and v, flattened, of the next one. `steps` counts this one.
pub(super) fn direction<const D: usize>(
    beta1: f64,
    steps: usize,
    means: Option<[Tensor<1>; 2]>,
    gradient: Tensor<D>,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let shape = gradient.dims();
    let square = gradient.clone() * gradient.clone();
    let (first, second) = (gradient * (1.0 - beta1), square * (1.0 - BETA2));
    let [m, v] = match means {
        Some([m, v]) => [m.reshape(shape) * beta1 + first, v.reshape(shape) * BETA2 + second],
        None => [first, second],
    };
    let bias = |beta: f64| 1.0 - beta.powf(steps as f64);
    let deviation = v.clone().sqrt() / bias(BETA2).sqrt() + EPSILON;
    let direction = m.clone() / deviation / bias(beta1);
    (direction, [m.reshape([-1]), v.reshape([-1])])
}
