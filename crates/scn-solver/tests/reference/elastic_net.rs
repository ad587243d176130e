//! The forward solvers against the optimality conditions, an enumeration of all supports, the iterations as they are
//! defined and the rate that FISTA guarantees.

use scn_solver::reference::{Dictionary, Scratch, solve};
use scn_solver::{ForwardOptions, Method, SolveInfo};

use crate::common::{Problem, forward, norm, relative_error, to_f32, to_f64};

fn dictionary(problem: &Problem) -> Dictionary<f64> {
    Dictionary::new(&problem.dictionary, [problem.m, problem.n], problem.lambda2).unwrap()
}

fn encode(problem: &Problem, options: &ForwardOptions) -> (Vec<f64>, Vec<SolveInfo>) {
    let dictionary = dictionary(problem);
    // What the codes held before must not matter.
    let mut codes = vec![7.0; problem.p * problem.n];
    let mut scratch = Scratch::new(&dictionary);
    let infos = solve(
        &dictionary,
        &problem.lambda1,
        &problem.x,
        options,
        &mut codes,
        &mut scratch,
    )
    .unwrap();
    (codes, infos)
}

/// Shapes with n < m, n = m and n > m, with and without each penalty.
fn random_problems() -> Vec<Problem> {
    let mut problems = Vec::new();
    for shape in [[12, 5, 4], [8, 8, 4], [5, 12, 4], [3, 30, 4], [1, 1, 4]] {
        for (lambda1, lambda2) in [(0.1, 0.01), (0.1, 0.0), (0.0, 0.1), (0.0, 0.0), (0.5, 1.0)] {
            problems.push(Problem::random(problems.len() as u64, shape, lambda1, lambda2));
        }
    }
    problems
}

fn assert_optimal(problem: &Problem, codes: &[f64], name: &str) {
    const SMALL: f64 = 1e-8;
    for p in 0..problem.p {
        let codes = &codes[p * problem.n..(p + 1) * problem.n];
        for (j, (&code, gradient)) in codes.iter().zip(problem.gradient(p, codes)).enumerate() {
            assert!(code >= 0.0, "{name}: α[{j}] = {code}");
            assert!(
                gradient >= -SMALL,
                "{name}: the gradient of α[{j}] = {code} is {gradient}"
            );
            assert!(
                code <= SMALL || gradient <= SMALL,
                "{name}: the gradient of α[{j}] = {code} is {gradient}"
            );
        }
    }
}

#[test]
fn the_optimality_conditions_hold() {
    let mut active = 0;
    for (index, problem) in random_problems().iter().enumerate() {
        for method in Method::ALL {
            let name = format!("problem {index} by {}", method.name());
            let (codes, infos) = encode(problem, &forward(method, 1e-10, 200_000));
            assert!(infos.iter().all(|info| info.residual <= 1e-10), "{name}: {infos:?}");
            assert_optimal(problem, &codes, &name);
            active += codes.iter().filter(|&&code| code > 0.0).count();
        }
    }
    assert!(active > 500, "only {active} codes are not 0");
}

#[test]
fn the_objective_is_the_least_of_all_supports() {
    for (seed, n) in [1, 2, 3, 5, 7, 8].into_iter().enumerate() {
        for m in [3, 8, 11] {
            for (lambda1, lambda2) in [(0.1, 0.05), (0.1, 0.0), (0.0, 0.0)] {
                let problem = Problem::random(100 + seed as u64, [m, n, 3], lambda1, lambda2);
                for method in Method::ALL {
                    let (codes, _) = encode(&problem, &forward(method, 1e-11, 200_000));
                    for p in 0..problem.p {
                        let codes = &codes[p * n..(p + 1) * n];
                        let best = problem.optimum_by_enumeration(p);
                        let reached = problem.objective(p, codes);
                        let name = format!("{} with m = {m}, n = {n}", method.name());
                        assert!((reached - best).abs() <= 1e-9, "{name}: {reached} instead of {best}");
                        let reported = dictionary(&problem).objective(problem.x(p), &problem.lambda1, codes);
                        assert!(
                            (reported - reached).abs() <= 1e-12,
                            "{name}: {reported} reported for {reached}"
                        );
                    }
                }
            }
        }
    }
}

