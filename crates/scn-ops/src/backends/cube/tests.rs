//! The kernels within limits other than the adapter's own, against the float64 reference of the solver crate.

#![allow(clippy::unwrap_used)]

use burn::backend::Backend;
use burn::tensor::{TensorData, read_sync};
use scn_solver::{BackwardOptions, ForwardOptions, reference};

use super::*;

/// The device, or `None`, said aloud, where there is no adapter.
fn device() -> Option<CubeDevice> {
    if !crate::adapter_available() {
        assert!(
            std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
            "SCN_REQUIRE_WGPU is set, but there is no adapter"
        );
        println!("skipped: there is no adapter");
        return None;
    }
    let device = crate::open(crate::DeviceRequest::Wgpu).unwrap();
    let burn::backend::DispatchDevice::Cube(device) = device.as_dispatch().clone() else {
        panic!("{device:?} is not a device of the CubeCL backend");
    };
    assert!(!CubeBackend::ad_enabled(&device));
    Some(device)
}

/// Irregular numbers of that size at most.
fn wave(length: usize, frequency: f64, size: f64) -> Vec<f64> {
    let number = |i: usize| f64::from((size * (1.0 + frequency * (i * i) as f64).sin()) as f32);
    (0..length).map(number).collect()
}

fn options(method: Method) -> SolverOptions {
    SolverOptions {
        lambda2: 1.0,
        forward: ForwardOptions {
            method,
            tolerance: 3e-7,
            max_iterations: 600,
        },
        backward: BackwardOptions {
            ridge: 1e-6,
            tolerance: 3e-7,
            max_iterations: 600,
        },
    }
}

/// Solves a layer forward and backward within `limits` by every method and compares it with the reference.
fn agree(device: &CubeDevice, geometry: &ConvGeometry, limits: DeviceLimits) {
    let ConvGeometry {
        batch,
        channels,
        height,
        width,
        atoms,
        kernel,
        ..
    } = *geometry;
    let x = wave(batch * channels * height * width, 0.7, 1.0);
    let weight = wave(atoms * geometry.patch(), 0.3, 1.4 / (geometry.patch() as f64).sqrt());
    let lambda1 = vec![f64::from(0.02f32); atoms];
    let tensor = |values: &[f64], shape: &[usize]| {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        CubeBackend::float_from_data(TensorData::new(values, Shape::from(shape.to_vec())), device)
    };
    let check = |what: &str, found: CubeTensor, exact: &[f64]| {
        let found = read_sync(CubeBackend::float_into_data(found)).unwrap();
        let found = found.iter::<f64>();
        let size = exact.iter().fold(0.0f64, |size, value| size.max(value.abs()));
        let error = found.zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / size;
        println!("{atoms} atoms, {limits:?}, {what}: {error:.1e}");
        assert!(error < 1e-4, "{atoms} atoms, {limits:?}, {what}: error {error:.2e}");
    };
    let x_tensor = tensor(&x, &[batch, channels, height, width]);
    let weight_tensor = tensor(&weight, &[atoms, channels, kernel, kernel]);
    let exact = SolverOptions {
        forward: ForwardOptions {
            tolerance: 1e-12,
            max_iterations: 100_000,
            ..options(Method::CoordinateDescent).forward
        },
        backward: BackwardOptions {
            tolerance: 1e-12,
            max_iterations: 100_000,
            ..options(Method::CoordinateDescent).backward
        },
        ..options(Method::CoordinateDescent)
    };
    let codes = reference::forward(geometry, &x, &weight, &lambda1, &exact)
        .unwrap()
        .codes;
    for method in Method::ALL {
        let lambda1 = tensor(&lambda1, &[atoms]);
        let (found, _, active) = forward(
            x_tensor.clone(),
            weight_tensor.clone(),
            lambda1,
            *geometry,
            options(method),
            limits,
        );
        check(&format!("codes by {}", method.name()), found, &codes);
        assert_eq!(active.shape().dims(), [batch, atoms]);
    }
    let grad_codes = wave(codes.len(), 1.3, 1.0);
    let gradients = reference::backward(geometry, &x, &weight, &codes, &grad_codes, &exact).unwrap();
    let found = backward(
        x_tensor,
        weight_tensor,
        tensor(&codes, &geometry.codes_shape()),
        tensor(&grad_codes, &geometry.codes_shape()),
        *geometry,
        options(Method::CoordinateDescent),
        limits,
    );
    check("gradient of x", found.0, &gradients.x);
    check("gradient of weight", found.1, &gradients.weight);
    check("gradient of lambda1", found.2, &gradients.lambda1);
    check("gradient of lambda2", found.3, &[gradients.lambda2]);
}

