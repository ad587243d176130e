//! The sparse-coding layer against the reference solvers in f64.

use scn_solver::{Method, SimdLevel, reference};

use crate::assert_near;
use crate::common::to_f64;
use crate::layer::Layer;

/// Shapes that leave partial tiles, tiles over several images, partial blocks of atoms, and one of each special size.
fn layers() -> Vec<Layer> {
    vec![
        Layer::random([2, 3, 7, 10], [16, 3, 3, 3], 1, 0.0),
        Layer::random([3, 4, 9, 6], [13, 4, 3, 3], 2, 0.01),
        Layer::random([1, 2, 11, 8], [7, 2, 5, 5], 1, 0.0),
        Layer::random([2, 2, 10, 7], [5, 2, 3, 3], 3, 0.0),
        Layer::random([70, 3, 2, 2], [8, 3, 3, 3], 1, 0.0),
        Layer::random([37, 5, 1, 1], [9, 5, 1, 1], 1, 0.05),
        Layer::random([1, 6, 8, 8], [24, 6, 1, 1], 1, 0.1),
        Layer::random([2, 1, 5, 9], [1, 1, 3, 3], 1, 0.0),
        Layer::random([1, 8, 12, 12], [96, 8, 3, 3], 1, 0.02),
        Layer::random([1, 1, 40, 50], [17, 1, 3, 3], 1, 0.1),
        // Rows of whole vectors, which are read where they lie.
        Layer::random([2, 3, 16, 16], [16, 3, 3, 3], 1, 0.05),
        Layer::random([1, 2, 5, 48], [9, 2, 3, 3], 1, 0.05),
        Layer::random([2, 3, 32, 32], [12, 3, 3, 3], 2, 0.05),
        Layer::random([1, 2, 9, 32], [6, 2, 5, 5], 1, 0.1),
        // Images of whole vectors in rows that are not.
        Layer::random([3, 3, 8, 8], [10, 3, 3, 3], 1, 0.05),
        Layer::random([2, 3, 16, 24], [9, 3, 3, 3], 2, 0.05),
        Layer::random([2, 2, 4, 4], [7, 2, 5, 5], 1, 0.1),
        Layer::random([1, 2, 24, 24], [6, 2, 5, 5], 3, 0.1),
        // Blocks of pixels: whole vectors of them, several images in one, and input gradients of sides that they do not fill.
        Layer::random([33, 8, 8, 8], [16, 8, 3, 3], 1, 0.0),
        Layer::random([2, 9, 32, 32], [11, 9, 3, 3], 1, 0.05),
        Layer::random([9, 10, 12, 20], [9, 10, 3, 3], 1, 0.05),
        Layer::random([131, 8, 4, 4], [24, 8, 3, 3], 1, 0.05),
        Layer::random([22, 8, 7, 10], [17, 8, 3, 3], 1, 0.05),
        // More active atoms than are factorised.
        Layer::random([1, 52, 3, 4], [440, 52, 3, 3], 1, 0.05),
    ]
}

#[test]
fn codes_and_certificates_match_the_reference() {
    for layer in layers() {
        let mut exact = layer.options;
        exact.forward.tolerance = 1e-11;
        let expected = reference::forward(
            &layer.geometry,
            &to_f64(&layer.x),
            &to_f64(&layer.weight),
            &to_f64(&layer.lambda1),
            &exact,
        )
        .unwrap();
        for level in SimdLevel::available() {
            for method in Method::ALL {
                let mut layer = layer.clone();
                layer.options.forward.method = method;
                let name = format!("{} {} {:?}", level.name(), method.name(), layer.geometry);
                let solution = layer.forward(level);
                assert_near(&name, &solution.codes, &expected.codes, 2e-5);
                let pixels = layer.geometry.pixels();
                for (image, solves) in solution.solves.chunks(2 * pixels).enumerate() {
                    let (iterations, residuals) = solves.split_at(pixels);
                    assert!(
                        iterations.iter().all(|&i| (1.0..=5000.0).contains(&i)),
                        "{name} image {image}"
                    );
                    assert!(
                        residuals
                            .iter()
                            .zip(iterations)
                            .all(|(&r, &i)| r <= 2e-7 || i == 5000.0),
                        "{name} image {image}"
                    );
                }
                let counted: f32 = solution.active.iter().sum();
                let positive = solution.codes.iter().filter(|&&code| code > 0.0).count();
                assert_eq!(counted, positive as f32, "{name}");
                assert!(solution.codes.iter().all(|&code| code >= 0.0), "{name}");
            }
        }
    }
}

