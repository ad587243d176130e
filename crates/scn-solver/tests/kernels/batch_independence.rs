//! Codes and gradients of an image do not depend on the images beside it by more than their certificates allow.
//!
//! Pixels of a tile stop together, and tiles cross the borders of images: the same image may take a sweep more or less
//! in another place. Both codes are then near the optimum: for `L = λ_max(Q)` and `μ = λ_min(Q)` the step
//! `T(α) = max(0, α − ∇/L)` is a contraction by `1 − μ/L` whose fixed point it is, so that a code with the residual
//! `ρ = ‖α − T(α)‖/‖α‖` is at most `(L/μ)·ρ·‖α‖` away from it.

use scn_solver::reference::Dictionary;
use scn_solver::{Method, SimdLevel, kernels};

use crate::common::{norm, to_f64};
use crate::layer::Layer;

const RIDGE: f64 = 0.5;

/// `L/μ` of a layer whose λ₂ is a lower bound of μ.
fn sensitivity(layer: &Layer) -> f64 {
    let (m, n) = (layer.geometry.patch(), layer.geometry.atoms);
    let transposed: Vec<f64> = (0..m * n).map(|i| layer.weight[i % n * m + i / n].into()).collect();
    Dictionary::new(&transposed, [m, n], RIDGE).unwrap().lipschitz() / RIDGE
}

/// The code and the residual of a pixel.
fn of_pixel(solution: &kernels::Solution, layer: &Layer, image: usize, pixel: usize) -> (Vec<f64>, f64) {
    let (n, pixels) = (layer.geometry.atoms, layer.geometry.pixels());
    let codes = (0..n)
        .map(|j| solution.codes[(image * n + j) * pixels + pixel].into())
        .collect();
    (codes, solution.solves[(2 * image + 1) * pixels + pixel].into())
}

/// An image alone, and in the fourth place of a batch of easier and harder ones.
fn alone_and_among_others(side: usize, atoms: usize) -> (Layer, Layer) {
    let image = 3 * side * side;
    let mut batch = Layer::random([6, 3, side, side], [atoms, 3, 3, 3], 1, RIDGE);
    batch.x[..image].fill(0.0);
    batch.x[image..2 * image].iter_mut().for_each(|value| *value *= 100.0);
    let mut alone = Layer::random([1, 3, side, side], [atoms, 3, 3, 3], 1, RIDGE);
    alone.weight.clone_from(&batch.weight);
    alone.lambda1.clone_from(&batch.lambda1);
    alone.x = batch.x[3 * image..4 * image].to_vec();
    let codes = atoms * side * side;
    alone.grad_codes = batch.grad_codes[3 * codes..4 * codes].to_vec();
    (alone, batch)
}

#[test]
fn codes_are_those_of_the_image_alone() {
    for (side, atoms) in [(7, 24), (8, 12), (5, 40)] {
        let (alone, batch) = alone_and_among_others(side, atoms);
        let sensitivity = sensitivity(&alone);
        for level in SimdLevel::available() {
            for method in Method::ALL {
                for tolerance in [1e-2, 1e-4] {
                    let solve = |mut layer: Layer| {
                        layer.options.forward.method = method;
                        layer.options.forward.tolerance = tolerance;
                        layer.forward(level)
                    };
                    let (single, together) = (solve(alone.clone()), solve(batch.clone()));
                    for pixel in 0..alone.geometry.pixels() {
                        let (a, of_a) = of_pixel(&single, &alone, 0, pixel);
                        let (b, of_b) = of_pixel(&together, &batch, 3, pixel);
                        let apart = norm(&a.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<_>>());
                        // Rounding of the codes themselves, of which residuals know nothing.
                        let rounding = 1e-6 * norm(&a);
                        let bound = sensitivity * (of_a * norm(&a) + of_b * norm(&b)) + rounding;
                        assert!(of_a <= tolerance && of_b <= tolerance);
                        assert!(
                            apart <= bound,
                            "{} by {}: {apart:e} apart at pixel {pixel}, more than {bound:e}",
                            level.name(),
                            method.name()
                        );
                    }
                }
            }
        }
    }
}

/// A factorised system does not know its neighbours.
#[test]
fn gradients_of_the_input_are_those_of_the_image_alone() {
    for (side, atoms) in [(7, 24), (8, 12), (5, 40)] {
        let (alone, batch) = alone_and_among_others(side, atoms);
        let codes = atoms * side * side;
        for level in SimdLevel::available() {
            let of_batch = batch.forward(level).codes;
            let of_image = &of_batch[3 * codes..4 * codes];
            let (single, together) = (alone.backward(of_image, level), batch.backward(&of_batch, level));
            let [prices, all] = [&single, &together].map(|found| found.solves.clone());
            let pixels = side * side;
            assert_eq!(prices, all[6 * pixels..8 * pixels], "{}", level.name());
            let image = 3 * pixels;
            let (single, together) = (single.x.unwrap(), together.x.unwrap());
            assert_eq!(
                to_f64(&single),
                to_f64(&together[3 * image..4 * image]),
                "{}",
                level.name()
            );
        }
    }
}
