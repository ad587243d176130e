//! The systems of the backward pass, pixel by pixel, against dense float64 solutions.

use scn_solver::{ConvGeometry, SimdLevel, SolverOptions, kernels, reference};

use crate::common::{Noise, eliminate, norm, relative_error, to_f64};
use crate::layer::Layer;

/// One pixel with all atoms active, so that γ is −∂L/∂λ₁.
struct System {
    atoms: usize,
    length: usize,
    weight: Vec<f32>,
    grad_codes: Vec<f32>,
    options: SolverOptions,
}

impl System {
    /// Atoms in pairs that differ by a share `apart`.
    fn of_pairs(atoms: usize, apart: f32, ridge: f64, seed: u64) -> Self {
        let length = (2 * atoms).max(128);
        let mut noise = Noise::seeded(seed);
        let scale = (3.0 / length as f32).sqrt();
        let mut weight = noise.uniform(atoms * length, -scale, scale);
        let difference = noise.uniform(atoms * length, -scale, scale);
        for pair in 0..atoms / 2 {
            for i in 0..length {
                let [first, second] = [2 * pair, 2 * pair + 1].map(|atom| atom * length + i);
                weight[second] = weight[first] + apart * difference[second];
            }
        }
        let mut options = SolverOptions::default();
        options.backward.ridge = ridge;
        Self {
            atoms,
            length,
            weight,
            grad_codes: noise.uniform(atoms, -1.0, 1.0),
            options,
        }
    }

    /// Q with its ridge, in double precision.
    fn matrix(&self) -> Vec<Vec<f64>> {
        let atom = |j: usize| to_f64(&self.weight[j * self.length..(j + 1) * self.length]);
        let atoms: Vec<Vec<f64>> = (0..self.atoms).map(atom).collect();
        let ridge = f64::from(self.options.backward.ridge as f32);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let row = |j: usize| {
            let own = |k| if j == k { ridge } else { 0.0 };
            (0..self.atoms)
                .map(|k| product(&atoms[j], &atoms[k]) + own(k))
                .collect()
        };
        (0..self.atoms).map(row).collect()
    }

    fn solution(&self) -> Vec<f64> {
        let right = to_f64(&self.grad_codes);
        let rows = self.matrix().into_iter().zip(right);
        eliminate(rows.map(|(row, right)| [row, vec![right]].concat()).collect()).unwrap()
    }

    /// γ, and what is reported about it: the price and the residual.
    fn solve(&self, level: SimdLevel) -> (Vec<f64>, f64, f64) {
        let geometry = ConvGeometry::new([1, self.length, 1, 1], [self.atoms, self.length, 1, 1], 1).unwrap();
        let (x, codes) = (vec![1.0; self.length], vec![0.5; self.atoms]);
        let (weight, grad_codes) = (&self.weight, &self.grad_codes);
        let found = kernels::backward(
            &geometry,
            &x,
            None,
            weight,
            &codes,
            grad_codes,
            &self.options,
            true,
            level,
        )
        .unwrap();
        let gamma = found.lambda1.iter().map(|&gradient| -f64::from(gradient)).collect();
        (gamma, found.solves[0].into(), found.solves[1].into())
    }

    /// `‖g − Qγ‖/‖g‖` in double precision.
    fn residual(&self, matrix: &[Vec<f64>], gamma: &[f64]) -> f64 {
        let right = to_f64(&self.grad_codes);
        let left: Vec<f64> = matrix
            .iter()
            .zip(&right)
            .map(|(row, right)| right - row.iter().zip(gamma).map(|(a, b)| a * b).sum::<f64>())
            .collect();
        norm(&left) / norm(&right)
    }
}

/// The largest eigenvalue by power iteration.
fn largest_eigenvalue(multiply: impl Fn(&[f64]) -> Vec<f64>, n: usize) -> f64 {
    let mut vector: Vec<f64> = (0..n).map(|j| 1.0 + (j as f64 * 0.7).sin()).collect();
    let mut largest = 0.0;
    for _ in 0..20 {
        let length = norm(&vector);
        vector.iter_mut().for_each(|value| *value /= length);
        vector = multiply(&vector);
        largest = norm(&vector);
    }
    largest
}

const EPSILON: f64 = f32::EPSILON as f64;

/// What f32 can know of a residual: Q itself and the product with γ are rounded.
fn rounding(norm_of_matrix: f64, gamma: &[f64], right: &[f32]) -> f64 {
    4.0 * EPSILON * norm_of_matrix * norm(gamma) / norm(&to_f64(right))
}