#[test]
fn gradients_match_the_reference() {
    for layer in layers() {
        for level in SimdLevel::available() {
            let name = format!("{} {:?}", level.name(), layer.geometry);
            let codes = layer.forward(level).codes;
            if layer.geometry.atoms == 440 {
                let active = |pixel: usize| codes.iter().skip(pixel).step_by(12).filter(|&&code| code > 0.0).count();
                assert!(
                    (0..12).any(|pixel| active(pixel) > 160),
                    "{name}: all pixels are factorised"
                );
            }
            let mut exact = layer.options;
            exact.backward.tolerance = 1e-11;
            let expected = reference::backward(
                &layer.geometry,
                &to_f64(&layer.x),
                &to_f64(&layer.weight),
                &to_f64(&codes),
                &to_f64(&layer.grad_codes),
                &exact,
            )
            .unwrap();
            let gradients = layer.backward(&codes, level);
            assert_near(&format!("{name} x"), &gradients.x.unwrap(), &expected.x, 2e-4);
            assert_near(&format!("{name} weight"), &gradients.weight, &expected.weight, 2e-4);
            assert_near(&format!("{name} lambda1"), &gradients.lambda1, &expected.lambda1, 2e-4);
            assert_near(
                &format!("{name} lambda2"),
                &[gradients.lambda2],
                &[expected.lambda2],
                2e-4,
            );
        }
    }
}

#[test]
fn singular_systems_are_solved_where_they_can_be() {
    for level in SimdLevel::available() {
        let mut layer = Layer::random([2, 2, 6, 6], [9, 2, 3, 3], 1, 0.0);
        // Atoms 3 and 5 are the same and both active, with the same gradient: of all γ that solve the system the sweeps
        // from 0 find the reference's.
        layer.weight.copy_within(3 * 18..4 * 18, 5 * 18);
        layer.lambda1[5] = layer.lambda1[3];
        let mut codes = layer.forward(level).codes;
        for image in 0..2 {
            for pixel in 0..36 {
                let [third, fifth] = [3, 5].map(|j| (image * 9 + j) * 36 + pixel);
                codes[third] = 0.5;
                codes[fifth] = 0.5;
                layer.grad_codes[fifth] = layer.grad_codes[third];
            }
        }
        let expected = reference::backward(
            &layer.geometry,
            &to_f64(&layer.x),
            &to_f64(&layer.weight),
            &to_f64(&codes),
            &to_f64(&layer.grad_codes),
            &layer.options,
        )
        .unwrap();
        let gradients = layer.backward(&codes, level);
        let name = level.name();
        assert_near(&format!("{name} x"), &gradients.x.unwrap(), &expected.x, 2e-4);
        assert_near(&format!("{name} weight"), &gradients.weight, &expected.weight, 2e-4);
        assert_near(&format!("{name} lambda1"), &gradients.lambda1, &expected.lambda1, 2e-4);
    }
}

#[test]
fn the_cap_is_kept_and_the_residual_then_reported_is_the_true_one() {
    for level in SimdLevel::available() {
        for method in Method::ALL {
            let mut layer = Layer::random([2, 4, 6, 6], [24, 4, 3, 3], 1, 0.0);
            layer.options.forward.method = method;
            layer.options.forward.max_iterations = 3;
            let solution = layer.forward(level);
            let (n, m, pixels) = (24, 36, 36);
            let (weight, q) = (to_f64(&layer.weight), |j: usize, k: usize, w: &[f64]| -> f64 {
                (0..m).map(|i| w[j * m + i] * w[k * m + i]).sum()
            });
            // λ_max(Q) by a long power iteration.
            let gram: Vec<f64> = (0..n * n).map(|i| q(i / n, i % n, &weight)).collect();
            let product = |v: &[f64]| -> Vec<f64> {
                gram.chunks(n)
                    .map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
                    .collect()
            };
            let mut v = vec![1.0; n];
            let mut lipschitz = 0.0;
            for _ in 0..5000 {
                v = product(&v);
                lipschitz = v.iter().map(|v| v * v).sum::<f64>().sqrt();
                v.iter_mut().for_each(|v| *v /= lipschitz);
            }
            // The patch of pixel (2, 3) of image 1.
            let patch: Vec<f64> = (0..m)
                .map(|i| layer.x[144 + i / 9 * 36 + (2 + i / 3 % 3 - 1) * 6 + 3 + i % 3 - 1].into())
                .collect();
            let at = 2 * 6 + 3;
            let codes: Vec<f64> = (0..n).map(|j| solution.codes[(n + j) * pixels + at].into()).collect();
            let gradient = product(&codes);
            let (mut change, mut norm) = (0.0, 0.0);
            for j in 0..n {
                let b = (0..m).map(|i| weight[j * m + i] * patch[i]).sum::<f64>() - f64::from(layer.lambda1[j]);
                let moved = (codes[j] - (gradient[j] - b) / lipschitz).max(0.0);
                change += (codes[j] - moved).powi(2);
                norm += codes[j].powi(2);
            }
            let expected = (change / norm).sqrt();
            let reported = f64::from(solution.solves[2 * pixels + pixels + at]);
            assert_eq!(solution.solves[2 * pixels + at], 3.0);
            assert!(
                (reported - expected).abs() <= 0.02 * expected,
                "{} {}: reported {reported:e}, true {expected:e}",
                level.name(),
                method.name()
            );
        }
    }
}

