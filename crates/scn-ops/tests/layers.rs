//! Layers of odd shapes and degenerate data on every device, against the float64 reference of the solver crate and
//! against what the definition demands.

mod common;

use burn::tensor::{Device, Tensor};
use common::{assert_small, devices, largest_error, options, random, relative_error, tensor, values};
use scn_ops::{SolverInfo, sparse_code2d, sparse_code2d_vjp};
use scn_solver::{ConvGeometry, Method, reference};

const TOLERANCE: f64 = 3e-7;
const CAP: usize = 2000;
const LAMBDA2: f64 = 0.1;

/// `[b, c, h, w]`, `[n, k]`, stride.
type Sizes = ([usize; 4], [usize; 2], usize);

/// Non-square and odd images, strides 1 to 3, windows 1 to 5, more atoms than inputs, one atom, and numbers of atoms
/// and pixels off every multiple of 8.
const SIZES: [Sizes; 9] = [
    ([2, 3, 7, 5], [11, 3], 1),
    ([1, 2, 8, 9], [9, 3], 2),
    ([2, 3, 9, 8], [13, 3], 3),
    ([1, 1, 5, 6], [1, 3], 1),
    ([1, 2, 6, 7], [5, 5], 2),
    ([2, 7, 4, 3], [4, 1], 1),
    ([1, 5, 7, 4], [3, 1], 3),
    ([1, 1, 4, 5], [17, 3], 1),
    ([3, 2, 1, 1], [6, 3], 1),
];

fn geometry((x, [atoms, kernel], stride): Sizes) -> ConvGeometry {
    ConvGeometry::new(x, [atoms, x[1], kernel, kernel], stride).expect("a layer")
}

/// `x`, `weight` with atoms of norm about 1, and λ₁ per atom.
fn problem(geometry: &ConvGeometry, seed: u64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let x = random(
        seed,
        geometry.batch * geometry.channels * geometry.height * geometry.width,
        1.0,
    );
    let weight = random(
        seed + 1,
        geometry.atoms * geometry.patch(),
        1.0 / (geometry.patch() as f64).sqrt(),
    );
    let lambda1 = random(seed + 2, geometry.atoms, 0.1)
        .into_iter()
        .map(f64::abs)
        .collect();
    (x, weight, lambda1)
}

fn shapes(geometry: &ConvGeometry) -> ([usize; 4], [usize; 4]) {
    let ConvGeometry {
        batch,
        channels,
        height,
        width,
        atoms,
        kernel,
        ..
    } = *geometry;
    ([batch, channels, height, width], [atoms, channels, kernel, kernel])
}

/// Iterations and residuals of all pixels.
fn solves(info: &SolverInfo) -> (Vec<f64>, Vec<f64>) {
    (
        values(info.solves.clone().narrow(1, 0, 1)),
        values(info.solves.clone().narrow(1, 1, 1)),
    )
}

fn code(
    device: &Device,
    geometry: &ConvGeometry,
    (x, weight, lambda1): (&[f64], &[f64], &[f64]),
    method: Method,
) -> (Tensor<4>, SolverInfo) {
    let (x_shape, weight_shape) = shapes(geometry);
    let x = tensor(x, x_shape, device);
    let weight = tensor(weight, weight_shape, device);
    let lambda1 = tensor(lambda1, [lambda1.len()], device);
    sparse_code2d(
        x,
        weight,
        lambda1,
        geometry.stride,
        options(method, LAMBDA2, TOLERANCE, CAP),
    )
}

