#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};

use super::{Limits, Method, solve};

const VALUES: usize = 12;

/// `z ↦ W tanh(z) + x` of each image, with a W of spectral radius above 1 in places: plain iteration does not converge.
fn problem(batch: usize, scale: f64) -> (Tensor<2>, Tensor<2>) {
    let device = Device::flex();
    let draw = |count: usize, phase: f64| -> Vec<f32> {
        (0..count)
            .map(|i| ((i as f64 + phase) * 12.9898).sin() * 43758.5453)
            .map(|value: f64| (value - value.floor() - 0.5) as f32)
            .collect()
    };
    let weight = draw(VALUES * VALUES, 0.3)
        .into_iter()
        .map(|w| w * scale as f32)
        .collect::<Vec<_>>();
    let weight = Tensor::from_data(TensorData::new(weight, [VALUES, VALUES]), &device);
    let x = Tensor::from_data(TensorData::new(draw(batch * VALUES, 7.7), [batch, VALUES]), &device);
    (weight, x)
}

#[test]
fn fixed_points_are_found_to_the_tolerance_whatever_the_other_images() {
    for method in [Method::Broyden, Method::Anderson] {
        let (weight, x) = problem(5, 1.2);
        let limits = Limits {
            tolerance: 1e-4,
            max_iterations: 100,
        };
        let solved = |x: Tensor<2>| {
            let start = x.zeros_like();
            solve(method, limits, start, |z| z.tanh().matmul(weight.clone()) + x.clone())
        };
        let (found, solves) = solved(x.clone());
        let next = found.clone().tanh().matmul(weight.clone()) + x.clone();
        let error: f32 = (next - found.clone()).abs().max().into_scalar();
        assert!(error < 1e-3, "{method:?}: {error}");
        assert!(
            solves.residuals.iter().all(|&residual| residual <= limits.tolerance),
            "{solves:?}"
        );
        assert!(
            solves
                .iterations
                .iter()
                .all(|&iterations| (2..60).contains(&iterations)),
            "{solves:?}"
        );
        for image in 0..5 {
            let (alone, of_one) = solved(x.clone().slice_dim(0, image..image + 1));
            let together = found.clone().slice_dim(0, image..image + 1);
            let apart: f32 = (alone - together).abs().max().into_scalar();
            assert!(apart < 1e-3, "{method:?}: {apart}");
            assert_eq!(of_one.iterations[0], solves.iterations[image], "{method:?}");
        }
    }
}

#[test]
fn a_solve_at_its_cap_keeps_the_best_iterate() {
    // Expansive: nothing converges in so few iterations, and some iterates are worse than those before.
    let (weight, x) = problem(3, 40.0);
    for method in [Method::Broyden, Method::Anderson] {
        let limits = Limits {
            tolerance: 0.0,
            max_iterations: 6,
        };
        let mut seen: Vec<Vec<f64>> = Vec::new();
        let (found, solves) = solve(method, limits, x.zeros_like(), |z| {
            let image = z.clone().tanh().matmul(weight.clone()) + x.clone();
            seen.push(super::relative(&(image.clone() - z), image.clone()));
            image
        });
        assert_eq!((seen.len(), solves.iterations.clone()), (6, vec![6; 3]));
        let image = found.clone().tanh().matmul(weight.clone()) + x.clone();
        let of_found = super::relative(&(image.clone() - found), image);
        for i in 0..3 {
            let least = seen.iter().map(|of| of[i]).fold(f64::INFINITY, f64::min);
            assert_eq!(solves.residuals[i], least, "{method:?}");
            assert!((of_found[i] - least).abs() <= 1e-6 * least, "{method:?}");
        }
    }
}

#[test]
fn broyden_solves_an_affine_map_in_twice_its_dimensions() {
    let (weight, x) = problem(2, 1.0);
    let limits = Limits {
        tolerance: 1e-5,
        max_iterations: 4 * VALUES,
    };
    let f = |z: Tensor<2>| z.matmul(weight.clone()) + x.clone();
    let (_, solves) = solve(Method::Broyden, limits, x.zeros_like(), f);
    assert!(solves.residuals.iter().all(|&residual| residual <= 1e-5), "{solves:?}");
    assert!(
        solves.iterations.iter().all(|&made| made <= 2 * VALUES + 1),
        "{solves:?}"
    );
}

#[test]
fn anderson_solves_an_affine_map_within_its_memory() {
    // Of rank 4: five residuals in the memory of six are dependent, and their combination is exact.
    let (weight, x) = problem(2, 1.5);
    let rank = weight.clone().slice_dim(1, 0..4).matmul(weight.slice_dim(0, 0..4));
    let limits = Limits {
        tolerance: 1e-4,
        max_iterations: 20,
    };
    let f = |z: Tensor<2>| z.matmul(rank.clone()) + x.clone();
    let (_, solves) = solve(Method::Anderson, limits, x.zeros_like(), f);
    assert!(solves.residuals.iter().all(|&residual| residual <= 1e-4), "{solves:?}");
    assert!(solves.iterations.iter().all(|&made| made <= 8), "{solves:?}");
}

#[test]
fn what_is_not_finite_and_what_is_empty_ends() {
    for method in [Method::Broyden, Method::Anderson] {
        let limits = Limits {
            tolerance: 1e-3,
            max_iterations: 4,
        };
        let start = Tensor::<2>::zeros([2, 3], &Device::flex());
        let (found, solves) = solve(method, limits, start.clone(), |z| z * f32::NAN);
        assert_eq!(solves.residuals, vec![f64::INFINITY; 2]);
        assert_eq!(found.into_data(), start.into_data());
        let empty = Tensor::<2>::zeros([0, 3], &Device::flex());
        let (found, solves) = solve(method, limits, empty, |z| z);
        assert_eq!((found.dims(), solves.iterations.len()), ([0, 3], 0));
    }
}
