//! The implicit gradients against central differences of the solved codes and against the system they solve.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scn_solver::reference::{Dictionary, ImplicitGradients, Scratch, implicit_gradients, solve};
use scn_solver::{BackwardOptions, Method, SolveInfo};

use crate::common::{Problem, backward, eliminate, forward, norm, relative_error, to_f32, to_f64};

fn codes(problem: &Problem) -> Vec<f64> {
    let dictionary = Dictionary::new(&problem.dictionary, [problem.m, problem.n], problem.lambda2).unwrap();
    let mut codes = vec![0.0; problem.p * problem.n];
    let options = forward(Method::CoordinateDescent, 1e-15, 20_000);
    solve(
        &dictionary,
        &problem.lambda1,
        &problem.x,
        &options,
        &mut codes,
        &mut Scratch::new(&dictionary),
    )
    .unwrap();
    codes
}

fn gradients(
    problem: &Problem,
    codes: &[f64],
    grad_codes: &[f64],
    options: &BackwardOptions,
) -> (ImplicitGradients<f64>, Vec<SolveInfo>) {
    let dictionary = Dictionary::new(&problem.dictionary, [problem.m, problem.n], problem.lambda2).unwrap();
    implicit_gradients(
        &dictionary,
        &problem.x,
        codes,
        grad_codes,
        options,
        &mut Scratch::new(&dictionary),
    )
    .unwrap()
}

fn random_grad_codes(problem: &Problem) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    (0..problem.p * problem.n)
        .map(|_| 2.0 * random.random::<f64>() - 1.0)
        .collect()
}

/// A problem with 20 % to 80 % of the atoms active whose active sets do not change nearby: every code or its gradient
/// is well above 0.
fn regular_problem(shape: [usize; 3], lambda1: f64, lambda2: f64) -> Problem {
    (0..10_000)
        .map(|seed| Problem::random(seed, shape, lambda1, lambda2))
        .find(|problem| {
            let codes = codes(problem);
            let density = codes.iter().filter(|&&code| code > 0.0).count() as f64 / codes.len() as f64;
            let regular = (0..problem.p).all(|p| {
                let codes = &codes[p * problem.n..(p + 1) * problem.n];
                codes
                    .iter()
                    .zip(problem.gradient(p, codes))
                    .all(|(&code, gradient)| code.max(gradient) > 5e-3)
            });
            (0.2..0.8).contains(&density) && regular
        })
        .unwrap()
}

/// `∂(gᵀα)/∂θ` by central differences, for the parameter that `parameter` picks.
fn difference(problem: &Problem, grad_codes: &[f64], parameter: impl Fn(&mut Problem) -> &mut f64) -> f64 {
    const STEP: f64 = 1e-5;
    let loss = |step: f64| -> f64 {
        let mut moved = problem.clone();
        *parameter(&mut moved) += step;
        codes(&moved)
            .iter()
            .zip(grad_codes)
            .map(|(code, gradient)| code * gradient)
            .sum()
    };
    (loss(STEP) - loss(-STEP)) / (2.0 * STEP)
}

#[test]
fn every_gradient_is_that_of_the_codes() {
    for (shape, lambda1, lambda2) in [([7, 5, 3], 0.1, 0.05), ([4, 8, 2], 0.1, 0.05), ([9, 4, 2], 0.05, 0.0)] {
        let problem = regular_problem(shape, lambda1, lambda2);
        let codes = codes(&problem);
        let grad_codes = random_grad_codes(&problem);
        let (gradients, infos) = gradients(&problem, &codes, &grad_codes, &backward(0.0, 1e-13, 10_000));
        assert!(infos.iter().all(|info| info.residual <= 1e-13));

        let differences = |length: usize, parameter: fn(&mut Problem, usize) -> &mut f64| -> Vec<f64> {
            (0..length)
                .map(|i| difference(&problem, &grad_codes, |problem| parameter(problem, i)))
                .collect()
        };
        let checks = [
            (
                "x",
                gradients.x,
                differences(problem.x.len(), |problem, i| &mut problem.x[i]),
            ),
            (
                "D",
                gradients.dictionary,
                differences(problem.dictionary.len(), |problem, i| &mut problem.dictionary[i]),
            ),
            (
                "λ₁",
                gradients.lambda1,
                differences(problem.n, |problem, i| &mut problem.lambda1[i]),
            ),
        ];
        for (name, gradient, expected) in checks {
            let error = relative_error(&gradient, &expected);
            assert!(norm(&expected) > 1e-2 && error <= 1e-6, "{name}: off by {error:e}");
        }
        if lambda2 > 0.0 {
            let expected = difference(&problem, &grad_codes, |problem| &mut problem.lambda2);
            assert!(
                (gradients.lambda2 - expected).abs() <= 1e-6 * expected.abs().max(0.1),
                "λ₂: {expected}"
            );
        }
    }
}

