//! What the backward pass reports, on every device: through the vector-Jacobian product and through autodiff.

mod common;

use burn::tensor::{Device, Tensor};
use common::{devices, options, random, tensor, values};
use scn_ops::{solve_sums, sparse_code2d, sparse_code2d_vjp};
use scn_solver::{ConvGeometry, Method, SolverOptions, reference};

/// A layer in the middle of which codes, their gradient and the systems are known.
struct Layer {
    geometry: ConvGeometry,
    x: Vec<f64>,
    weight: Vec<f64>,
    codes: Vec<f64>,
    grad_codes: Vec<f64>,
}

impl Layer {
    fn new(x: [usize; 4], [atoms, kernel]: [usize; 2]) -> Self {
        let geometry = ConvGeometry::new(x, [atoms, x[1], kernel, kernel], 1).expect("a layer");
        let scale = 1.0 / (geometry.patch() as f64).sqrt();
        let count = geometry.codes_shape().iter().product();
        Self {
            x: random(1, x.iter().product(), 1.0),
            weight: random(2, atoms * geometry.patch(), scale),
            codes: random(3, count, 1.0),
            grad_codes: random(4, count, 1.0),
            geometry,
        }
    }

    fn tensors(&self, device: &Device) -> [Tensor<4>; 4] {
        let ConvGeometry {
            batch,
            channels,
            height,
            width,
            atoms,
            kernel,
            ..
        } = self.geometry;
        let codes = self.geometry.codes_shape();
        [
            tensor(&self.x, [batch, channels, height, width], device),
            tensor(&self.weight, [atoms, channels, kernel, kernel], device),
            tensor(&self.codes, codes, device),
            tensor(&self.grad_codes, codes, device),
        ]
    }

    /// Prices and residuals of the vector-Jacobian product.
    fn solves(&self, device: &Device, options: SolverOptions) -> Tensor<4> {
        let [x, weight, codes, grad_codes] = self.tensors(device);
        sparse_code2d_vjp(x, weight, codes, grad_codes, 1, options).solves
    }
}

fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn split(solves: Tensor<4>) -> (Vec<f64>, Vec<f64>) {
    (values(solves.clone().narrow(1, 0, 1)), values(solves.narrow(1, 1, 1)))
}

#[test]
fn solved_systems_report_a_residual_within_the_tolerance() {
    let layer = Layer::new([2, 3, 5, 6], [11, 3]);
    let options = options(Method::CoordinateDescent, 0.1, 1e-5, 500);
    for (name, device) in devices() {
        let solves = layer.solves(&device, options);
        let sums = values(solve_sums(solves.clone(), 500, 1e-5));
        let (prices, residuals) = split(solves);
        let totals = [prices.iter().sum(), residuals.iter().sum(), maximum(&residuals), 0.0];
        for (sum, total) in sums.iter().zip(totals) {
            assert!(
                (sum - total).abs() <= 1e-5 * total,
                "{name}: {sums:?}, {totals:?} one by one"
            );
        }
        assert_eq!(prices.len(), 60, "{name}");
        assert!(
            prices.iter().all(|&price| (0.0..500.0).contains(&price)),
            "{name}: {prices:?}"
        );
        assert!(
            residuals.iter().all(|&residual| residual <= 1e-5),
            "{name}: {residuals:?}"
        );
        assert!(
            residuals.iter().any(|&residual| residual > 0.0),
            "{name}: nothing was measured"
        );
    }
}

/// At the cap the residual is the reference's after as many sweeps. The CPU kernels sweep only what they do not factorise:
/// pixels with more than 160 active atoms.
#[test]
fn systems_that_end_at_the_cap_say_so() {
    let mut layer = Layer::new([1, 21, 4, 5], [180, 3]);
    layer.codes.iter_mut().for_each(|code| *code = code.abs() + 0.1);
    let options = options(Method::CoordinateDescent, 0.1, 1e-6, 3);
    let (x, weight) = (&layer.x, &layer.weight);
    let expected = reference::backward(&layer.geometry, x, weight, &layer.codes, &layer.grad_codes, &options)
        .expect("gradients")
        .info;
    for (name, device) in devices() {
        // Plain tensor operations take several for each atom and sweep.
        if name == "ndarray" {
            continue;
        }
        let solves = layer.solves(&device, options);
        assert_eq!(values(solve_sums(solves.clone(), 3, 1e-6))[3], 20.0, "{name}");
        let (prices, residuals) = split(solves);
        for (pixel, expected) in expected.iter().enumerate() {
            assert_eq!((prices[pixel], expected.iterations), (3.0, 3), "{name}: pixel {pixel}");
            let error = (residuals[pixel] - expected.residual).abs();
            assert!(
                expected.residual > 1e-6 && error <= 1e-3 * expected.residual,
                "{name}: {:e} reported at pixel {pixel}, {:e} true",
                residuals[pixel],
                expected.residual
            );
        }
    }
}

