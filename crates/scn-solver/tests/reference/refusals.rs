//! Values that no solve may iterate on are errors that name them; wrong lengths panic with both sizes.

use scn_solver::reference::{self, Dictionary, Scratch, implicit_gradients, solve};
use scn_solver::{ConvGeometry, ForwardOptions, Method, SolverError, SolverOptions};

use crate::common::{backward, forward, options};

const D: [f64; 6] = [1.0, 0.5, -0.5, 0.25, 1.0, 2.0];
const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

fn not_finite<T>(result: Result<T, SolverError>, argument: &str, position: usize) -> bool {
    matches!(result, Err(SolverError::NotFinite { name, index, value })
        if name == argument && index == position && !value.is_finite())
}

fn negative<T>(result: Result<T, SolverError>, argument: &str, position: usize) -> bool {
    matches!(result, Err(SolverError::Negative { name, index, value })
        if name == argument && index == position && value == -0.5)
}

fn with<const N: usize>(mut values: [f64; N], index: usize, value: f64) -> [f64; N] {
    values[index] = value;
    values
}

fn dictionary() -> Dictionary<f64> {
    Dictionary::new(&D, [3, 2], 0.1).unwrap()
}

#[test]
fn dictionaries_are_refused() {
    for bad in BAD {
        assert!(not_finite(
            Dictionary::new(&with(D, 4, bad), [3, 2], 0.1),
            "dictionary",
            4
        ));
        assert!(not_finite(Dictionary::new(&D, [3, 2], bad), "lambda2", 0));
    }
    assert!(negative(Dictionary::new(&D, [3, 2], -0.5), "lambda2", 0));
    assert!(not_finite(
        Dictionary::new(&[1.0, 1e20f32], [1, 2], 0.0),
        "quadratic",
        3
    ));
    // Every entry of Q is finite, its largest eigenvalue is not.
    assert!(not_finite(
        Dictionary::new(&[1.7e19f32; 5], [1, 5], 0.0),
        "largest eigenvalue",
        0
    ));
}

#[test]
fn signals_and_penalties_are_refused_before_any_iteration() {
    let dictionary = dictionary();
    for method in Method::ALL {
        let attempt = |x: [f64; 6], lambda1: [f64; 2], tolerance: f64| {
            let mut codes = [7.0; 4];
            let options = forward(method, tolerance, 10);
            let result = solve(
                &dictionary,
                &lambda1,
                &x,
                &options,
                &mut codes,
                &mut Scratch::new(&dictionary),
            );
            assert_eq!(codes == [7.0; 4], result.is_err());
            result
        };
        assert!(attempt([1.0; 6], [0.1; 2], 1e-6).is_ok());
        for bad in BAD {
            assert!(not_finite(attempt(with([1.0; 6], 5, bad), [0.1; 2], 1e-6), "x", 5));
            assert!(not_finite(attempt([1.0; 6], [0.1, bad], 1e-6), "lambda1", 1));
            assert!(not_finite(attempt([1.0; 6], [0.1; 2], bad), "tolerance", 0));
        }
        assert!(negative(attempt([1.0; 6], [0.1, -0.5], 1e-6), "lambda1", 1));
        assert!(negative(attempt([1.0; 6], [0.1; 2], -0.5), "tolerance", 0));
    }
}

#[test]
fn an_overflow_of_the_linear_term_is_refused() {
    let dictionary = Dictionary::<f32>::new(&[4.0], [1, 1], 0.0).unwrap();
    let options = ForwardOptions {
        tolerance: 1e-6,
        ..SolverOptions::default().forward
    };
    let result = solve(
        &dictionary,
        &[0.0],
        &[3e38],
        &options,
        &mut [0.0],
        &mut Scratch::new(&dictionary),
    );
    assert!(not_finite(result, "linear term", 0));
}