/// γ is −∂L/∂λ₁ of a single problem.
#[test]
fn gamma_solves_the_masked_system_with_its_ridge() {
    let problem = Problem::random(1, [12, 9, 1], 0.02, 0.0);
    let (codes, grad_codes) = (codes(&problem), random_grad_codes(&problem));
    let q = problem.quadratic();
    let active: Vec<usize> = (0..9).filter(|&j| codes[j] > 0.0).collect();
    assert!((2..9).contains(&active.len()), "{active:?}");
    for ridge in [0.0, 1e-6, 0.5] {
        let rows = active
            .iter()
            .map(|&j| {
                let diagonal = |k| if j == k { ridge } else { 0.0 };
                active
                    .iter()
                    .map(|&k| q[j * 9 + k] + diagonal(k))
                    .chain([grad_codes[j]])
                    .collect()
            })
            .collect();
        let mut expected = vec![0.0; 9];
        active
            .iter()
            .zip(eliminate(rows).unwrap())
            .for_each(|(&j, gamma)| expected[j] = gamma);
        let (gradients, infos) = gradients(&problem, &codes, &grad_codes, &backward(ridge, 1e-13, 10_000));
        let gamma: Vec<f64> = gradients.lambda1.iter().map(|gradient| -gradient).collect();
        assert!(relative_error(&gamma, &expected) <= 1e-11, "ridge {ridge}: {infos:?}");
    }
}

/// Every sweep sets each `γⱼ` of the active set to what solves row `j`.
#[test]
fn every_sweep_is_gauss_seidel() {
    const RIDGE: f64 = 0.5;
    let problem = Problem::random(1, [12, 9, 1], 0.02, 0.0);
    let (codes, grad_codes) = (codes(&problem), random_grad_codes(&problem));
    let q = problem.quadratic();
    let mut gamma = [0.0; 9];
    for sweeps in 1..6 {
        for j in (0..9).filter(|&j| codes[j] > 0.0) {
            let others: f64 = (0..9).filter(|&k| k != j).map(|k| q[j * 9 + k] * gamma[k]).sum();
            gamma[j] = (grad_codes[j] - others) / (q[j * 9 + j] + RIDGE);
        }
        let (gradients, infos) = gradients(&problem, &codes, &grad_codes, &backward(RIDGE, 0.0, sweeps));
        let reached: Vec<f64> = gradients.lambda1.iter().map(|gradient| -gradient).collect();
        assert_eq!(infos[0].iterations, sweeps);
        assert!(
            relative_error(&reached, &gamma) <= 1e-12,
            "after {sweeps} sweeps: {reached:?}, not {gamma:?}"
        );
    }
}

#[test]
fn the_reported_residual_is_the_defined_one_and_the_cap_holds() {
    let problem = Problem::random(2, [10, 14, 1], 0.02, 0.01);
    let (codes, grad_codes) = (codes(&problem), random_grad_codes(&problem));
    let q = problem.quadratic();
    let active: Vec<usize> = (0..14).filter(|&j| codes[j] > 0.0).collect();
    for tolerance in [0.5, 1e-3, 1e-9] {
        for cap in [0, 1, 3, 5_000] {
            let (gradients, infos) = gradients(&problem, &codes, &grad_codes, &backward(0.1, tolerance, cap));
            let gamma = |k: usize| -gradients.lambda1[k];
            let left: Vec<f64> = active
                .iter()
                .map(|&j| {
                    grad_codes[j] - active.iter().map(|&k| q[j * 14 + k] * gamma(k)).sum::<f64>() - 0.1 * gamma(j)
                })
                .collect();
            let right: Vec<f64> = active.iter().map(|&j| grad_codes[j]).collect();
            let defined = norm(&left) / norm(&right);
            assert!(
                (infos[0].residual - defined).abs() <= 1e-12,
                "{infos:?} reported, {defined:e} true"
            );
            assert!(infos[0].iterations <= cap);
            assert!(
                infos[0].residual <= tolerance || infos[0].iterations == cap,
                "stopped early: {infos:?}"
            );
        }
    }
}