/// The iterations of appendix A (with the square root and `α⁺ − α`) and the restart, written out with matrices.
fn fista_as_defined(problem: &Problem, p: usize, lipschitz: f64, restart: bool, iterations: usize) -> Vec<f64> {
    let n = problem.n;
    let (mut alpha, mut gamma, mut s) = (vec![0.0; n], vec![0.0; n], 1.0f64);
    for _ in 0..iterations {
        let gradient = problem.gradient(p, &gamma);
        let next: Vec<f64> = (0..n).map(|j| (gamma[j] - gradient[j] / lipschitz).max(0.0)).collect();
        let uphill: f64 = (0..n).map(|j| (gamma[j] - next[j]) * (next[j] - alpha[j])).sum();
        if restart && uphill > 0.0 {
            s = 1.0;
            gamma.clone_from(&next);
        } else {
            let s_next = (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0;
            gamma = (0..n)
                .map(|j| next[j] + (s - 1.0) / s_next * (next[j] - alpha[j]))
                .collect();
            s = s_next;
        }
        alpha = next;
    }
    alpha
}

/// Each sweep minimises the objective over one code after the other.
fn coordinate_descent_as_defined(problem: &Problem, p: usize, sweeps: usize) -> Vec<f64> {
    let n = problem.n;
    let q = problem.quadratic();
    let mut codes = vec![0.0; n];
    for _ in 0..sweeps {
        for j in 0..n {
            codes[j] = 0.0;
            codes[j] = (-problem.gradient(p, &codes)[j] / q[j * n + j]).max(0.0);
        }
    }
    codes
}

#[test]
fn every_iterate_is_the_defined_one() {
    let mut restarted = false;
    for seed in 0..3 {
        let problem = Problem::random(200 + seed, [9, 14, 2], 0.02, 0.01);
        let lipschitz = dictionary(&problem).lipschitz();
        for iterations in [0, 1, 2, 3, 10, 40] {
            for method in Method::ALL {
                let (codes, infos) = encode(&problem, &forward(method, 0.0, iterations));
                for p in 0..problem.p {
                    let defined = match method {
                        Method::CoordinateDescent => coordinate_descent_as_defined(&problem, p, iterations),
                        Method::Fista => fista_as_defined(&problem, p, lipschitz, false, iterations),
                        Method::FistaRestart => fista_as_defined(&problem, p, lipschitz, true, iterations),
                    };
                    let codes = &codes[p * problem.n..(p + 1) * problem.n];
                    let name = format!("{} after {iterations}", method.name());
                    assert_eq!(infos[p].iterations, iterations, "{name}");
                    let error = relative_error(codes, &defined);
                    assert!(error <= 1e-10, "{name}: off by {error:e}");
                    restarted |= method == Method::FistaRestart
                        && relative_error(&fista_as_defined(&problem, p, lipschitz, false, iterations), codes) > 1e-3;
                }
            }
        }
    }
    assert!(restarted, "no problem needed a restart");
}

/// `F(α_k) − F(α*) ≤ 2L‖α* − α_0‖² / (k + 1)²` (Beck & Teboulle, 2009, theorem 4.4).
#[test]
fn fista_keeps_its_guaranteed_rate() {
    for seed in 0..4 {
        let problem = Problem::random(300 + seed, [20, 40, 3], 0.01, 0.0);
        let lipschitz = dictionary(&problem).lipschitz();
        let (optimal, _) = encode(&problem, &forward(Method::CoordinateDescent, 1e-12, 200_000));
        for k in [1usize, 2, 5, 10, 20, 50, 100, 300] {
            let (codes, _) = encode(&problem, &forward(Method::Fista, 0.0, k));
            for p in 0..problem.p {
                let range = p * problem.n..(p + 1) * problem.n;
                let gap = problem.objective(p, &codes[range.clone()]) - problem.objective(p, &optimal[range.clone()]);
                let bound = 2.0 * lipschitz * norm(&optimal[range]).powi(2) / (k as f64 + 1.0).powi(2);
                assert!(
                    gap <= bound + 1e-12,
                    "after {k} iterations the gap is {gap:e}, above {bound:e}"
                );
            }
        }
    }
}

#[test]
fn the_reported_residual_is_the_defined_one_and_the_cap_holds() {
    for (seed, [m, n]) in [[15, 9], [9, 15], [30, 30]].into_iter().enumerate() {
        let problem = Problem::random(400 + seed as u64, [m, n, 5], 0.05, 0.01);
        let lipschitz = problem.largest_eigenvalue();
        // ρ changes by no more than the factor by which L differs.
        let accuracy = (n as f64).powf(1.0 / 2048.0) - 1.0 + 1e-6;
        for method in Method::ALL {
            for tolerance in [0.5, 1e-2, 1e-4, 1e-7] {
                for cap in [1, 3, 8, 20, 10_000] {
                    let (codes, infos) = encode(&problem, &forward(method, tolerance, cap));
                    for (p, info) in infos.iter().enumerate() {
                        let codes = &codes[p * n..(p + 1) * n];
                        let defined = problem.certificate(p, codes, lipschitz);
                        let reported = info.residual;
                        assert!(
                            (reported - defined).abs() <= accuracy * defined,
                            "{}: {reported:e} reported, {defined:e} true",
                            method.name()
                        );
                        assert!(info.iterations <= cap);
                        assert!(
                            reported <= tolerance || info.iterations == cap,
                            "stopped early: {info:?}"
                        );
                    }
                }
            }
        }
    }
}

/// The solve ends with the first iterate that is good enough.
#[test]
fn the_solve_stops_no_later_than_it_may() {
    let problem = Problem::random(450, [15, 9, 5], 0.05, 0.01);
    for method in Method::ALL {
        let (_, infos) = encode(&problem, &forward(method, 1e-6, 10_000));
        for (p, info) in infos.iter().enumerate() {
            assert!(info.iterations > 1 && info.iterations < 10_000, "{info:?}");
            let (_, before) = encode(&problem, &forward(method, 1e-6, info.iterations - 1));
            assert!(
                before[p].residual > 1e-6,
                "{}: {before:?} was good enough",
                method.name()
            );
        }
    }
}

#[test]
fn single_precision_codes_carry_an_honest_certificate() {
    let problem = Problem::random(500, [30, 20, 6], 0.05, 0.01);
    // The problem that single precision sees, in double precision.
    let seen = Problem {
        dictionary: to_f64(&to_f32(&problem.dictionary)),
        x: to_f64(&to_f32(&problem.x)),
        lambda1: to_f64(&to_f32(&problem.lambda1)),
        lambda2: f64::from(problem.lambda2 as f32),
        ..problem.clone()
    };
    let lipschitz = seen.largest_eigenvalue();
    let (exact, _) = encode(&seen, &forward(Method::CoordinateDescent, 1e-13, 100_000));
    let dictionary = Dictionary::<f32>::new(&to_f32(&problem.dictionary), [30, 20], problem.lambda2).unwrap();
    let mut scratch = Scratch::new(&dictionary);
    for method in Method::ALL {
        let mut codes = vec![0.0f32; 6 * 20];
        let (lambda1, x) = (to_f32(&problem.lambda1), to_f32(&problem.x));
        let infos = solve(
            &dictionary,
            &lambda1,
            &x,
            &forward(method, 1e-6, 5_000),
            &mut codes,
            &mut scratch,
        )
        .unwrap();
        let codes = to_f64(&codes);
        for (p, info) in infos.iter().enumerate() {
            let defined = seen.certificate(p, &codes[p * 20..(p + 1) * 20], lipschitz);
            assert!(info.residual <= 1e-6, "{}: {info:?}", method.name());
            assert!(
                defined <= 3e-6,
                "{}: {defined:e} where {info:?} is reported",
                method.name()
            );
        }
        let error = relative_error(&codes, &exact);
        assert!(error <= 1e-4, "{}: off by {error:e}", method.name());
    }
}

#[test]
fn zero_atoms_keep_code_zero_and_the_rest_is_solved() {
    for (lambda1, lambda2) in [(0.05, 0.01), (0.05, 0.0), (0.0, 0.0)] {
        let mut problem = Problem::random(600, [10, 6, 4], lambda1, lambda2);
        for row in problem.dictionary.chunks_exact_mut(6) {
            (row[0], row[3]) = (0.0, 0.0);
        }
        for method in Method::ALL {
            let (codes, infos) = encode(&problem, &forward(method, 1e-11, 100_000));
            assert!(
                infos.iter().all(|info| info.residual <= 1e-11),
                "{}: {infos:?}",
                method.name()
            );
            assert_optimal(&problem, &codes, method.name());
            assert!(codes.chunks_exact(6).all(|codes| codes[0] == 0.0 && codes[3] == 0.0));
            assert!(codes.iter().any(|&code| code > 0.1));
        }
    }
}

#[test]
fn an_optimum_of_zero_is_certified_without_iterating() {
    let mut zero_signal = Problem::random(700, [10, 6, 2], 0.05, 0.0);
    zero_signal.x.fill(0.0);
    let mut zero_dictionary = Problem::random(701, [10, 6, 2], 0.05, 0.0);
    zero_dictionary.dictionary.fill(0.0);
    let strong_penalty = Problem {
        lambda1: vec![100.0; 6],
        ..Problem::random(702, [10, 6, 2], 0.0, 0.1)
    };
    for problem in [zero_signal, zero_dictionary, strong_penalty] {
        for method in Method::ALL {
            let (codes, infos) = encode(&problem, &forward(method, 0.0, 100));
            assert_eq!(codes, [0.0; 12]);
            assert_eq!(
                infos,
                [SolveInfo {
                    iterations: 0,
                    residual: 0.0
                }; 2]
            );
        }
    }
}

#[test]
fn a_zero_code_that_is_not_optimal_is_never_accepted() {
    let problem = Problem::random(703, [10, 6, 1], 0.0, 0.0);
    let dictionary = dictionary(&problem);
    let b: Vec<f64> = problem
        .gradient(0, &[0.0; 6])
        .iter()
        .map(|gradient| -gradient)
        .collect();
    assert!(b.iter().any(|&b| b > 0.0));
    assert_eq!(dictionary.kkt_residual(&b, &[0.0; 6]), f64::INFINITY);
    let (codes, infos) = encode(&problem, &forward(Method::CoordinateDescent, 1.0, 0));
    assert_eq!((codes, infos[0].residual), (vec![0.0; 6], f64::INFINITY));
}

#[test]
fn the_certificate_holds_at_any_scale() {
    let problem = Problem::random(704, [10, 6, 1], 0.0, 0.0);
    let dictionary = dictionary(&problem);
    let b: Vec<f64> = problem
        .gradient(0, &[0.0; 6])
        .iter()
        .map(|gradient| -gradient)
        .collect();
    let codes = [0.3, 0.0, 0.1, 0.0, 0.0, 0.2];
    let expected = problem.certificate(0, &codes, dictionary.lipschitz());
    for scale in [1e-250, 1.0, 1e250] {
        let scaled = |values: &[f64]| values.iter().map(|value| value * scale).collect::<Vec<f64>>();
        let residual = dictionary.kkt_residual(&scaled(&b), &scaled(&codes));
        assert!(
            (residual - expected).abs() <= 1e-12 * expected,
            "{residual} instead of {expected} at {scale:e}"
        );
    }
}

/// Powers of two round nothing, so that not one bit may differ; not even where squares would vanish or overflow.
#[test]
fn codes_of_a_problem_times_a_power_of_two_are_the_codes_times_it() {
    let problem = Problem::random(705, [9, 14, 4], 0.05, 0.01);
    for method in Method::ALL {
        let options = forward(method, 1e-9, 10_000);
        let (codes, infos) = encode(&problem, &options);
        assert!(codes.iter().any(|&code| code > 0.0));
        for exponent in [-700, -50, 33, 700] {
            let scaled = |values: &[f64]| {
                values
                    .iter()
                    .map(|value| value * 2.0f64.powi(exponent))
                    .collect::<Vec<_>>()
            };
            let moved = Problem {
                x: scaled(&problem.x),
                lambda1: scaled(&problem.lambda1),
                ..problem.clone()
            };
            assert_eq!(
                encode(&moved, &options),
                (scaled(&codes), infos.clone()),
                "{} at 2^{exponent}",
                method.name()
            );
        }
    }
}

#[test]
fn single_precision_codes_do_not_depend_on_the_scale() {
    let problem = Problem::random(706, [9, 14, 4], 0.05, 0.01);
    let dictionary = Dictionary::<f32>::new(&to_f32(&problem.dictionary), [9, 14], 0.01).unwrap();
    let mut scratch = Scratch::new(&dictionary);
    let mut encode = |factor: f32, method| {
        let scaled = |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32 * factor).collect() };
        let mut codes = vec![0.0; 4 * 14];
        let (lambda1, x) = (scaled(&problem.lambda1), scaled(&problem.x));
        let options = forward(method, 1e-6, 5_000);
        let infos = solve(&dictionary, &lambda1, &x, &options, &mut codes, &mut scratch).unwrap();
        assert!(infos.iter().all(|info| info.residual <= 1e-6), "{factor:e}: {infos:?}");
        codes
            .iter()
            .map(|&code| f64::from(code) / f64::from(factor))
            .collect::<Vec<f64>>()
    };
    for method in Method::ALL {
        let expected = encode(1.0, method);
        for factor in [1e-25, 1e-15, 1e10, 1e20] {
            let error = relative_error(&encode(factor, method), &expected);
            assert!(error <= 1e-4, "{} at {factor:e}: off by {error:e}", method.name());
        }
    }
}

