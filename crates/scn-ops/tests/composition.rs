//! Two layers in one autodiff graph against central finite differences of the float64 reference.

mod common;

use common::{assert_small, devices, options, random, tensor, values};
use scn_ops::sparse_code2d;
use scn_solver::{ConvGeometry, Method, SolverOptions, reference};

const X: [usize; 4] = [1, 2, 6, 5];
const FIRST: [usize; 4] = [7, 2, 3, 3];
const SECOND: [usize; 4] = [5, 7, 3, 3];
const STRIDES: [usize; 2] = [2, 1];

/// Parameters of the composition: x, both dictionaries and both λ₁.
type Parameters = [Vec<f64>; 5];

fn parameters() -> Parameters {
    let length = |shape: [usize; 4]| shape.iter().product();
    [
        random(1, length(X), 1.0),
        random(2, length(FIRST), 0.25),
        random(3, length(SECOND), 0.15),
        vec![0.03],
        random(4, SECOND[0], 0.01).into_iter().map(f64::abs).collect(),
    ]
}

fn exact(method: Method) -> SolverOptions {
    options(method, 0.05, 1e-13, 100_000)
}

/// `⟨weights, codes of the second layer⟩` in float64.
fn loss([x, first, second, lambda_first, lambda_second]: &Parameters, weights: &[f64]) -> f64 {
    let layer = ConvGeometry::new(X, FIRST, STRIDES[0]).expect("a layer");
    let lambda_first = vec![lambda_first[0]; layer.atoms];
    let options = exact(Method::CoordinateDescent);
    let hidden = reference::forward(&layer, x, first, &lambda_first, &options)
        .expect("codes")
        .codes;
    let layer = ConvGeometry::new(layer.codes_shape(), SECOND, STRIDES[1]).expect("a layer");
    let codes = reference::forward(&layer, &hidden, second, lambda_second, &options)
        .expect("codes")
        .codes;
    codes.iter().zip(weights).map(|(code, weight)| code * weight).sum()
}

#[test]
fn gradients_of_two_layers_are_finite_differences() {
    const STEP: f64 = 1e-6;
    let parameters = parameters();
    let layer = ConvGeometry::new(X, FIRST, STRIDES[0]).expect("a layer");
    let shape = ConvGeometry::new(layer.codes_shape(), SECOND, STRIDES[1])
        .expect("a layer")
        .codes_shape();
    let weights = random(5, shape.iter().product(), 1.0);
    let directions: Vec<Vec<f64>> = parameters
        .iter()
        .enumerate()
        .map(|(i, values)| random(10 + i as u64, values.len(), 1.0))
        .collect();
    let difference = |which: usize| {
        let along = |sign: f64| {
            let mut moved = parameters.clone();
            for (value, direction) in moved[which].iter_mut().zip(&directions[which]) {
                *value += sign * STEP * direction;
            }
            loss(&moved, &weights)
        };
        (along(1.0) - along(-1.0)) / (2.0 * STEP)
    };
    let differences: Vec<f64> = (0..parameters.len()).map(difference).collect();

    for (name, device) in devices() {
        let device = &device.autodiff();
        for method in Method::ALL {
            let options = options(method, 0.05, 3e-7, 3000);
            let [x, first, second, lambda_first, lambda_second] = &parameters;
            let x = tensor(x, X, device).require_grad();
            let first = tensor(first, FIRST, device).require_grad();
            let second = tensor(second, SECOND, device).require_grad();
            let lambda_first = tensor(lambda_first, [1], device).require_grad();
            let lambda_second = tensor(lambda_second, [SECOND[0]], device).require_grad();
            let hidden = sparse_code2d(x.clone(), first.clone(), lambda_first.clone(), STRIDES[0], options).0;
            let codes = sparse_code2d(hidden, second.clone(), lambda_second.clone(), STRIDES[1], options).0;
            let grads = (codes * tensor(&weights, shape, device)).sum().backward();
            let found = [
                x.grad(&grads).map(values),
                first.grad(&grads).map(values),
                second.grad(&grads).map(values),
                lambda_first.grad(&grads).map(values),
                lambda_second.grad(&grads).map(values),
            ];
            for (which, gradient) in found.into_iter().enumerate() {
                let gradient = gradient.expect("a gradient");
                let slope: f64 = gradient.iter().zip(&directions[which]).map(|(g, d)| g * d).sum();
                let error = (slope - differences[which]).abs() / differences[which].abs().max(0.1);
                assert_small(&format!("parameter {which} on {name}, {}", method.name()), error, 1e-3);
            }
        }
    }
}
