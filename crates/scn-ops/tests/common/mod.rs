//! What the tests share: the devices of this machine, fixtures, random tensors and the float64 reference.

#![allow(clippy::unwrap_used)]
// Every test file uses its own part.
#![allow(dead_code)]

use std::path::Path;

use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors};
use scn_ops::{DeviceRequest, adapter_available, open};
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};

/// Every device that computes sparse codes here, by name. Without an adapter wgpu is left out, and said so; where
/// the environment variable `SCN_REQUIRE_WGPU` is set that is a failure.
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut requests = vec![DeviceRequest::Cpu];
    if cfg!(feature = "ndarray") {
        requests.push(DeviceRequest::NdArray);
    }
    if adapter_available() {
        requests.push(DeviceRequest::Wgpu);
    } else {
        assert!(
            std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
            "SCN_REQUIRE_WGPU is set, but there is no adapter"
        );
        println!("skipped on wgpu: there is no adapter");
    }
    requests
        .into_iter()
        .map(|request| (request.name(), open(request).unwrap()))
        .collect()
}

/// Solves to `tolerance` within `max_iterations`, forward and backward, without a ridge in the backward system.
pub fn options(method: Method, lambda2: f64, tolerance: f64, max_iterations: usize) -> SolverOptions {
    SolverOptions {
        lambda2,
        forward: ForwardOptions {
            method,
            tolerance,
            max_iterations,
        },
        backward: BackwardOptions {
            ridge: 0.0,
            tolerance,
            max_iterations,
        },
    }
}

/// A fixture file.
pub struct Archive {
    pub name: String,
    bytes: Vec<u8>,
}

impl Archive {
    /// Every fixture of that kind, by name.
    pub fn all(kind: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../scn-solver/tests/fixtures")
            .join(kind);
        let mut archives: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .map(|path| Self {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                bytes: std::fs::read(path).unwrap(),
            })
            .collect();
        assert!(!archives.is_empty(), "there are no fixtures of kind {kind}");
        archives.sort_by(|a, b| a.name.cmp(&b.name));
        archives
    }

    /// The values of a tensor of any of the fixtures' types.
    pub fn values(&self, name: &str) -> Vec<f64> {
        let archive = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = archive.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F64 => data
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            Dtype::I32 => data
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            other => panic!("{}: {name} has type {other:?}", self.name),
        }
    }

    pub fn shape<const D: usize>(&self, name: &str) -> [usize; D] {
        let archive = SafeTensors::deserialize(&self.bytes).unwrap();
        archive.tensor(name).unwrap().shape().try_into().unwrap()
    }
}

pub fn transpose(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    (0..rows * columns)
        .map(|i| values[i % rows * columns + i / rows])
        .collect()
}

pub fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Normal-looking numbers: sums of four uniform ones, of standard deviation about `scale`.
pub fn random(seed: u64, length: usize, scale: f64) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = || generator.random_range(-1.0..1.0f64);
    // Rounded to f32, so that the float64 reference solves the very problem that the tensors hold.
    (0..length)
        .map(|_| f64::from((scale * 0.87 * (uniform() + uniform() + uniform() + uniform())) as f32))
        .collect()
}

/// `‖a − b‖ / ‖b‖`, or `‖a‖` for `b = 0`.
pub fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let size = norm(b);
    if size == 0.0 { norm(a) } else { norm(&difference) / size }
}

/// The largest difference relative to the largest number of `b`.
pub fn largest_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = |values: &mut dyn Iterator<Item = f64>| values.map(f64::abs).fold(0.0, f64::max);
    let size = largest(&mut b.iter().copied());
    largest(&mut a.iter().zip(b).map(|(a, b)| a - b)) / if size == 0.0 { 1.0 } else { size }
}

pub fn norm(a: &[f64]) -> f64 {
    a.iter().map(|a| a * a).sum::<f64>().sqrt()
}

/// Fails naming what was compared unless `error` is at most `bound`.
pub fn assert_small(what: &str, error: f64, bound: f64) {
    println!("{what}: {error:.1e}");
    assert!(error <= bound, "{what}: error {error:.2e} exceeds {bound:.0e}");
}