#[test]
fn problems_of_a_batch_do_not_depend_on_one_another() {
    let problem = Problem::random(800, [9, 14, 5], 0.05, 0.01);
    for method in Method::ALL {
        let options = forward(method, 1e-8, 1_000);
        let (codes, infos) = encode(&problem, &options);
        for p in 0..problem.p {
            let alone = Problem {
                p: 1,
                x: problem.x(p).to_vec(),
                ..problem.clone()
            };
            assert_eq!(
                encode(&alone, &options),
                (codes[p * 14..(p + 1) * 14].to_vec(), vec![infos[p]])
            );
        }
    }
}

#[test]
fn empty_problems_are_solved() {
    for [m, n, p] in [[9, 14, 0], [9, 0, 3], [0, 14, 3], [0, 0, 0]] {
        let problem = Problem {
            lambda2: 0.1,
            ..Problem::random(0, [m.max(1), n, p], 0.1, 0.1)
        };
        let problem = Problem {
            m,
            dictionary: vec![0.5; m * n],
            x: vec![0.5; p * m],
            ..problem
        };
        for method in Method::ALL {
            let (codes, infos) = encode(&problem, &forward(method, 1e-8, 100));
            assert_eq!(infos.len(), p);
            assert!(infos.iter().all(|info| info.residual <= 1e-8));
            assert!(m > 0 || codes.iter().all(|&code| code == 0.0));
        }
    }
}