/// Odd sizes, a residual that is no number, images without pixels and batches without images.
#[test]
fn solves_are_summed_over_every_pixel() {
    for (name, device) in devices() {
        for [batch, height, width] in [[3, 5, 7], [1, 1, 1], [2, 4, 8], [0, 3, 3], [2, 0, 3]] {
            let pixels = height * width;
            let solves: Vec<f64> = (0..batch * 2 * pixels)
                .map(|i| match i / pixels % 2 {
                    0 => (i % 4) as f64,
                    _ => (i % 9) as f64 / 8.0,
                })
                .collect();
            let images = || solves.chunks(2 * pixels.max(1)).map(|image| image.split_at(pixels));
            let residuals: Vec<f64> = images().flat_map(|(_, residuals)| residuals).copied().collect();
            let capped = images().flat_map(|(iterations, residuals)| iterations.iter().zip(residuals));
            let capped = capped.filter(|&(&iterations, &residual)| iterations >= 2.0 && residual > 0.5);
            let expected = [
                images().flat_map(|(iterations, _)| iterations).sum(),
                residuals.iter().sum(),
                maximum(&residuals),
                capped.count() as f64,
            ];
            let solves: Tensor<4> = tensor(&solves, [batch, 2, height, width], &device);
            assert_eq!(
                values(solve_sums(solves.clone(), 2, 0.5)),
                expected,
                "{name}: {batch} images of {height}×{width}"
            );
            let tracked = Tensor::from_inner(solves.clone());
            assert_eq!(values(solve_sums(tracked, 2, 0.5)), expected, "{name}: with autodiff");
            if batch * pixels > 1 {
                let sums = values(solve_sums(solves * f64::NAN, 2, 0.5));
                assert!(sums[1].is_nan() && sums[3] == 0.0, "{name}: {sums:?}");
            }
        }
    }
}

#[test]
fn the_backward_pass_fills_the_report_of_its_layer() {
    let layer = Layer::new([2, 3, 5, 6], [11, 3]);
    let options = options(Method::CoordinateDescent, 0.1, 1e-5, 500);
    for (name, device) in devices() {
        let tracked = device.clone().autodiff();
        let [x, weight, _, grad_codes] = layer.tensors(&tracked);
        let lambda1: Tensor<1> = tensor(&[0.05], [1], &tracked);
        let (x, weight) = (x.require_grad(), weight.require_grad());
        let (codes, info) = sparse_code2d(x, weight, lambda1.clone(), 1, options);
        let [_, second, _, _] = layer.tensors(&tracked);
        let (_, unused) = sparse_code2d(codes.clone().narrow(1, 0, 3), second, lambda1, 1, options);
        assert!(
            info.backward.get().is_none(),
            "{name}: reported before the backward pass"
        );
        let found = codes.clone().without_autodiff();
        let _ = (codes * grad_codes).sum().backward();
        let report = info.backward.get().unwrap_or_else(|| panic!("{name}: no report"));
        assert!(!report.device().is_autodiff(), "{name}");
        assert!(
            unused.backward.get().is_none(),
            "{name}: no gradient reached this layer"
        );
        let [x, weight, _, grad_codes] = layer.tensors(&device);
        let expected = sparse_code2d_vjp(x, weight, found, grad_codes, 1, options).solves;
        assert_eq!(values(report), values(expected), "{name}");
    }
}

/// A dictionary that overflows has no codes; zeros with a perfect certificate would be an answer.
#[test]
fn dictionaries_that_overflow_give_no_codes_on_the_cpu() {
    let layer = Layer::new([1, 2, 3, 3], [4, 1]);
    let options = options(Method::CoordinateDescent, 0.0, 1e-5, 50);
    let device = scn_ops::open(scn_ops::DeviceRequest::Cpu).expect("a CPU");
    let [x, weight, _, _] = layer.tensors(&device);
    let (codes, info) = sparse_code2d(x, weight * 1e20, tensor(&[0.0], [1], &device), 1, options);
    assert!(values(codes).iter().all(|code| code.is_nan()));
    assert!(split(info.solves).1.iter().all(|residual| residual.is_nan()));
}

#[test]
#[should_panic(expected = "options of a sparse-coding layer: tolerance[0] is -0.5: it must be at least 0")]
fn negative_tolerances_are_refused() {
    let layer = Layer::new([1, 2, 3, 3], [4, 1]);
    let device = scn_ops::open(scn_ops::DeviceRequest::Cpu).expect("a CPU");
    let [x, weight, _, _] = layer.tensors(&device);
    let options = options(Method::CoordinateDescent, 0.0, -0.5, 50);
    sparse_code2d(x, weight, tensor(&[0.0], [1], &device), 1, options);
}