#[test]
fn systems_of_nearly_equal_atoms_are_solved_or_reported() {
    for atoms in [16, 31, 60, 75, 96, 120] {
        for (seed, apart) in [1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4].into_iter().enumerate() {
            for ridge in [0.0, 1e-6, 1e-3] {
                let system = System::of_pairs(atoms, apart, ridge, seed as u64);
                let matrix = system.matrix();
                let product = |v: &[f64]| -> Vec<f64> {
                    matrix
                        .iter()
                        .map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
                        .collect()
                };
                let largest = largest_eigenvalue(product, atoms);
                let inverse = |v: &[f64]| {
                    let rows = matrix.iter().zip(v).map(|(row, &v)| [row.clone(), vec![v]].concat());
                    eliminate(rows.collect()).unwrap()
                };
                let condition = largest * largest_eigenvalue(inverse, atoms);
                for level in SimdLevel::available() {
                    let name = format!("{atoms} atoms {apart} apart, ridge {ridge}, {}", level.name());
                    let (gamma, price, reported) = system.solve(level);
                    let reached = system.residual(&matrix, &gamma);
                    let unknown = rounding(largest, &gamma, &system.grad_codes);
                    assert!(
                        (reported - reached).abs() <= 0.01 * reached + unknown,
                        "{name}: {reported:e} reported, {reached:e} true, {unknown:e} unknown"
                    );
                    // Rounding leaves a residual of at most about ε·κ, and an error of as much.
                    if condition <= 500.0 {
                        assert!(reported <= 1e-4 && price <= 1.0, "{name}: {reported:e} after {price}");
                    }
                    if condition * EPSILON * atoms as f64 <= 0.05 {
                        let error = relative_error(&gamma, &system.solution());
                        let bound = 2.0 * EPSILON * condition * (atoms as f64).sqrt();
                        assert!(error <= bound, "{name}: off by {error:e}, more than {bound:e}");
                    }
                    // Nothing is called solved that is not.
                    if reported <= 1e-4 {
                        assert!(reached <= 1.01e-4 + unknown, "{name}: {reached:e}");
                    }
                }
            }
        }
    }
}

/// A pixel that sweeps must solve leaves the others as they are, bit for bit.
#[test]
fn pixels_are_left_to_sweeps_one_by_one() {
    for (atoms, channels) in [(13, 4), (40, 6)] {
        for level in SimdLevel::available() {
            let mut layer = Layer::random([2, channels, 8, 8], [atoms, channels, 1, 1], 1, 0.0);
            layer.options.backward = SolverOptions::default().backward;
            layer.options.backward.ridge = 0.0;
            let m = channels;
            // Atoms 3 and 5 are the same.
            layer.weight.copy_within(3 * m..4 * m, 5 * m);
            let pixels = layer.geometry.pixels();
            let place = |image: usize, atom: usize, pixel: usize| (image * atoms + atom) * pixels + pixel;
            // At most three other atoms are active in a pixel, and one of the two.
            let mut codes = vec![0.0; 2 * atoms * pixels];
            for image in 0..2 {
                for pixel in 0..pixels {
                    for atom in [0, 3, 7 + pixel % 5] {
                        codes[place(image, atom, pixel)] = 0.5;
                    }
                }
            }
            let healthy = layer.backward(&codes, level);
            let name = format!("{atoms} atoms, {}", level.name());
            let report = |found: &kernels::Gradients, image: usize, pixel: usize| {
                [0, 1].map(|kind| found.solves[(2 * image + kind) * pixels + pixel])
            };
            for pixel in 0..2 * pixels {
                let [price, residual] = report(&healthy, pixel / pixels, pixel % pixels);
                assert!(price <= 1.0 && residual <= 1e-4, "{name}: {residual:e} after {price}");
            }
            let bad = 21;
            codes[place(1, 5, bad)] = 0.5;
            layer.grad_codes[place(1, 5, bad)] = layer.grad_codes[place(1, 3, bad)];
            let found = layer.backward(&codes, level);
            let [price, residual] = report(&found, 1, bad);
            assert!(price >= 3.0 && residual <= 1e-4, "{name}: {residual:e} after {price}");
            let (before, after) = (healthy.x.unwrap(), found.x.as_ref().unwrap());
            for (i, (before, after)) in before.iter().zip(after).enumerate() {
                let (image, pixel) = (i / pixels / channels, i % pixels);
                if (image, pixel) != (1, bad) {
                    assert_eq!(before, after, "{name}: pixel {pixel} of image {image}");
                    assert!(
                        report(&found, image, pixel)[0] <= 1.0,
                        "{name}: pixel {pixel} of image {image}"
                    );
                }
            }
        }
    }
}

