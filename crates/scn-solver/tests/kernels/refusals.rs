//! Values that no solve may iterate on are errors that name them, as those of the reference.

use scn_solver::{Method, SimdLevel, SolverError};

use crate::layer::Layer;

const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

fn layer() -> Layer {
    Layer::random([1, 2, 4, 4], [5, 2, 3, 3], 1, 0.1)
}

/// Both passes of a layer, with codes of another one.
fn results(layer: &Layer, level: SimdLevel) -> [Result<(), SolverError>; 2] {
    let codes = vec![0.5; layer.grad_codes.len()];
    [
        layer.try_forward(level).map(drop),
        layer.try_backward(&codes, level).map(drop),
    ]
}

#[track_caller]
fn assert_not_finite(result: &Result<(), SolverError>, argument: &str, position: usize) {
    assert!(
        matches!(result, Err(SolverError::NotFinite { name, index, value })
            if *name == argument && *index == position && !value.is_finite()),
        "{argument}: {result:?}"
    );
}

#[track_caller]
fn assert_negative(result: &Result<(), SolverError>, argument: &str, position: usize) {
    assert!(
        matches!(result, Err(SolverError::Negative { name, index, value })
            if *name == argument && *index == position && *value == -0.5),
        "{argument}: {result:?}"
    );
}

#[test]
fn good_layers_are_solved() {
    for level in SimdLevel::available() {
        assert_eq!(results(&layer(), level), [Ok(()), Ok(())]);
    }
}

#[test]
fn options_are_refused() {
    for level in SimdLevel::available() {
        for bad in BAD {
            let mut layer = layer();
            layer.options.lambda2 = bad;
            results(&layer, level)
                .iter()
                .for_each(|result| assert_not_finite(result, "lambda2", 0));
            let mut layer = self::layer();
            layer.options.forward.tolerance = bad;
            layer.options.backward.tolerance = bad;
            results(&layer, level)
                .iter()
                .for_each(|result| assert_not_finite(result, "tolerance", 0));
            let mut layer = self::layer();
            layer.options.backward.ridge = bad;
            assert_not_finite(&results(&layer, level)[1], "ridge", 0);
        }
        let mut layer = layer();
        layer.options.lambda2 = -0.5;
        results(&layer, level)
            .iter()
            .for_each(|result| assert_negative(result, "lambda2", 0));
        let mut layer = self::layer();
        layer.options.forward.tolerance = -0.5;
        layer.options.backward.tolerance = -0.5;
        results(&layer, level)
            .iter()
            .for_each(|result| assert_negative(result, "tolerance", 0));
        let mut layer = self::layer();
        layer.options.backward.ridge = -0.5;
        assert_negative(&results(&layer, level)[1], "ridge", 0);
    }
}

#[test]
fn penalties_are_refused() {
    for level in SimdLevel::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut layer = layer();
            layer.lambda1[3] = bad;
            assert_not_finite(&results(&layer, level)[0], "lambda1", 3);
        }
        let mut layer = layer();
        layer.lambda1[4] = -0.5;
        assert_negative(&results(&layer, level)[0], "lambda1", 4);
    }
}

#[test]
fn dictionaries_are_refused_by_every_method() {
    for level in SimdLevel::available() {
        for method in Method::ALL {
            let mut layer = layer();
            layer.options.forward.method = method;
            for bad in [f32::NAN, f32::NEG_INFINITY] {
                let mut layer = layer.clone();
                layer.weight[20] = bad;
                results(&layer, level)
                    .iter()
                    .for_each(|result| assert_not_finite(result, "weight", 20));
            }
            // Atom 2 is finite, its square is not.
            layer.weight[2 * 18] = 1e20;
            results(&layer, level)
                .iter()
                .for_each(|result| assert_not_finite(result, "quadratic", 2 * 5 + 2));
            // Every entry of Q is finite, its largest eigenvalue is not.
            layer.weight.fill(0.0);
            (0..5).for_each(|j| layer.weight[j * 18] = 1.7e19);
            assert_not_finite(&results(&layer, level)[0], "largest eigenvalue", 0);
        }
    }
}