#[test]
fn every_shape_agrees_with_the_reference() {
    for (seed, sizes) in SIZES.into_iter().enumerate() {
        let geometry = geometry(sizes);
        let (x, weight, lambda1) = problem(&geometry, 10 * seed as u64);
        let exact = options(Method::CoordinateDescent, LAMBDA2, 1e-12, 100_000);
        let solution = reference::forward(&geometry, &x, &weight, &lambda1, &exact).expect("a solution");
        let grad_codes = random(1000 + seed as u64, solution.codes.len(), 1.0);
        let gradients =
            reference::backward(&geometry, &x, &weight, &solution.codes, &grad_codes, &exact).expect("gradients");
        for (name, device) in devices() {
            for method in Method::ALL {
                let what = format!("{sizes:?} on {name}, {}", method.name());
                let (codes, info) = code(&device, &geometry, (&x, &weight, &lambda1), method);
                assert_eq!(codes.dims(), geometry.codes_shape(), "{what}");
                assert_small(&what, largest_error(&values(codes.clone()), &solution.codes), 3e-5);
                let (iterations, residuals) = solves(&info);
                assert!(
                    iterations.iter().all(|&count| count < CAP as f64),
                    "{what}: {iterations:?}"
                );
                assert!(
                    residuals.iter().all(|&residual| residual < 1e-5),
                    "{what}: {residuals:?}"
                );
                let active: f64 = values(info.active).iter().sum();
                let positive = values(codes).iter().filter(|&&code| code > 0.0).count();
                assert_eq!(active, positive as f64, "{what}: active counts");
            }
            let (x_shape, weight_shape) = shapes(&geometry);
            let found = sparse_code2d_vjp(
                tensor(&x, x_shape, &device),
                tensor(&weight, weight_shape, &device),
                tensor(&solution.codes, geometry.codes_shape(), &device),
                tensor(&grad_codes, geometry.codes_shape(), &device),
                geometry.stride,
                options(Method::CoordinateDescent, LAMBDA2, TOLERANCE, CAP),
            );
            assert_eq!(found.x.dims(), x_shape);
            for (part, found, exact) in [
                ("x", values(found.x), &gradients.x),
                ("weight", values(found.weight), &gradients.weight),
                ("lambda1", values(found.lambda1), &gradients.lambda1),
                ("lambda2", values(found.lambda2), &vec![gradients.lambda2]),
            ] {
                let what = format!("{sizes:?} on {name}: gradient of {part}");
                assert_small(&what, relative_error(&found, exact), 2e-4);
            }
        }
    }
}

#[test]
fn one_lambda1_serves_all_atoms() {
    let geometry = geometry(SIZES[0]);
    let (x, weight, _) = problem(&geometry, 3);
    for (name, device) in devices() {
        let one = code(&device, &geometry, (&x, &weight, &[0.1]), Method::CoordinateDescent).0;
        let all = code(&device, &geometry, (&x, &weight, &[0.1; 11]), Method::CoordinateDescent).0;
        assert_eq!(values(one), values(all), "{name}");
    }
}

#[test]
fn zero_atoms_keep_the_code_zero() {
    let geometry = geometry(SIZES[0]);
    let (x, mut weight, lambda1) = problem(&geometry, 4);
    let silent = 5;
    weight[silent * geometry.patch()..(silent + 1) * geometry.patch()].fill(0.0);
    for (name, device) in devices() {
        let (x_shape, weight_shape) = shapes(&geometry);
        for method in Method::ALL {
            for weight in [weight.clone(), vec![0.0; weight.len()]] {
                let (codes, info) = sparse_code2d(
                    tensor(&x, x_shape, &device),
                    tensor(&weight, weight_shape, &device),
                    tensor(&lambda1, [geometry.atoms], &device),
                    geometry.stride,
                    options(method, 0.0, TOLERANCE, CAP),
                );
                let codes_of_silent = values(codes.narrow(1, silent, 1));
                assert!(
                    codes_of_silent.iter().all(|&code| code == 0.0),
                    "{name}: {codes_of_silent:?}"
                );
                let (_, residuals) = solves(&info);
                assert!(
                    residuals.iter().all(|&residual| residual < 1e-5),
                    "{name}: {residuals:?}"
                );
            }
        }
    }
}

#[test]
fn zero_input_is_solved_by_zero_codes_at_once() {
    let geometry = geometry(SIZES[1]);
    let (x, weight, lambda1) = problem(&geometry, 5);
    let x = vec![0.0; x.len()];
    for (name, device) in devices() {
        for method in Method::ALL {
            for lambda1 in [lambda1.as_slice(), &[0.0]] {
                let (codes, info) = code(&device, &geometry, (&x, &weight, lambda1), method);
                assert!(values(codes).iter().all(|&code| code == 0.0), "{name}");
                let (iterations, residuals) = solves(&info);
                assert!(iterations.iter().all(|&count| count <= 1.0), "{name}: {iterations:?}");
                assert!(
                    residuals.iter().all(|&residual| residual == 0.0),
                    "{name}: {residuals:?}"
                );
            }
        }
    }
}

