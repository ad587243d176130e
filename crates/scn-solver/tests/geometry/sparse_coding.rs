//! Sparse codes: certified from the definition, and their gradients against central differences of the solved codes.

use scn_solver::{Method, SimdLevel, SolverOptions, kernels, reference};

use crate::common::{Noise, Problem, backward, forward, norm, options, relative_error, to_f64};
use crate::definition::Layer;

const LAMBDA2: f64 = 0.1;

/// A layer with its numbers.
#[derive(Clone)]
struct Case {
    layer: Layer,
    x: Vec<f32>,
    weight: Vec<f32>,
    lambda1: Vec<f32>,
    grad_codes: Vec<f32>,
}

/// Even windows with strides (ML-ISTA), dilated ones with as much padding (MSD-CSC), paddings beyond the window, single
/// windows; outputs of whole vectors, of whole images of vectors, and neither.
fn cases() -> Vec<Case> {
    let layer = |[batch, channels, height, width]: [usize; 4],
                 atoms: usize,
                 [kernel, stride, padding, dilation]: [usize; 4]| Layer {
        batch,
        channels,
        height,
        width,
        atoms,
        kernel,
        stride,
        padding,
        dilation,
    };
    let mut layers = vec![
        layer([2, 3, 16, 16], 12, [4, 2, 1, 1]),
        layer([2, 2, 32, 32], 5, [4, 2, 1, 1]),
        layer([1, 3, 7, 9], 10, [4, 2, 1, 1]),
        layer([2, 1, 28, 28], 9, [6, 2, 0, 1]),
        layer([3, 4, 12, 12], 17, [6, 2, 0, 1]),
        layer([40, 3, 4, 4], 13, [4, 1, 0, 1]),
        layer([2, 2, 6, 11], 8, [2, 1, 0, 1]),
        layer([2, 2, 9, 6], 8, [2, 3, 1, 2]),
        layer([1, 2, 7, 5], 6, [5, 3, 6, 1]),
        layer([2, 3, 4, 3], 7, [1, 1, 2, 1]),
        layer([1, 2, 8, 8], 6, [2, 2, 0, 4]),
        layer([1, 1, 16, 48], 5, [4, 1, 2, 1]),
        layer([0, 2, 6, 6], 5, [4, 2, 1, 1]),
    ];
    layers.extend((1..=6).map(|dilation| layer([1, 4, 8, 8], 11, [3, 1, dilation, dilation])));
    layers.extend((1..=6).map(|dilation| layer([2, 2, 13, 17], 6, [3, 2, 1, dilation])));
    layers
        .into_iter()
        .map(|layer| {
            let mut noise = Noise::seeded(layer.patch() as u64);
            let scale = (3.0 / layer.patch() as f32).sqrt();
            Case {
                layer,
                x: noise.uniform(layer.input_length(), -1.0, 1.0),
                weight: noise.uniform(layer.weight_length(), -scale, scale),
                lambda1: noise.uniform(layer.atoms, 0.02, 0.1),
                grad_codes: noise.uniform(layer.output_length(), -1.0, 1.0),
            }
        })
        .collect()
}

/// The inputs of a layer in f64.
#[derive(Clone)]
struct Inputs {
    x: Vec<f64>,
    weight: Vec<f64>,
    lambda1: Vec<f64>,
    lambda2: [f64; 1],
}

impl Inputs {
    fn of(case: &Case) -> Self {
        Self {
            x: to_f64(&case.x),
            weight: to_f64(&case.weight),
            lambda1: to_f64(&case.lambda1),
            lambda2: [LAMBDA2],
        }
    }

    fn each(&mut self) -> [&mut [f64]; 4] {
        [&mut self.x, &mut self.weight, &mut self.lambda1, &mut self.lambda2]
    }

    fn codes(&self, layer: &Layer) -> reference::Solution<f64> {
        reference::forward(
            &layer.geometry(),
            &self.x,
            &self.weight,
            &self.lambda1,
            &exact(self.lambda2[0]),
        )
        .unwrap()
    }

    /// The elastic nets of the patches, cut by definition.
    fn problem(&self, layer: &Layer) -> Problem {
        let (m, n) = (layer.patch(), layer.atoms);
        let patches = layer.patches(&self.x);
        Problem {
            m,
            n,
            p: patches.len() / m,
            dictionary: (0..m * n).map(|i| self.weight[i % n * m + i / n]).collect(),
            x: patches,
            lambda1: self.lambda1.clone(),
            lambda2: self.lambda2[0],
        }
    }
}

fn exact(lambda2: f64) -> SolverOptions {
    options(
        lambda2,
        forward(Method::CoordinateDescent, 1e-14, 100_000),
        backward(0.0, 1e-13, 100_000),
    )
}

/// As the kernels solve.
fn single(method: Method) -> SolverOptions {
    options(LAMBDA2, forward(method, 2e-7, 5000), backward(0.0, 1e-6, 5000))
}