#[test]
fn gradients_are_refused() {
    let dictionary = dictionary();
    let attempt = |x: [f64; 3], codes: [f64; 2], grad_codes: [f64; 2], ridge: f64, tolerance: f64| {
        let options = backward(ridge, tolerance, 10);
        implicit_gradients(
            &dictionary,
            &x,
            &codes,
            &grad_codes,
            &options,
            &mut Scratch::new(&dictionary),
        )
    };
    assert!(attempt([1.0; 3], [1.0, 0.0], [1.0; 2], 0.0, 1e-6).is_ok());
    for bad in BAD {
        assert!(not_finite(
            attempt(with([1.0; 3], 2, bad), [1.0, 0.0], [1.0; 2], 0.0, 1e-6),
            "x",
            2
        ));
        assert!(not_finite(
            attempt([1.0; 3], [1.0, bad], [1.0; 2], 0.0, 1e-6),
            "codes",
            1
        ));
        assert!(not_finite(
            attempt([1.0; 3], [1.0, 0.0], [1.0, bad], 0.0, 1e-6),
            "grad_codes",
            1
        ));
        assert!(not_finite(
            attempt([1.0; 3], [1.0, 0.0], [1.0; 2], bad, 1e-6),
            "ridge",
            0
        ));
        assert!(not_finite(
            attempt([1.0; 3], [1.0, 0.0], [1.0; 2], 0.0, bad),
            "tolerance",
            0
        ));
    }
    assert!(negative(
        attempt([1.0; 3], [1.0, -0.5], [1.0; 2], 0.0, 1e-6),
        "codes",
        1
    ));
    assert!(negative(
        attempt([1.0; 3], [1.0, 0.0], [1.0; 2], -0.5, 1e-6),
        "ridge",
        0
    ));
    assert!(negative(
        attempt([1.0; 3], [1.0, 0.0], [1.0; 2], 0.0, -0.5),
        "tolerance",
        0
    ));
}

#[test]
fn layers_are_refused() {
    let geometry = ConvGeometry::new([1, 2, 2, 2], [2, 2, 1, 1], 1).unwrap();
    let layer = |x: [f64; 8], weight: [f64; 4], lambda1: [f64; 2], lambda2: f64| {
        let SolverOptions { forward, backward, .. } = SolverOptions::default();
        reference::forward(&geometry, &x, &weight, &lambda1, &options(lambda2, forward, backward))
    };
    let gradients = |grad_codes: [f64; 8]| {
        reference::backward(
            &geometry,
            &[1.0; 8],
            &[1.0; 4],
            &[1.0; 8],
            &grad_codes,
            &SolverOptions::default(),
        )
    };
    assert!(layer([1.0; 8], [1.0; 4], [0.1; 2], 0.1).is_ok() && gradients([1.0; 8]).is_ok());
    for bad in BAD {
        assert!(not_finite(
            layer(with([1.0; 8], 6, bad), [1.0; 4], [0.1; 2], 0.1),
            "x",
            6
        ));
        assert!(not_finite(
            layer([1.0; 8], with([1.0; 4], 1, bad), [0.1; 2], 0.1),
            "weight",
            1
        ));
        assert!(not_finite(layer([1.0; 8], [1.0; 4], [0.1, bad], 0.1), "lambda1", 1));
        assert!(not_finite(layer([1.0; 8], [1.0; 4], [0.1; 2], bad), "lambda2", 0));
        assert!(not_finite(gradients(with([1.0; 8], 3, bad)), "grad_codes", 3));
    }
    assert!(negative(layer([1.0; 8], [1.0; 4], [0.1, -0.5], 0.1), "lambda1", 1));
    assert!(negative(layer([1.0; 8], [1.0; 4], [0.1; 2], -0.5), "lambda2", 0));
}

#[test]
#[should_panic(expected = "the dictionary has 6 values, not [m, n] = [3, 3]")]
fn a_dictionary_of_another_shape_panics() {
    let _ = Dictionary::new(&D, [3, 3], 0.0);
}

#[test]
#[should_panic(expected = "x has 6 and codes 2 values, which are no [p, m] = [p, 3] and [p, n] = [p, 2] of one p")]
fn a_batch_of_two_sizes_panics() {
    let dictionary = dictionary();
    let options = SolverOptions::default().forward;
    let _ = solve(
        &dictionary,
        &[0.1; 2],
        &[1.0; 6],
        &options,
        &mut [0.0; 2],
        &mut Scratch::new(&dictionary),
    );
}

#[test]
#[should_panic(expected = "lambda1 has 1 values, not 2")]
fn a_scalar_lambda1_panics() {
    let dictionary = dictionary();
    let options = SolverOptions::default().forward;
    let _ = solve(
        &dictionary,
        &[0.1],
        &[1.0; 3],
        &options,
        &mut [0.0; 2],
        &mut Scratch::new(&dictionary),
    );
}

#[test]
#[should_panic(expected = "x has 7 values, not 8")]
fn an_image_of_another_size_panics() {
    let geometry = ConvGeometry::new([1, 2, 2, 2], [2, 2, 1, 1], 1).unwrap();
    let _ = reference::forward(&geometry, &[1.0; 7], &[1.0; 4], &[0.1; 2], &SolverOptions::default());
}
