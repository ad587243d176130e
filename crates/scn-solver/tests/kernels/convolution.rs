//! The plain convolution and its gradients against their definition in f64.

use scn_solver::{ConvGeometry, Padding, Placement, SimdLevel, kernels};

use crate::assert_close;
use crate::common::{Noise, relative_error, to_f64};

const ACCURACY: f64 = 2e-5;

struct Case {
    geometry: ConvGeometry,
    x: Vec<f32>,
    weight: Vec<f32>,
    grad: Vec<f32>,
}

impl Case {
    fn random(x: [usize; 4], weight: [usize; 4], placement: impl Into<Placement>) -> Self {
        let geometry = ConvGeometry::new(x, weight, placement).unwrap();
        let mut noise = Noise::seeded(3);
        let mut uniform = |len: usize| noise.uniform(len, -1.0, 1.0);
        Self {
            geometry,
            x: uniform(x.iter().product()),
            weight: uniform(weight.iter().product()),
            grad: uniform(geometry.codes_shape().iter().product()),
        }
    }

    /// Every product of the convolution: places in x, weight and output.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let g = &self.geometry;
        let (k, pad) = (g.kernel, g.padding);
        for (output, _) in self.grad.iter().enumerate() {
            let (pixel, plane) = (output % g.pixels(), output / g.pixels());
            let (image, atom) = (plane / g.atoms, plane % g.atoms);
            let (row, column) = (pixel / g.output_width(), pixel % g.output_width());
            for i in 0..g.patch() {
                let (c, ky, kx) = (i / (k * k), i / k % k, i % k);
                let (y, x) = (row * g.stride + ky, column * g.stride + kx);
                if (pad..pad + g.height).contains(&y) && (pad..pad + g.width).contains(&x) {
                    let at = ((image * g.channels + c) * g.height + y - pad) * g.width + x - pad;
                    visit(at, atom * g.patch() + i, output);
                }
            }
        }
    }
}

/// Vectors that lie within rows and such that do not, partial tiles, every stride and kernel, channels and filters
/// that do not fill blocks.
fn cases() -> Vec<Case> {
    vec![
        Case::random([2, 3, 32, 32], [5, 3, 3, 3], 1),
        Case::random([1, 4, 7, 16], [16, 4, 3, 3], 1),
        Case::random([3, 4, 9, 6], [13, 4, 3, 3], 2),
        Case::random([2, 9, 32, 32], [8, 9, 3, 3], 2),
        Case::random([2, 3, 31, 33], [17, 3, 3, 3], 2),
        Case::random([2, 2, 10, 7], [5, 2, 5, 5], 3),
        Case::random([5, 6, 4, 4], [40, 6, 3, 3], 1),
        Case::random([2, 5, 8, 8], [3, 5, 1, 1], 1),
        Case::random([2, 5, 9, 8], [3, 5, 1, 1], 2),
        Case::random([1, 1, 96, 96], [1, 1, 3, 3], 1),
        Case::random([4, 3, 8, 8], [9, 3, 3, 3], 1),
        Case::random([3, 4, 16, 16], [5, 4, 3, 3], 2),
        Case::random([2, 2, 8, 2], [3, 2, 7, 7], 1),
        Case::random([2, 3, 24, 48], [4, 3, 5, 5], 3),
        Case::random([2, 3, 16, 16], [4, 3, 1, 1], 4),
        Case::random([70, 1, 1, 1], [2, 1, 3, 3], 1),
    ]
    .into_iter()
    .chain(cases_of_blocks())
    .collect()
}

/// Layers that are computed in blocks of 4×4 pixels, of which a batch must have 128: rows of whole vectors of them, of parts of one, several images in a
/// vector, sides that blocks do not fill, every padding, channels that do not fill blocks.
fn cases_of_blocks() -> Vec<Case> {
    let padded = |zeros| Placement {
        stride: 1,
        padding: Padding::Zeros(zeros),
        dilation: 1,
    };
    vec![
        Case::random([2, 16, 32, 32], [17, 16, 3, 3], 1),
        Case::random([4, 9, 8, 64], [8, 9, 3, 3], 1),
        Case::random([9, 8, 16, 16], [20, 8, 3, 3], 1),
        Case::random([35, 13, 8, 8], [9, 13, 3, 3], 1),
        Case::random([133, 8, 4, 4], [8, 8, 3, 3], 1),
        Case::random([23, 8, 7, 10], [11, 8, 3, 3], 1),
        Case::random([5, 8, 28, 14], [8, 8, 3, 3], 1),
        Case::random([129, 8, 3, 4], [8, 8, 3, 3], 1),
        Case::random([17, 8, 10, 18], [9, 8, 3, 3], padded(0)),
        Case::random([17, 9, 6, 14], [8, 9, 3, 3], padded(2)),
    ]
}

