//! The sums of time and operations: what they count, and that they are off by default. One test, as a process has one
//! set of sums.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scn_solver::profile::{self, Part, Profile, Spent};
use scn_solver::{ConvGeometry, Method, SimdLevel, SolverOptions, kernels};

#[test]
fn the_sums_count_what_was_executed() {
    let geometry = ConvGeometry::new([3, 5, 9, 7], [11, 5, 3, 3], 1).unwrap();
    let (n, m) = (geometry.atoms as u64, geometry.patch() as u64);
    let pixels = (geometry.batch * geometry.pixels()) as u64;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut uniform = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect() };
    let (x, weight) = (uniform(3 * 5 * 9 * 7), uniform(11 * 5 * 9));
    let lambda1 = vec![0.0; 11];
    let grad_codes = uniform(geometry.codes_shape().iter().product());
    let mut options = SolverOptions::default();
    // Nothing reaches 0 in f32 from random data, so that every tile spends the cap.
    options.forward.tolerance = 0.0;
    options.forward.max_iterations = 4;
    let level = SimdLevel::detect();
    let forward =
        |options: &SolverOptions| kernels::forward(&geometry, &x, None, &weight, &lambda1, options, level).unwrap();

    let solution = forward(&options);
    assert_eq!(profile::stop(), Profile::default(), "off by default");

    profile::start();
    let started = Instant::now();
    forward(&options);
    let wall = started.elapsed().as_secs_f64();
    let found = profile::stop();
    let (solver, convolution) = (found.of_all(Part::SOLVER), found.of_all(Part::CONVOLUTION));
    // Four sweeps: the residual at the cap is the upper half of the last one.
    assert_eq!(solver.flops, 2 * n * n * pixels * 4);
    assert_eq!(convolution.flops, 2 * m * n * pixels);
    assert!(solver.seconds > 0.0 && convolution.seconds > 0.0);
    let threads = rayon::current_num_threads();
    assert!(
        solver.seconds + convolution.seconds <= wall * threads as f64,
        "{found:?} in {wall} s"
    );
    assert_eq!(found.of(Part::BatchNorm), Spent::default());

    profile::start();
    options.forward.method = Method::Fista;
    forward(&options);
    // The first iteration needs no product, the residual at the cap one; the sums have started over.
    assert_eq!(profile::stop().of(Part::Sweeps).flops, 2 * n * n * pixels * 4);

    profile::start();
    kernels::backward(
        &geometry,
        &x,
        None,
        &weight,
        &solution.codes,
        &grad_codes,
        &options,
        true,
        level,
    )
    .unwrap();
    let found = profile::stop();
    // A Cholesky factorisation for each pixel's k active atoms: k³/6 multiply-adds and k² for two triangular systems.
    let plane = geometry.pixels();
    let active = |image: usize, pixel: usize| -> u64 {
        let codes = (0..11).map(|j| solution.codes[(image * 11 + j) * plane + pixel]);
        codes.filter(|&code| code > 0.0).count() as u64
    };
    let counts = (0..geometry.batch).flat_map(|image| (0..plane).map(move |pixel| (image, pixel)));
    let operations: u64 = counts
        .map(|(image, pixel)| active(image, pixel))
        .map(|k| k * k * (k + 6) / 6)
        .sum();
    assert_eq!(found.of(Part::Factorising).flops, 2 * operations);
    assert_eq!(found.of_all(Part::SOLVER).flops, 2 * operations);
    assert_eq!(found.of(Part::WeightGradient).flops, 2 * (m * n + n * n) * pixels);
    assert_eq!(found.of(Part::Adjoint).flops, 2 * m * n * pixels);
    assert_eq!(found.of_all(Part::CONVOLUTION).flops, 2 * (2 * m * n + n * n) * pixels);
    for part in [
        Part::Systems,
        Part::Gathering,
        Part::Planes,
        Part::WeightGradient,
        Part::Adjoint,
    ] {
        assert!(found.of(part).seconds > 0.0, "{part:?}");
    }
    assert_eq!(found.of(Part::Sweeps), Spent::default());

    profile::start();
    let four = profile::timed(Part::Optimizer, || {
        std::thread::sleep(std::time::Duration::from_millis(2));
        4
    });
    profile::record(Part::BatchNorm, 3_000_000_000, 12_000_000_000);
    let found = profile::stop();
    assert_eq!(four, 4);
    assert!(found.of(Part::Optimizer).seconds >= 2e-3 * threads as f64);
    assert_eq!(found.of(Part::BatchNorm).gigaflops(2), 8.0);
    assert_eq!(Spent::default().gigaflops(2), 0.0);
    profile::record(Part::BatchNorm, 1, 1);
    assert_eq!(profile::stop(), found, "off again");
}

#[test]
fn the_peak_is_a_rate() {
    for level in SimdLevel::available() {
        let peak = kernels::peak(level);
        assert!(peak.is_finite() && peak > 1e8, "{level:?}: {peak}");
    }
}