#[test]
fn values_that_are_not_finite_stay_in_their_pixels() {
    for level in SimdLevel::available() {
        for method in Method::ALL {
            for value in [f32::NAN, f32::INFINITY] {
                // The second is computed in blocks of pixels where all values are finite.
                for (images, channels, side) in [(2, 2, 9), (15, 8, 12)] {
                    check_one_value([images, channels, side], value, method, level);
                }
            }
        }
    }
}

/// Puts one value into the second image.
fn check_one_value([images, channels, side]: [usize; 3], value: f32, method: Method, level: SimdLevel) {
    let mut layer = Layer::random([images, channels, side, side], [10, channels, 3, 3], 1, 0.0);
    layer.options.forward.method = method;
    let clean = layer.forward(level);
    let pixels = side * side;
    layer.x[channels * pixels + 4 * side + 4] = value;
    let solution = layer.forward(level);
    for image in 0..images {
        for pixel in 0..pixels {
            let (y, x) = (pixel / side, pixel % side);
            let hit = image == 1 && (3..=5).contains(&y) && (3..=5).contains(&x);
            let residual = solution.solves[(2 * image + 1) * pixels + pixel];
            assert_eq!(residual.is_nan(), hit, "{} {pixel}", level.name());
            assert_eq!(solution.solves[2 * image * pixels + pixel] == 0.0, hit);
            for j in 0..10 {
                let at = (image * 10 + j) * pixels + pixel;
                let (code, expected) = (solution.codes[at], clean.codes[at]);
                assert!(if hit {
                    code.is_nan()
                } else {
                    (code - expected).abs() < 2e-5
                });
            }
        }
    }
}

#[test]
fn zero_atoms_and_zero_images_have_zero_codes_and_finite_gradients() {
    for level in SimdLevel::available() {
        for method in Method::ALL {
            let mut layer = Layer::random([2, 2, 6, 6], [9, 2, 3, 3], 1, 0.0);
            layer.options.forward.method = method;
            layer.weight[3 * 18..4 * 18].fill(0.0);
            layer.x[..72].fill(0.0);
            let solution = layer.forward(level);
            assert!(solution.codes[..9 * 36].iter().all(|&code| code == 0.0));
            assert!(solution.solves[36..72].iter().all(|&residual| residual == 0.0));
            assert!(
                solution.codes[(9 + 3) * 36..(9 + 4) * 36]
                    .iter()
                    .all(|&code| code == 0.0)
            );
            assert!(solution.codes.iter().any(|&code| code > 0.0));
            let gradients = layer.backward(&solution.codes, level);
            let grad_x = gradients.x.unwrap();
            assert!(grad_x.iter().chain(&gradients.weight).all(|v| v.is_finite()));
            assert!(grad_x[..72].iter().all(|&v| v == 0.0));
            assert_eq!(gradients.lambda1[3], 0.0);
        }
    }
}

#[test]
fn empty_batches_and_all_zero_dictionaries_are_solved() {
    for level in SimdLevel::available() {
        let layer = Layer::random([0, 2, 6, 6], [9, 2, 3, 3], 1, 0.0);
        let solution = layer.forward(level);
        assert!(solution.codes.is_empty() && solution.solves.is_empty());
        let gradients = layer.backward(&[], level);
        assert!(gradients.x.unwrap().is_empty());
        assert_eq!(gradients.weight, vec![0.0; 9 * 18]);
        let mut layer = Layer::random([1, 2, 6, 6], [9, 2, 3, 3], 1, 0.0);
        layer.weight.fill(0.0);
        let solution = layer.forward(level);
        assert!(solution.codes.iter().all(|&code| code == 0.0));
        assert!(solution.solves[36..].iter().all(|&residual| residual == 0.0));
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for layer in [
        Layer::random([67, 3, 9, 9], [16, 3, 3, 3], 1, 0.0),
        Layer::random([67, 8, 8, 8], [16, 8, 3, 3], 1, 0.0),
    ] {
        check_threads(&layer);
    }
}

fn check_threads(layer: &Layer) {
    let on = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                let solution = layer.forward(SimdLevel::detect());
                let gradients = layer.backward(&solution.codes, SimdLevel::detect());
                (solution, gradients)
            })
    };
    assert_eq!(on(1), on(5));
}
