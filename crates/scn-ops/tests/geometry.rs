//! Windows of any side, stride, padding and dilation on every device: convolutions against their definition in f64, sparse
//! codes against the float64 reference, and shapes that are refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};
use common::{assert_small, devices, largest_error, options, random, relative_error, tensor, values};
use scn_ops::{
    Normalization, Padding, Placement, Statistics, convolve2d, convolve2d_adjoint, normalized_sparse_code2d,
    sparse_code2d, sparse_code2d_vjp,
};
use scn_solver::{ConvGeometry, Method, reference};

/// A layer by numbers: `[b, c, h, w]`, `[n, k]`, stride, padding and dilation.
#[derive(Clone, Copy, Debug)]
struct Layer {
    x: [usize; 4],
    filters: [usize; 2],
    placement: [usize; 3],
}

impl Layer {
    const fn new(x: [usize; 4], filters: [usize; 2], placement: [usize; 3]) -> Self {
        Self { x, filters, placement }
    }

    fn placement(&self) -> Placement {
        let [stride, padding, dilation] = self.placement;
        Placement {
            stride,
            padding: Padding::Zeros(padding),
            dilation,
        }
    }

    fn weight(&self) -> [usize; 4] {
        let [atoms, kernel] = self.filters;
        [atoms, self.x[1], kernel, kernel]
    }

    /// Shape of the output, windows counted one by one.
    fn output(&self) -> [usize; 4] {
        let [stride, padding, dilation] = self.placement;
        let windows = |side: usize| {
            let ends = (0..).map(|window| window * stride + dilation * (self.filters[1] - 1));
            ends.take_while(|&end| end < side + 2 * padding).count()
        };
        [self.x[0], self.filters[0], windows(self.x[2]), windows(self.x[3])]
    }

    /// Every product of the convolution: flat places in the input, the weight and the output.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [stride, padding, dilation] = self.placement;
        let ([_, channels, height, width], [atoms, kernel]) = (self.x, self.filters);
        let [batch, _, rows, columns] = self.output();
        for output in 0..batch * atoms * rows * columns {
            let (column, row) = (output % columns, output / columns % rows);
            let (atom, image) = (output / columns / rows % atoms, output / columns / rows / atoms);
            for place in 0..channels * kernel * kernel {
                let (across, down, channel) = (place % kernel, place / kernel % kernel, place / kernel / kernel);
                let y = (row * stride + down * dilation).wrapping_sub(padding);
                let x = (column * stride + across * dilation).wrapping_sub(padding);
                if y < height && x < width {
                    let input = ((image * channels + channel) * height + y) * width + x;
                    visit(input, atom * channels * kernel * kernel + place, output);
                }
            }
        }
    }
}

/// Odd and even windows, strides 1 to 3, paddings from none to beyond the window, dilations that share a factor with the
/// stride and do not, images of one window, and an empty batch.
const LAYERS: [Layer; 17] = [
    Layer::new([2, 3, 8, 8], [5, 4], [2, 1, 1]),
    Layer::new([1, 2, 12, 9], [4, 6], [2, 0, 1]),
    Layer::new([2, 2, 4, 4], [3, 4], [1, 0, 1]),
    Layer::new([1, 3, 7, 6], [4, 3], [1, 2, 2]),
    Layer::new([1, 2, 5, 8], [3, 3], [1, 6, 6]),
    Layer::new([2, 2, 9, 7], [3, 2], [3, 1, 2]),
    Layer::new([1, 2, 8, 11], [3, 3], [2, 1, 2]),
    Layer::new([1, 1, 7, 7], [2, 3], [1, 0, 3]),
    Layer::new([2, 2, 3, 4], [3, 1], [1, 2, 1]),
    Layer::new([2, 2, 7, 5], [3, 1], [2, 0, 1]),
    Layer::new([1, 2, 5, 4], [2, 2], [3, 6, 1]),
    Layer::new([1, 2, 6, 8], [3, 7], [1, 3, 1]),
    Layer::new([1, 1, 11, 6], [2, 2], [4, 0, 1]),
    Layer::new([0, 2, 6, 6], [3, 4], [2, 1, 1]),
    Layer::new([2, 3, 9, 7], [5, 3], [1, 0, 1]),
    Layer::new([1, 2, 8, 11], [4, 5], [1, 0, 1]),
    Layer::new([2, 9, 10, 10], [11, 3], [1, 0, 1]),
];

/// A tensor of those values that wants a gradient.
fn tracked(values: &[f64], shape: [usize; 4], device: &Device) -> Tensor<4> {
    tensor(values, shape, device).require_grad()
}