/// A single image has too few blocks, so that it is convolved directly: other roundings say that blocks were used.
#[test]
fn cases_of_blocks_are_computed_in_blocks() {
    for Case {
        geometry,
        x,
        weight,
        grad,
    } in cases_of_blocks()
    {
        let one = ConvGeometry { batch: 1, ..geometry };
        let (x_of_one, of_one) = (&x[..x.len() / geometry.batch], &grad[..grad.len() / geometry.batch]);
        for level in SimdLevel::available() {
            let output = kernels::convolution(&geometry, &x, &weight, level);
            let alone = kernels::convolution(&one, x_of_one, &weight, level);
            assert_ne!(output[..alone.len()], alone, "{geometry:?}");
            let grad_x = kernels::convolution_adjoint(&geometry, &grad, &weight, level);
            let alone = kernels::convolution_adjoint(&one, of_one, &weight, level);
            assert_ne!(grad_x[..alone.len()], alone, "{geometry:?}");
        }
    }
}

/// The error of blocks in norm is at most four times that of sums in f32, one product after the other.
#[test]
fn blocks_of_pixels_err_little_more_than_the_direct_product() {
    for [batch, channels, side, atoms] in [[8, 8, 16, 64], [2, 16, 32, 16], [32, 64, 8, 16], [32, 256, 8, 8]] {
        let case = Case::random([batch, channels, side, side], [atoms, channels, 3, 3], 1);
        let (mut exact, mut direct) = (vec![0.0f64; case.grad.len()], vec![0.0f32; case.grad.len()]);
        let (mut exact_x, mut direct_x) = (vec![0.0f64; case.x.len()], vec![0.0f32; case.x.len()]);
        let weights = case.weight.len();
        let (mut exact_weight, mut direct_weight) = (vec![0.0f64; weights], vec![0.0f32; weights]);
        case.for_each_product(|i, j, o| {
            exact[o] += f64::from(case.x[i]) * f64::from(case.weight[j]);
            direct[o] = case.x[i].mul_add(case.weight[j], direct[o]);
            exact_x[i] += f64::from(case.grad[o]) * f64::from(case.weight[j]);
            direct_x[i] = case.grad[o].mul_add(case.weight[j], direct_x[i]);
            exact_weight[j] += f64::from(case.grad[o]) * f64::from(case.x[i]);
            direct_weight[j] = case.grad[o].mul_add(case.x[i], direct_weight[j]);
        });
        let Case {
            geometry,
            x,
            weight,
            grad,
        } = &case;
        for level in SimdLevel::available() {
            let found = kernels::convolution(geometry, x, weight, level);
            let found_x = kernels::convolution_adjoint(geometry, grad, weight, level);
            let found_weight = kernels::convolution_weight_gradient(geometry, x, grad, level);
            for (what, found, direct, exact) in [
                ("output", &found, &direct, &exact),
                ("adjoint", &found_x, &direct_x, &exact_x),
                ("weight gradient", &found_weight, &direct_weight, &exact_weight),
            ] {
                let error = |values: &[f32]| relative_error(&to_f64(values), exact);
                let (found, direct) = (error(found), error(direct));
                assert!(
                    found <= 4.0 * direct,
                    "{what} at {} of {geometry:?}: error {found:e}, of the direct product {direct:e}",
                    level.name()
                );
            }
        }
    }
}

#[test]
fn the_output_and_both_gradients_are_those_of_the_definition() {
    for case in cases() {
        let Case {
            geometry,
            x,
            weight,
            grad,
        } = &case;
        let (mut output, mut grad_x, mut grad_weight) = (
            vec![0.0f64; grad.len()],
            vec![0.0f64; x.len()],
            vec![0.0f64; weight.len()],
        );
        case.for_each_product(|i, j, o| {
            let (x, weight, grad) = (f64::from(x[i]), f64::from(weight[j]), f64::from(grad[o]));
            output[o] += x * weight;
            grad_x[i] += grad * weight;
            grad_weight[j] += grad * x;
        });
        for level in SimdLevel::available() {
            let name = format!("{} {geometry:?}", level.name());
            assert_close(
                &name,
                &kernels::convolution(geometry, x, weight, level),
                &output,
                ACCURACY,
            );
            let found = kernels::convolution_adjoint(geometry, grad, weight, level);
            assert_close(&format!("{name} x"), &found, &grad_x, ACCURACY);
            let found = kernels::convolution_weight_gradient(geometry, x, grad, level);
            assert_close(&format!("{name} weight"), &found, &grad_weight, ACCURACY);
        }
    }
}

#[test]
fn empty_batches_have_empty_outputs_and_zero_gradients() {
    for level in SimdLevel::available() {
        let case = Case::random([0, 3, 8, 8], [4, 3, 3, 3], 1);
        assert!(kernels::convolution(&case.geometry, &case.x, &case.weight, level).is_empty());
        assert!(kernels::convolution_adjoint(&case.geometry, &case.grad, &case.weight, level).is_empty());
        let grad_weight = kernels::convolution_weight_gradient(&case.geometry, &case.x, &case.grad, level);
        assert_eq!(grad_weight, vec![0.0; 4 * 27]);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for channels in [5, 8] {
        check_threads(&Case::random([37, channels, 8, 8], [12, channels, 3, 3], 1));
    }
}

fn check_threads(case: &Case) {
    let level = SimdLevel::detect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let output = kernels::convolution(&case.geometry, &case.x, &case.weight, level);
            let grad_x = kernels::convolution_adjoint(&case.geometry, &case.grad, &case.weight, level);
            let grad_weight = kernels::convolution_weight_gradient(&case.geometry, &case.x, &case.grad, level);
            (output, grad_x, grad_weight)
        })
    };
    assert_eq!(run(1), run(5));
}