/// Where a pixel has more active atoms than are factorised, sweeps end at the cap with the reference's residual.
#[test]
fn sweeps_that_end_at_the_cap_report_their_residual() {
    let mut layer = Layer::random([1, 28, 5, 6], [240, 28, 3, 3], 1, 0.05);
    layer.options.backward.tolerance = 1e-6;
    layer.options.backward.max_iterations = 4;
    let codes = vec![0.5; 240 * 30];
    let expected = reference::backward(
        &layer.geometry,
        &to_f64(&layer.x),
        &to_f64(&layer.weight),
        &to_f64(&codes),
        &to_f64(&layer.grad_codes),
        &layer.options,
    )
    .unwrap();
    for level in SimdLevel::available() {
        let found = layer.backward(&codes, level);
        let (prices, residuals) = found.solves.split_at(30);
        assert_eq!(prices, [4.0; 30], "{}", level.name());
        for (&residual, expected) in residuals.iter().zip(&expected.info) {
            let error = (f64::from(residual) - expected.residual).abs();
            assert_eq!(expected.iterations, 4);
            assert!(
                error <= 1e-3 * expected.residual,
                "{}: {residual:e} reported, {:e} true",
                level.name(),
                expected.residual
            );
        }
    }
}

#[test]
fn gradients_that_are_not_finite_stay_in_their_pixels() {
    // Factorised with all atoms, factorised with the active ones, and swept.
    for (atoms, channels) in [(13, 4), (40, 6), (240, 28)] {
        for level in SimdLevel::available() {
            for value in [f32::NAN, f32::INFINITY] {
                let mut layer = Layer::random([1, channels, 4, 8], [atoms, channels, 1, 1], 1, 0.1);
                layer.options.backward.max_iterations = 500;
                let codes = vec![0.5; atoms * 32];
                let clean = layer.backward(&codes, level);
                layer.grad_codes[3 * 32 + 11] = value;
                let found = layer.backward(&codes, level);
                let name = format!("{atoms} atoms, {value}, {}", level.name());
                let (prices, residuals) = found.solves.split_at(32);
                assert_eq!(prices[11], 0.0, "{name}");
                for (pixel, residual) in residuals.iter().enumerate() {
                    assert_eq!(residual.is_nan(), pixel == 11, "{name}: {residual:e} at {pixel}");
                }
                let (before, after) = (clean.x.unwrap(), found.x.unwrap());
                for (i, (before, after)) in before.iter().zip(&after).enumerate() {
                    if i % 32 == 11 {
                        assert!(!after.is_finite(), "{name}: {after} at {i}");
                    } else {
                        assert!((before - after).abs() <= 1e-4 * before.abs().max(1.0), "{name} at {i}");
                    }
                }
            }
        }
    }
}

/// Powers of two round nothing, so that not one bit may differ.
#[test]
fn gradients_times_a_power_of_two_give_the_gradients_times_it() {
    for mut layer in [
        Layer::random([2, 3, 7, 10], [13, 3, 3, 3], 1, 0.01),
        Layer::random([2, 4, 8, 8], [40, 4, 3, 3], 1, 0.01),
        Layer::random([1, 28, 5, 6], [240, 28, 3, 3], 1, 0.05),
    ] {
        layer.options.backward.tolerance = 1e-4;
        for level in SimdLevel::available() {
            let codes = layer.forward(level).codes;
            let expected = layer.backward(&codes, level);
            for exponent in [-90, -40, 33, 90] {
                let factor = 2.0f32.powi(exponent);
                let scaled = |values: &[f32]| values.iter().map(|value| factor * value).collect::<Vec<_>>();
                let mut layer = layer.clone();
                layer.grad_codes = scaled(&layer.grad_codes);
                let found = layer.backward(&codes, level);
                let name = format!("{} at 2^{exponent}", level.name());
                assert_eq!(found.solves, expected.solves, "{name}");
                assert_eq!(found.x, expected.x.as_ref().map(|x| scaled(x)), "{name}");
                assert_eq!(found.weight, scaled(&expected.weight), "{name}");
                assert_eq!(found.lambda1, scaled(&expected.lambda1), "{name}");
            }
        }
    }
}