/// The smallest limits that WebGPU allows, 16 KiB and 256 units, and less: Q resident and in slabs of 8 to 1 rows, few
/// units, several tiles with a last one that is partial and crosses images.
#[test]
fn plans_within_imposed_limits_agree_with_the_reference() {
    let Some(device) = device() else { return };
    for (atoms, shared_bytes, units, slab_rows) in [
        (20, 16_384, 7, 24),
        (20, 10_000, 256, 1),
        (70, 16_384, 256, 8),
        (256, 16_384, 256, 4),
        (512, 16_384, 256, 2),
    ] {
        let limits = DeviceLimits { shared_bytes, units };
        let own = limits_of(&device.client());
        assert!(
            shared_bytes <= own.shared_bytes && units <= own.units,
            "the adapter offers only {own:?}"
        );
        assert_eq!(TilePlan::new(atoms, limits).unwrap().slab_rows, slab_rows);
        let geometry = ConvGeometry::new([2, 16, 3, 3], [atoms, 16, 1, 1], 1).unwrap();
        agree(&device, &geometry, limits);
    }
}

/// Where the cap is high a solve is spread over launches: each goes on where the one before stopped, and leaves the tiles
/// alone that are solved.
#[test]
fn launches_go_on_where_the_one_before_stopped() {
    let Some(device) = device() else { return };
    let limits = DeviceLimits {
        shared_bytes: 16_384,
        units: 7,
    };
    let geometry = ConvGeometry::new([2, 16, 3, 3], [20, 16, 1, 1], 1).unwrap();
    let tensor = |values: &[f64], shape: [usize; 4]| {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        CubeBackend::float_from_data(TensorData::new(values, Shape::from(shape)), &device)
    };
    let values = |tensor: CubeTensor| {
        let data = read_sync(CubeBackend::float_into_data(tensor)).unwrap();
        data.iter::<f64>().collect::<Vec<f64>>()
    };
    let close = |what: &str, a: Vec<f64>, b: Vec<f64>| {
        for (a, b) in a.into_iter().zip(b) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{what}: {a} is not {b}");
        }
    };
    let mut x = wave(2 * 16 * 9, 0.7, 1.0);
    // The first image is solved at once, the second is not.
    x[..16 * 9].fill(0.0);
    let x = tensor(&x, [2, 16, 3, 3]);
    let weight = tensor(&wave(20 * 16, 0.3, 0.35), [20, 16, 1, 1]);
    let lambda1 = CubeBackend::float_zeros(Shape::from([20]), &device, FloatDType::F32);
    let grad = tensor(&wave(2 * 20 * 9, 1.3, 1.0), geometry.codes_shape());
    for method in Method::ALL {
        let mut options = options(method);
        // Below what 32-bit floats reach, so that all solves go to the cap.
        options.forward.tolerance = 1e-12;
        options.backward.tolerance = 1e-12;
        options.forward.max_iterations = 12;
        options.backward.max_iterations = 12;
        let solve = |sweeps: Option<u32>| {
            let mut launch = Launch::new(&x, &geometry, limits).unwrap();
            launch.sweeps = sweeps.unwrap_or(launch.sweeps);
            assert_eq!(launch.spans(12).count(), 12_usize.div_ceil(launch.sweeps as usize));
            let quadratic = launch.quadratic(weight.clone(), options.lambda2);
            let correlations = input(convolution::convolve::<CubeBackend>(
                x.clone(),
                weight.clone(),
                &geometry,
            ));
            let (codes, solves) = launch.solve(correlations, lambda1.clone(), quadratic.clone(), &options);
            let (gamma, systems) = launch.solve_implicit(codes.clone(), grad.clone(), quadratic, &options);
            (values(codes), values(solves), values(gamma), values(systems))
        };
        let (codes, solves, gamma, systems) = solve(None);
        assert!(
            solves[18..27].iter().all(|&iterations| iterations == 12.0),
            "{solves:?}"
        );
        // Without active atoms there is no system; the last pixel of the first image shares a tile with the second image.
        assert!(systems[..8].iter().all(|&sweeps| sweeps == 0.0), "{systems:?}");
        assert!(systems[18..27].iter().all(|&sweeps| sweeps == 12.0), "{systems:?}");
        let found = solve(Some(5));
        close("codes", found.0, codes);
        close("iterations and residuals", found.1, solves);
        close("gamma", found.2, gamma);
        close("sweeps and residuals of the systems", found.3, systems);
    }
}

/// Layers with more atoms than the limits of any adapter allow are too large for a test.
#[test]
fn the_fallback_agrees_with_the_reference() {
    let Some(device) = device() else { return };
    let limits = DeviceLimits {
        shared_bytes: 256,
        units: 256,
    };
    assert_eq!(TilePlan::new(9, limits), None);
    let geometry = ConvGeometry::new([2, 2, 5, 4], [9, 2, 3, 3], 2).unwrap();
    agree(&device, &geometry, limits);
}

/// The plan of every layer up to 512 atoms leaves room for iterations below the trips that software adapters allow.
#[test]
fn every_plan_has_sweeps() {
    for atoms in 1..=512 {
        for shared_bytes in [16_384, 32_768, 49_152] {
            let plan = TilePlan::new(
                atoms,
                DeviceLimits {
                    shared_bytes,
                    units: 256,
                },
            )
            .unwrap();
            assert!(sweeps_per_launch(&plan).unwrap() >= 20, "{atoms} atoms: {plan:?}");
        }
    }
}