#[test]
fn the_largest_eigenvalue_is_bounded_from_above_and_tightly() {
    let bound = |values: &[f64], shape, lambda2| Dictionary::new(values, shape, lambda2).unwrap().lipschitz();
    let factor = |n: usize| (n as f64).powf(1.0 / 2048.0) * (1.0 + 1e-12);
    let assert_bounds = |reported: f64, exact: f64, n: usize| {
        assert!(reported >= exact * (1.0 - 1e-12), "{reported} is below {exact}");
        assert!(reported <= exact * factor(n), "{reported} is far above {exact}");
    };
    assert_eq!(bound(&[0.0; 12], [3, 4], 0.0), 0.0);
    assert_bounds(bound(&[0.0; 12], [3, 4], 0.3), 0.3, 4);
    // The leading eigenvector of [[1, -1], [-1, 1]] is orthogonal to (1, 1) and that of its sign change to (1, -1).
    assert_bounds(bound(&[1.0, -1.0], [1, 2], 0.0), 2.0, 2);
    assert_bounds(bound(&[1.0, 1.0], [1, 2], 0.5), 2.5, 2);
    // One eigenvalue of multiplicity n, the worst case of the bound, and scales whose squares overflow.
    let n = 200;
    for scale in [1e-60, 1.0, 1e80, 1e150] {
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|j| identity[j * n + j] = scale);
        assert_bounds(bound(&identity, [n, n], 0.0), scale * scale, n);
    }
    for seed in 0..5 {
        let problem = Problem::random(900 + seed, [20, 30, 0], 0.0, 0.01);
        assert_bounds(dictionary(&problem).lipschitz(), problem.largest_eigenvalue(), 30);
        let single = Dictionary::<f32>::new(&to_f32(&problem.dictionary), [20, 30], 0.01)
            .unwrap()
            .lipschitz();
        let ratio = f64::from(single) / problem.largest_eigenvalue();
        assert!((ratio - 1.0).abs() <= factor(30) - 1.0 + 1e-5, "{ratio}");
    }
}