#[test]
fn convolutions_and_their_gradients_are_those_of_the_definition() {
    for (seed, layer) in LAYERS.iter().enumerate() {
        let length = |shape: [usize; 4]| shape.iter().product();
        let x = random(10 * seed as u64, length(layer.x), 1.0);
        let weight = random(10 * seed as u64 + 1, length(layer.weight()), 1.0);
        let grad = random(10 * seed as u64 + 2, length(layer.output()), 1.0);
        let (mut output, mut grad_x) = (vec![0.0; grad.len()], vec![0.0; x.len()]);
        let mut grad_weight = vec![0.0; weight.len()];
        layer.for_each_product(|i, j, o| {
            output[o] += x[i] * weight[j];
            grad_x[i] += grad[o] * weight[j];
            grad_weight[j] += grad[o] * x[i];
        });
        for (name, device) in devices() {
            let device = device.autodiff();
            let check = |what: &str, found: Vec<f64>, expected: &[f64]| {
                let what = format!("{layer:?} on {name}: {what}");
                assert_small(&what, largest_error(&found, expected), 3e-6);
            };
            let (x_tensor, weight_tensor) = (tracked(&x, layer.x, &device), tracked(&weight, layer.weight(), &device));
            let found = convolve2d(x_tensor.clone(), weight_tensor.clone(), layer.placement());
            assert_eq!(found.dims(), layer.output());
            check("output", values(found.clone().without_autodiff()), &output);
            let gradients = (found * tensor::<4>(&grad, layer.output(), &device)).sum().backward();
            check("gradient of x", values(x_tensor.grad(&gradients).unwrap()), &grad_x);
            check(
                "gradient of the weight",
                values(weight_tensor.grad(&gradients).unwrap()),
                &grad_weight,
            );

            // The adjoint with the roles of x and of the gradient of the output exchanged.
            let (codes, weight_tensor) = (
                tracked(&grad, layer.output(), &device),
                tracked(&weight, layer.weight(), &device),
            );
            let sides = [layer.x[2], layer.x[3]];
            let found = convolve2d_adjoint(codes.clone(), weight_tensor.clone(), layer.placement(), sides);
            assert_eq!(found.dims(), layer.x);
            check("adjoint", values(found.clone().without_autodiff()), &grad_x);
            let gradients = (found * tensor::<4>(&x, layer.x, &device)).sum().backward();
            check(
                "gradient of the codes",
                values(codes.grad(&gradients).unwrap()),
                &output,
            );
            let found = values(weight_tensor.grad(&gradients).unwrap());
            check("gradient of the adjoint's weight", found, &grad_weight);
        }
    }
}

#[test]
fn codes_and_gradients_are_those_of_the_reference() {
    const LAMBDA2: f64 = 0.1;
    for (seed, layer) in LAYERS.iter().enumerate() {
        let geometry = ConvGeometry::new(layer.x, layer.weight(), layer.placement()).unwrap();
        let length = |shape: [usize; 4]| shape.iter().product();
        let scale = 1.0 / (geometry.patch() as f64).sqrt();
        let x = random(20 * seed as u64, length(layer.x), 1.0);
        let weight = random(20 * seed as u64 + 1, length(layer.weight()), scale);
        let lambda1: Vec<f64> = random(20 * seed as u64 + 2, geometry.atoms, 0.1);
        let lambda1: Vec<f64> = lambda1.into_iter().map(f64::abs).collect();
        let grad_codes = random(20 * seed as u64 + 3, length(layer.output()), 1.0);
        let exact = options(Method::CoordinateDescent, LAMBDA2, 1e-12, 100_000);
        let codes = reference::forward(&geometry, &x, &weight, &lambda1, &exact)
            .unwrap()
            .codes;
        let expected = reference::backward(&geometry, &x, &weight, &codes, &grad_codes, &exact).unwrap();
        assert!(layer.x[0] == 0 || codes.iter().any(|&code| code > 0.0));
        for (name, device) in devices() {
            let inputs = || {
                (
                    tensor::<4>(&x, layer.x, &device),
                    tensor::<4>(&weight, layer.weight(), &device),
                )
            };
            for method in Method::ALL {
                let solver = options(method, LAMBDA2, 3e-7, 2000);
                let (x, weight) = inputs();
                let lambda1 = tensor::<1>(&lambda1, [geometry.atoms], &device);
                let (found, info) = sparse_code2d(x, weight, lambda1, layer.placement(), solver);
                assert_eq!(found.dims(), layer.output());
                assert_eq!(info.solves.dims()[2..], layer.output()[2..]);
                let what = format!("{layer:?} on {name}: codes by {}", method.name());
                assert_small(&what, largest_error(&values(found), &codes), 3e-5);
            }
            let (x, weight) = inputs();
            let found = sparse_code2d_vjp(
                x,
                weight,
                tensor(&codes, layer.output(), &device),
                tensor(&grad_codes, layer.output(), &device),
                layer.placement(),
                options(Method::CoordinateDescent, LAMBDA2, 3e-7, 2000),
            );
            for (part, found, expected) in [
                ("x", values(found.x), &expected.x),
                ("weight", values(found.weight), &expected.weight),
                ("lambda1", values(found.lambda1), &expected.lambda1),
                ("lambda2", values(found.lambda2), &vec![expected.lambda2]),
            ] {
                let what = format!("{layer:?} on {name}: gradient of {part}");
                assert_small(&what, relative_error(&found, expected), 2e-4);
            }
        }
    }
}