#[test]
fn the_cap_is_kept_and_reported() {
    let geometry = geometry(SIZES[0]);
    let (x, weight, lambda1) = problem(&geometry, 6);
    let (x_shape, weight_shape) = shapes(&geometry);
    for (name, device) in devices() {
        for method in Method::ALL {
            for cap in [0, 2] {
                let (_, info) = sparse_code2d(
                    tensor(&x, x_shape, &device),
                    tensor(&weight, weight_shape, &device),
                    tensor(&lambda1, [geometry.atoms], &device),
                    geometry.stride,
                    options(method, LAMBDA2, 1e-12, cap),
                );
                let (iterations, residuals) = solves(&info);
                for (count, residual) in iterations.into_iter().zip(residuals) {
                    // Zero codes that are optimal are known to be so without an iteration.
                    let expected = if cap == 0 {
                        residual == f64::INFINITY
                    } else {
                        (1e-12..=1.0).contains(&residual)
                    };
                    assert!(
                        residual == 0.0 || expected,
                        "{name}: residual {residual} after {cap} iterations"
                    );
                    assert!(
                        count == cap as f64 || residual == 0.0,
                        "{name}: {count} iterations of {cap}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_images_give_empty_tensors() {
    let geometry = geometry(([0, 3, 7, 5], [11, 3], 2));
    let (x, weight, lambda1) = problem(&geometry, 7);
    let (x_shape, weight_shape) = shapes(&geometry);
    for (name, device) in devices() {
        for method in Method::ALL {
            let (codes, info) = code(&device, &geometry, (&x, &weight, &lambda1), method);
            assert_eq!(codes.dims(), [0, 11, 4, 3], "{name}");
            assert_eq!(info.solves.dims(), [0, 2, 4, 3], "{name}");
            assert_eq!(info.active.dims(), [0, 11], "{name}");
            let gradients = sparse_code2d_vjp(
                tensor(&x, x_shape, &device),
                tensor(&weight, weight_shape, &device),
                codes.clone(),
                codes,
                geometry.stride,
                options(method, LAMBDA2, TOLERANCE, CAP),
            );
            assert_eq!(gradients.x.dims(), x_shape, "{name}");
            assert!(values(gradients.weight).iter().all(|&value| value == 0.0), "{name}");
            assert_eq!(values(gradients.lambda1), vec![0.0; 11], "{name}");
            assert_eq!(values(gradients.lambda2), vec![0.0], "{name}");
        }
    }
}

#[test]
fn nan_and_infinity_break_only_the_pixels_that_see_them() {
    let geometry = geometry(([2, 3, 7, 5], [11, 3], 1));
    let (x, weight, lambda1) = problem(&geometry, 8);
    // The middle pixel (row 3, column 2) of the second image's first channel.
    let spoilt = (3 * 7 + 3) * 5 + 2;
    let sees = |pixel: usize| pixel / 35 == 1 && (pixel % 35 / 5).abs_diff(3) <= 1 && (pixel % 5).abs_diff(2) <= 1;
    for (name, device) in devices() {
        for method in Method::ALL {
            let (whole, _) = code(&device, &geometry, (&x, &weight, &lambda1), method);
            let whole = values(whole);
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let what = format!("{value} on {name}, {}", method.name());
                let mut x = x.clone();
                x[spoilt] = value;
                let (codes, info) = code(&device, &geometry, (&x, &weight, &lambda1), method);
                for (i, (code, whole)) in values(codes).into_iter().zip(&whole).enumerate() {
                    let pixel = i / (11 * 35) * 35 + i % 35;
                    assert_eq!(code.is_nan(), sees(pixel), "{what}: code {i}");
                    assert!(
                        sees(pixel) || (code - whole).abs() < 1e-4,
                        "{what}: {code} is not {whole}"
                    );
                }
                let (iterations, residuals) = solves(&info);
                for pixel in 0..70 {
                    assert_eq!(
                        residuals[pixel].is_nan(),
                        sees(pixel),
                        "{what}: residual of pixel {pixel}"
                    );
                    assert!(
                        !sees(pixel) || iterations[pixel] == 0.0,
                        "{what}: iterations of pixel {pixel}"
                    );
                }
            }
        }
    }
}

#[test]
fn codes_and_gradients_of_a_scaled_problem_are_the_scaled_ones() {
    let geometry = geometry(([2, 3, 7, 5], [11, 3], 1));
    let (x, weight, lambda1) = problem(&geometry, 8);
    let (x_shape, weight_shape) = shapes(&geometry);
    let grad_codes = random(9, 2 * 11 * 35, 1.0);
    let scaled = |values: &[f64], factor: f64| -> Vec<f64> { values.iter().map(|value| value * factor).collect() };
    for (name, device) in devices() {
        for method in Method::ALL {
            let solve = |factor: f64| {
                let (x, lambda1) = (scaled(&x, factor), scaled(&lambda1, factor));
                let (codes, info) = code(&device, &geometry, (&x, &weight, &lambda1), method);
                let gradients = sparse_code2d_vjp(
                    tensor(&x, x_shape, &device),
                    tensor(&weight, weight_shape, &device),
                    codes.clone(),
                    tensor(&scaled(&grad_codes, factor), geometry.codes_shape(), &device),
                    geometry.stride,
                    options(method, LAMBDA2, TOLERANCE, CAP),
                );
                let [codes, gradient] = [codes, gradients.x].map(|found| scaled(&values(found), 1.0 / factor));
                (codes, gradient, solves(&info))
            };
            let (codes, gradient, (iterations, _)) = solve(1.0);
            for factor in [1e-25, 1e-15, 1e10, 1e20] {
                let found = solve(factor);
                let what = format!("{factor:e} on {name}, {}", method.name());
                assert_small(&format!("codes, {what}"), relative_error(&found.0, &codes), 1e-4);
                assert_small(&format!("gradient, {what}"), relative_error(&found.1, &gradient), 1e-3);
                let (spent, residuals) = found.2;
                assert!(residuals.iter().all(|&residual| residual <= TOLERANCE), "{what}");
                // Inputs are rounded, so that a tile may take one more or less.
                for (spent, iterations) in spent.iter().zip(&iterations) {
                    assert!(
                        (spent - iterations).abs() <= 0.1 * iterations + 1.0,
                        "{what}: {spent} {iterations}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_negative_lambda_gives_no_codes() {
    let geometry = geometry(([2, 3, 7, 5], [11, 3], 1));
    let (x, weight, mut lambda1) = problem(&geometry, 8);
    lambda1[4] = -1e-3;
    for (name, device) in devices() {
        for method in Method::ALL {
            let (codes, info) = code(&device, &geometry, (&x, &weight, &lambda1), method);
            let (iterations, residuals) = solves(&info);
            let what = format!("on {name}, {}", method.name());
            assert!(values(codes).iter().all(|code| code.is_nan()), "codes {what}");
            assert!(
                iterations.iter().all(|&iterations| iterations == 0.0),
                "iterations {what}"
            );
            assert!(residuals.iter().all(|residual| residual.is_nan()), "residuals {what}");
        }
    }
}

#[test]
fn gradients_that_are_not_finite_stay_visible() {
    let geometry = geometry(SIZES[0]);
    let (x, weight, lambda1) = problem(&geometry, 9);
    let (x_shape, weight_shape) = shapes(&geometry);
    for (name, device) in devices() {
        let (codes, _) = code(&device, &geometry, (&x, &weight, &lambda1), Method::CoordinateDescent);
        let gradients = sparse_code2d_vjp(
            tensor(&x, x_shape, &device),
            tensor(&weight, weight_shape, &device),
            codes.clone(),
            codes.full_like(f64::NAN),
            geometry.stride,
            options(Method::CoordinateDescent, LAMBDA2, TOLERANCE, CAP),
        );
        assert!(values(gradients.lambda2)[0].is_nan(), "{name}");
    }
}

/// Mesa's software adapter leaves every loop of an invocation after 65,535 trips, in silence: neither more pixels nor
/// more sweeps than that may change a result.
#[test]
fn sums_over_many_pixels_are_whole() {
    let geometry = geometry(([1, 1, 260, 255], [2, 1], 1));
    let (x, weight, lambda1) = problem(&geometry, 11);
    let (x_shape, weight_shape) = shapes(&geometry);
    let grad_codes = random(12, 2 * geometry.pixels(), 1.0);
    let exact = options(Method::CoordinateDescent, LAMBDA2, 1e-12, 1000);
    let codes = reference::forward(&geometry, &x, &weight, &lambda1, &exact)
        .expect("a solution")
        .codes;
    let gradients = reference::backward(&geometry, &x, &weight, &codes, &grad_codes, &exact).expect("gradients");
    for (name, device) in devices() {
        let found = sparse_code2d_vjp(
            tensor(&x, x_shape, &device),
            tensor(&weight, weight_shape, &device),
            tensor(&codes, geometry.codes_shape(), &device),
            tensor(&grad_codes, geometry.codes_shape(), &device),
            geometry.stride,
            options(Method::CoordinateDescent, LAMBDA2, TOLERANCE, CAP),
        );
        assert_small(
            &format!("weight on {name}"),
            relative_error(&values(found.weight), &gradients.weight),
            1e-3,
        );
        assert_small(
            &format!("lambda1 on {name}"),
            relative_error(&values(found.lambda1), &gradients.lambda1),
            1e-3,
        );
    }
}