/// The largest `‖α − max(0, α − ∇/L)‖ / (‖α‖ + ‖b‖/L)` of all pixels' codes `[b, n, h', w']`: how far from optimal they
/// are, in units of what rounds. It is ρ but where codes nearly vanish.
fn worst_certificate(layer: &Layer, problem: &Problem, codes: &[f64]) -> f64 {
    let lipschitz = problem.largest_eigenvalue();
    let pixels: usize = layer.output().iter().product();
    let n = problem.n;
    (0..problem.p)
        .map(|p| {
            let (image, pixel) = (p / pixels, p % pixels);
            let code: Vec<f64> = (0..n).map(|j| codes[(image * n + j) * pixels + pixel]).collect();
            let steps = problem.gradient(p, &code).into_iter().zip(&code);
            let gap: Vec<f64> = steps.map(|(g, a)| a - (a - g / lipschitz).max(0.0)).collect();
            let linear = norm(&problem.gradient(p, &vec![0.0; n]));
            norm(&gap) / (norm(&code) + linear / lipschitz)
        })
        .fold(0.0, f64::max)
}

#[test]
fn codes_are_optimal_for_the_patches_of_the_definition() {
    for case in cases() {
        let layer = &case.layer;
        let inputs = Inputs::of(&case);
        let problem = inputs.problem(layer);
        let solution = inputs.codes(layer);
        let certificate = worst_certificate(layer, &problem, &solution.codes);
        assert!(certificate <= 1e-12, "reference, {layer:?}: {certificate:e}");
        assert_eq!(solution.codes.len(), layer.output_length());
        assert!(layer.batch == 0 || solution.codes.iter().any(|&code| code > 0.0));
        for level in SimdLevel::available() {
            for method in Method::ALL {
                let found = kernels::forward(
                    &layer.geometry(),
                    &case.x,
                    None,
                    &case.weight,
                    &case.lambda1,
                    &single(method),
                    level,
                )
                .unwrap();
                let name = format!("{} at {}, {layer:?}", method.name(), level.name());
                let codes = to_f64(&found.codes);
                assert_eq!(codes.len(), layer.output_length());
                let certificate = worst_certificate(layer, &problem, &codes);
                assert!(certificate <= 2e-6, "{name}: {certificate:e}");
                let error = relative_error(&codes, &solution.codes);
                assert!(error <= 2e-5, "{name}: {error:e}");
            }
        }
    }
}

/// Along a random direction of each input. Directions that carry a code across 0 would have no derivative there: steps are
/// so short that none is.
#[test]
fn gradients_are_those_of_finite_differences() {
    const STEP: f64 = 1e-6;
    for case in cases().into_iter().filter(|case| case.layer.batch > 0) {
        let layer = &case.layer;
        let inputs = Inputs::of(&case);
        let grad_codes = to_f64(&case.grad_codes);
        let codes = inputs.codes(layer).codes;
        let found = reference::backward(
            &layer.geometry(),
            &inputs.x,
            &inputs.weight,
            &codes,
            &grad_codes,
            &exact(LAMBDA2),
        )
        .unwrap();
        let gradients = [&found.x, &found.weight, &found.lambda1, &vec![found.lambda2]];
        for (which, gradient) in gradients.into_iter().enumerate() {
            let direction = to_f64(&Noise::seeded(70 + which as u64).uniform(gradient.len(), -1.0, 1.0));
            let loss = |step: f64| -> f64 {
                let mut moved = inputs.clone();
                let values = moved.each()[which].iter_mut().zip(&direction);
                values.for_each(|(value, along)| *value += step * along);
                let codes = moved.codes(layer).codes;
                assert!(
                    codes
                        .iter()
                        .zip(&inputs.codes(layer).codes)
                        .all(|(a, b)| (*a > 0.0) == (*b > 0.0)),
                    "{layer:?}: the active sets change"
                );
                codes.iter().zip(&grad_codes).map(|(code, grad)| code * grad).sum()
            };
            let expected = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let scale = norm(gradient) * norm(&direction) / (gradient.len() as f64).sqrt();
            let error = (along - expected).abs();
            assert!(
                error <= 1e-6 * scale.max(1.0),
                "{layer:?}, input {which}: {along}, expected {expected}"
            );
        }
    }
}

#[test]
fn gradients_of_the_kernels_are_those_of_the_reference() {
    for case in cases() {
        let layer = &case.layer;
        let inputs = Inputs::of(&case);
        let codes: Vec<f32> = inputs.codes(layer).codes.iter().map(|&code| code as f32).collect();
        let expected = reference::backward(
            &layer.geometry(),
            &inputs.x,
            &inputs.weight,
            &to_f64(&codes),
            &to_f64(&case.grad_codes),
            &exact(LAMBDA2),
        )
        .unwrap();
        for level in SimdLevel::available() {
            let found = kernels::backward(
                &layer.geometry(),
                &case.x,
                None,
                &case.weight,
                &codes,
                &case.grad_codes,
                &single(Method::CoordinateDescent),
                true,
                level,
            )
            .unwrap();
            for (name, found, expected) in [
                ("x", found.x.unwrap(), &expected.x),
                ("weight", found.weight, &expected.weight),
                ("lambda1", found.lambda1, &expected.lambda1),
                ("lambda2", vec![found.lambda2], &vec![expected.lambda2]),
            ] {
                let error = relative_error(&to_f64(&found), expected);
                assert!(error <= 5e-5, "{name} at {}, {layer:?}: {error:e}", level.name());
            }
        }
    }
}