/// A normalisation comes before the padding: zeros around the image stay zeros.
#[test]
fn padding_is_not_normalised() {
    let solver = options(Method::CoordinateDescent, 0.1, 3e-7, 2000);
    for layer in [LAYERS[0], LAYERS[3], LAYERS[8]] {
        let x = random(5, layer.x.iter().product(), 1.0);
        let weight = random(6, layer.weight().iter().product(), 0.3);
        let (mean, variance) = (random(7, layer.x[1], 1.0), vec![0.5; layer.x[1]]);
        let pixels = layer.x[2] * layer.x[3];
        let normalized: Vec<f64> = (0..x.len())
            .map(|i| (x[i] - mean[i / pixels % layer.x[1]]) / 0.5f64.sqrt())
            .collect();
        let geometry = ConvGeometry::new(layer.x, layer.weight(), layer.placement()).unwrap();
        let exact = options(Method::CoordinateDescent, 0.1, 1e-12, 100_000);
        let lambda1 = vec![f64::from(0.05f32); geometry.atoms];
        let expected = reference::forward(&geometry, &normalized, &weight, &lambda1, &exact)
            .unwrap()
            .codes;
        for (name, device) in devices() {
            let normalization = Normalization {
                mean: tensor(&mean, [mean.len()], &device),
                variance: tensor(&variance, [variance.len()], &device),
                epsilon: 0.0,
                statistics: Statistics::Given,
            };
            let (found, _) = normalized_sparse_code2d(
                tensor(&x, layer.x, &device),
                normalization,
                tensor(&weight, layer.weight(), &device),
                tensor(&[0.05], [1], &device),
                layer.placement(),
                solver,
            );
            let what = format!("{layer:?} on {name}");
            assert_small(&what, largest_error(&values(found), &expected), 5e-5);
        }
    }
}

/// A number for a placement is a stride with the same padding.
#[test]
fn a_stride_alone_pads_by_half_the_window() {
    for (name, device) in devices() {
        let x: Tensor<4> = tensor(&random(1, 2 * 2 * 7 * 6, 1.0), [2, 2, 7, 6], &device);
        let weight: Tensor<4> = tensor(&random(2, 3 * 2 * 25, 1.0), [3, 2, 5, 5], &device);
        for stride in [1, 2, 3] {
            let placement = Placement {
                stride,
                padding: Padding::Zeros(2),
                dilation: 1,
            };
            let expected = values(convolve2d(x.clone(), weight.clone(), placement));
            assert_eq!(
                values(convolve2d(x.clone(), weight.clone(), stride)),
                expected,
                "{name}"
            );
        }
    }
}

/// What a panic says.
fn message<T>(run: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).err().expect("a panic");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast_ref::<&str>().expect("a message").to_string(),
    }
}

#[test]
fn operations_refuse_windows_that_do_not_fit() {
    let device = devices().remove(0).1;
    let x = || Tensor::<4>::zeros([1, 2, 5, 4], &device);
    let weight = || Tensor::<4>::zeros([3, 2, 3, 3], &device);
    let placement = Placement {
        stride: 1,
        padding: Padding::Zeros(1),
        dilation: 6,
    };
    let expected = "the window spans 13 rows and columns, more than the image has with its padding";
    let solver = options(Method::CoordinateDescent, 0.1, 1e-4, 50);
    let lambda1 = || Tensor::<1>::zeros([1], &device);
    let found = [
        message(|| convolve2d(x(), weight(), placement)),
        message(|| convolve2d_adjoint(x(), weight(), placement, [5, 4])),
        message(|| sparse_code2d(x(), weight(), lambda1(), placement, solver)),
    ];
    for found in found {
        assert!(found.contains(expected), "{found}");
    }
    let codes = Tensor::<4>::zeros([1, 3, 3, 2], &device);
    let found = message(|| convolve2d_adjoint(codes, weight(), 2, [7, 4]));
    assert!(found.contains("shape of codes"), "{found}");
}
