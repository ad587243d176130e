//! Batch normalisation against burn's own on every device: the same values and the same gradients.

mod common;

use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor};
use common::{devices, random, tensor, values};
use scn_ops::normalize_batch;

const SHAPE: [usize; 4] = [3, 4, 5, 2];
const EPSILON: f64 = 1e-4;

/// x, γ and β.
type Inputs = (Tensor<4>, Tensor<1>, Tensor<1>);

/// Output, mean and variance.
type Normalized = (Tensor<4>, Tensor<1>, Tensor<1>);

/// Output, statistics and the gradients of x, γ and β of a weighted sum of the outputs.
fn differentiated(device: &Device, normalize: impl Fn(Inputs) -> Normalized) -> Vec<Vec<f64>> {
    let device = device.clone().autodiff();
    let x: Tensor<4> = tensor(&random(1, SHAPE.iter().product(), 2.0), SHAPE, &device);
    let gamma: Tensor<1> = tensor(&random(2, SHAPE[1], 1.0), [SHAPE[1]], &device);
    let beta: Tensor<1> = tensor(&random(3, SHAPE[1], 1.0), [SHAPE[1]], &device);
    let (x, gamma, beta) = (x.require_grad(), gamma.require_grad(), beta.require_grad());
    let weights: Tensor<4> = tensor(&random(4, SHAPE.iter().product(), 1.0), SHAPE, &device);
    let (output, mean, variance) = normalize((x.clone(), gamma.clone(), beta.clone()));
    let gradients = (output.clone() * weights).sum().backward();
    vec![
        values(output.without_autodiff()),
        values(mean.without_autodiff()),
        values(variance.without_autodiff()),
        values(x.grad(&gradients).expect("x has a gradient")),
        values(gamma.grad(&gradients).expect("gamma has a gradient")),
        values(beta.grad(&gradients).expect("beta has a gradient")),
    ]
}

#[test]
fn values_and_gradients_are_those_of_burn() {
    for (name, device) in devices() {
        let ours = differentiated(&device, |(x, gamma, beta)| {
            let result = normalize_batch(x, gamma, beta, EPSILON);
            (result.output, result.mean, result.variance)
        });
        let burns = differentiated(&device, |(x, gamma, beta)| {
            let result = batch_norm_train(x, gamma, beta, EPSILON);
            (result.output, result.mean, result.variance)
        });
        assert_eq!(ours, burns, "{name}");
    }
}
