//! Codes do not depend on the unit in which images and λ₁ are measured, nor on that of the dictionary.

use scn_solver::{Method, SimdLevel, kernels};

use crate::common::{relative_error, to_f64};
use crate::layer::Layer;

fn layers() -> Vec<Layer> {
    let mut layers = vec![
        Layer::random([2, 3, 7, 10], [13, 3, 3, 3], 1, 0.0),
        Layer::random([2, 4, 8, 8], [40, 4, 3, 3], 1, 0.02),
        Layer::random([32, 8, 8, 8], [19, 8, 3, 3], 1, 0.0),
    ];
    for layer in &mut layers {
        layer.options.forward.tolerance = 1e-5;
    }
    layers
}

fn scaled(values: &[f32], factor: f32) -> Vec<f32> {
    values.iter().map(|value| factor * value).collect()
}

fn for_each(check: impl Fn(&Layer, SimdLevel, &str)) {
    for layer in layers() {
        for level in SimdLevel::available() {
            for method in Method::ALL {
                let mut layer = layer.clone();
                layer.options.forward.method = method;
                check(&layer, level, &format!("{} by {}", level.name(), method.name()));
            }
        }
    }
}

fn assert_multiple(name: &str, found: &kernels::Solution, of: &kernels::Solution, factor: f32) {
    assert_eq!(found.codes, scaled(&of.codes, factor), "{name}: codes");
    assert_eq!(found.solves, of.solves, "{name}: iterations and residuals");
    assert_eq!(found.active, of.active, "{name}: active pixels");
}

/// Powers of two round nothing, so that not one bit may differ.
#[test]
fn codes_of_a_problem_times_a_power_of_two_are_the_codes_times_it() {
    for_each(|layer, level, name| {
        let expected = layer.forward(level);
        assert!(expected.codes.iter().any(|&code| code > 0.0));
        for exponent in [-90, -50, -21, -1, 22, 33, 90] {
            let factor = 2.0f32.powi(exponent);
            let mut layer = layer.clone();
            layer.x = scaled(&layer.x, factor);
            layer.lambda1 = scaled(&layer.lambda1, factor);
            let found = layer.forward(level);
            assert_multiple(&format!("{name}, 2^{exponent}"), &found, &expected, factor);
        }
    });
}

#[test]
fn codes_of_a_scaled_problem_are_the_scaled_codes() {
    for_each(|layer, level, name| {
        let expected = to_f64(&layer.forward(level).codes);
        for factor in [1e-25, 1e-15, 1e10, 1e20] {
            let mut layer = layer.clone();
            layer.x = scaled(&layer.x, factor);
            layer.lambda1 = scaled(&layer.lambda1, factor);
            let found = layer.forward(level);
            let codes: Vec<f64> = found
                .codes
                .iter()
                .map(|&code| f64::from(code) / f64::from(factor))
                .collect();
            // The inputs are rounded, so that a tile may take a sweep more or less.
            let error = relative_error(&codes, &expected);
            assert!(error <= 1e-3, "{name}, {factor:e}: off by {error:e}");
            let pixels = layer.geometry.pixels();
            for solves in found.solves.chunks(2 * pixels) {
                let (iterations, residuals) = solves.split_at(pixels);
                assert!(
                    iterations.iter().all(|&spent| (1.0..5000.0).contains(&spent)),
                    "{name}, {factor:e}"
                );
                assert!(residuals.iter().all(|&residual| residual <= 1e-5), "{name}, {factor:e}");
            }
        }
    });
}

#[test]
fn a_dictionary_times_a_power_of_two_has_the_codes_divided_by_it() {
    for_each(|layer, level, name| {
        let expected = layer.forward(level);
        for exponent in [-40, -10, 3, 40] {
            let factor = 2.0f32.powi(exponent);
            let mut layer = layer.clone();
            layer.weight = scaled(&layer.weight, factor);
            layer.lambda1 = scaled(&layer.lambda1, factor);
            layer.options.lambda2 *= f64::from(factor).powi(2);
            let found = layer.forward(level);
            assert_multiple(&format!("{name}, 2^{exponent}"), &found, &expected, 1.0 / factor);
        }
    });
}