/// Powers of two round nothing, so that not one bit may differ; not even where squares would vanish or overflow.
#[test]
fn gradients_times_a_power_of_two_give_the_gradients_times_it() {
    let problem = Problem::random(6, [12, 9, 3], 0.02, 0.01);
    let (codes, grad_codes) = (codes(&problem), random_grad_codes(&problem));
    let options = backward(0.0, 1e-9, 1_000);
    let (expected, infos) = gradients(&problem, &codes, &grad_codes, &options);
    for exponent in [-700, -50, 33, 700] {
        let scaled = |values: &[f64]| {
            values
                .iter()
                .map(|value| value * 2.0f64.powi(exponent))
                .collect::<Vec<_>>()
        };
        let (found, reports) = gradients(&problem, &codes, &scaled(&grad_codes), &options);
        assert_eq!(reports, infos);
        assert_eq!(found.x, scaled(&expected.x));
        assert_eq!(found.lambda1, scaled(&expected.lambda1));
    }
}

#[test]
fn problems_without_active_atoms_add_nothing() {
    let problem = Problem {
        lambda1: vec![100.0; 5],
        ..Problem::random(3, [7, 5, 2], 0.0, 0.0)
    };
    let codes = codes(&problem);
    assert_eq!(codes, [0.0; 10]);
    let (gradients, infos) = gradients(&problem, &codes, &random_grad_codes(&problem), &backward(0.0, 0.0, 10));
    assert_eq!(
        infos,
        [SolveInfo {
            iterations: 0,
            residual: 0.0
        }; 2]
    );
    let all = [
        &gradients.x[..],
        &gradients.dictionary,
        &gradients.lambda1,
        &[gradients.lambda2],
    ]
    .concat();
    assert!(all.iter().all(|&gradient| gradient == 0.0));
}

#[test]
fn an_empty_batch_has_zero_gradients() {
    let problem = Problem::random(4, [7, 5, 0], 0.1, 0.0);
    let (gradients, infos) = gradients(&problem, &[], &[], &backward(0.0, 1e-8, 10));
    assert!(infos.is_empty() && gradients.x.is_empty());
    assert_eq!(
        (gradients.dictionary, gradients.lambda1, gradients.lambda2),
        (vec![0.0; 35], vec![0.0; 5], 0.0)
    );
}

/// A repeated atom makes `Q_ΛΛ` singular; a right-hand side outside its range has no solution.
#[test]
fn a_singular_system_shows_in_the_residual_and_a_ridge_regularises_it() {
    let dictionary = Dictionary::new(&[1.0, 1.0], [1, 2], 0.0).unwrap();
    let mut scratch = Scratch::new(&dictionary);
    let mut vjp = |ridge| {
        implicit_gradients(
            &dictionary,
            &[2.0],
            &[1.0, 1.0],
            &[1.0, -1.0],
            &backward(ridge, 1e-9, 1_000),
            &mut scratch,
        )
        .unwrap()
    };
    let (_, infos) = vjp(0.0);
    assert!(infos[0].residual > 1e-3 && infos[0].iterations == 1_000, "{infos:?}");
    assert!(infos[0].ended_at_cap(1_000, 1e-9));
    let (gradients, infos) = vjp(0.1);
    assert!(infos[0].residual <= 1e-9 && !infos[0].ended_at_cap(infos[0].iterations, 1e-9));
    assert!(
        relative_error(&gradients.lambda1, &[-10.0, 10.0]) <= 1e-7,
        "{:?}",
        gradients.lambda1
    );
}

#[test]
fn single_precision_agrees_with_double() {
    let problem = Problem {
        lambda2: 0.0625,
        ..regular_problem([12, 8, 4], 0.1, 0.0625)
    };
    let (codes, grad_codes) = (codes(&problem), random_grad_codes(&problem));
    let (exact, _) = gradients(&problem, &codes, &grad_codes, &backward(0.0, 1e-13, 10_000));
    let dictionary = Dictionary::<f32>::new(&to_f32(&problem.dictionary), [12, 8], problem.lambda2).unwrap();
    let (single, infos) = implicit_gradients(
        &dictionary,
        &to_f32(&problem.x),
        &to_f32(&codes),
        &to_f32(&grad_codes),
        &backward(0.0, 1e-6, 1_000),
        &mut Scratch::new(&dictionary),
    )
    .unwrap();
    assert!(infos.iter().all(|info| info.residual <= 1e-6), "{infos:?}");
    let pairs = [
        (single.x, exact.x),
        (single.dictionary, exact.dictionary),
        (single.lambda1, exact.lambda1),
        (vec![single.lambda2], vec![exact.lambda2]),
    ];
    for (single, exact) in pairs {
        let error = relative_error(&to_f64(&single), &exact);
        assert!(error <= 1e-4, "off by {error:e}");
    }
}
