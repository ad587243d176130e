//! The CPU kernels by layer shape: forward by coordinate descent and by 50 iterations of FISTA, and backward; and a step of
//! the proximal gradient method for convolutional codes beside the two convolutions that it consists of.
//!
//! `cargo bench --manifest-path benches/Cargo.toml`; arguments after `--` are criterion's, as in `-- forward`. Inputs
//! and dictionaries are noise; `scn bench kernels --weights` measures the layers of a trained network.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scn_solver::{ConvGeometry, ForwardOptions, Method, Padding, Placement, SimdLevel, SolverOptions, kernels};

/// Input channels, atoms, side of the input and stride of layers of SCN-1 and SCN-4 on 32×32 images.
const SHAPES: [(usize, usize, usize, usize); 6] = [
    (3, 16, 32, 1),
    (16, 16, 32, 1),
    (16, 64, 32, 1),
    (64, 32, 32, 2),
    (32, 128, 16, 1),
    (64, 256, 8, 1),
];
const KERNEL: usize = 3;
/// Input channels, atoms, side of the input, side of the kernel and stride, with one pixel of zeros around: the layers of
/// ML-ISTA's published network on 32×32 images, and two of SDNet-18's shapes.
const CONVOLUTIONAL: [(usize, usize, usize, usize, usize); 5] = [
    (3, 32, 32, 4, 2),
    (32, 64, 16, 4, 2),
    (64, 128, 8, 4, 2),
    (3, 64, 32, 3, 1),
    (64, 64, 32, 3, 1),
];
/// Images of such a layer.
const IMAGES: usize = 64;
/// Output pixels of a pass at least.
const PIXELS: usize = 4096;
const FISTA_ITERATIONS: usize = 50;

/// A layer on noise.
struct Layer {
    name: String,
    geometry: ConvGeometry,
    x: Vec<f32>,
    weight: Vec<f32>,
    lambda1: Vec<f32>,
    grad_codes: Vec<f32>,
}

impl Layer {
    fn new((channels, atoms, side, stride): (usize, usize, usize, usize)) -> Self {
        let images = PIXELS.div_ceil(side.div_ceil(stride).pow(2));
        let x = [images, channels, side, side];
        let weight = [atoms, channels, KERNEL, KERNEL];
        let geometry = ConvGeometry::new(x, weight, stride).expect("the shapes above form layers");
        let mut noise = Noise(1);
        Self {
            name: format!("{channels}x{side}x{side}-{atoms}-stride{stride}"),
            x: noise.uniform(x.iter().product()),
            weight: noise.uniform(weight.iter().product()),
            lambda1: vec![0.0; atoms],
            grad_codes: noise.uniform(geometry.codes_shape().iter().product()),
            geometry,
        }
    }

    fn forward(&self, options: &SolverOptions) -> kernels::Solution {
        kernels::forward(
            &self.geometry,
            black_box(&self.x),
            None,
            &self.weight,
            &self.lambda1,
            options,
            SimdLevel::detect(),
        )
        .expect("noise is finite")
    }

    fn backward(&self, codes: &[f32], options: &SolverOptions) -> kernels::Gradients {
        kernels::backward(
            &self.geometry,
            black_box(&self.x),
            None,
            &self.weight,
            codes,
            &self.grad_codes,
            options,
            true,
            SimdLevel::detect(),
        )
        .expect("noise is finite")
    }
}

/// A linear congruential generator (Knuth, MMIX).
struct Noise(u64);

impl Noise {
    /// Values in −1..1.
    fn uniform(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }
}

fn kernels(criterion: &mut Criterion) {
    let descent = SolverOptions::default();
    let fista = SolverOptions {
        forward: ForwardOptions {
            method: Method::Fista,
            tolerance: 0.0,
            max_iterations: FISTA_ITERATIONS,
        },
        ..descent
    };
    let layers = SHAPES.map(Layer::new);
    for (name, options) in [("forward/coordinate-descent", descent), ("forward/fista", fista)] {
        let mut group = criterion.benchmark_group(name);
        for layer in &layers {
            group.throughput(pixels(layer));
            group.bench_with_input(BenchmarkId::from_parameter(&layer.name), layer, |bencher, layer| {
                bencher.iter(|| layer.forward(&options))
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("backward");
    for layer in &layers {
        let codes = layer.forward(&descent).codes;
        group.throughput(pixels(layer));
        group.bench_with_input(BenchmarkId::from_parameter(&layer.name), layer, |bencher, layer| {
            bencher.iter(|| layer.backward(&codes, &descent))
        });
    }
    group.finish();
}

/// A layer of convolutional codes: noise as signals and as codes, most of which are 0.
struct Step {
    name: String,
    geometry: ConvGeometry,
    x: Vec<f32>,
    weight: Vec<f32>,
    codes: [Vec<f32>; 2],
}

impl Step {
    const THRESHOLDS: kernels::Thresholds<'static> = kernels::Thresholds {
        values: &[0.1],
        rows: 1,
        columns: 1,
    };
    const SIZE: f32 = 0.01;
    const MOMENTUM: f32 = 0.3;

    fn new((channels, atoms, side, kernel, stride): (usize, usize, usize, usize, usize)) -> Self {
        let (x, weight) = ([IMAGES, channels, side, side], [atoms, channels, kernel, kernel]);
        let placement = Placement {
            padding: Padding::Zeros(1),
            ..Placement::same(stride)
        };
        let geometry = ConvGeometry::new(x, weight, placement).expect("the shapes above form layers");
        let count = geometry.codes_shape().iter().product();
        let mut noise = Noise(1);
        let codes = [(); 2].map(|()| {
            noise
                .uniform(count)
                .iter()
                .map(|value| (value - 0.7).max(0.0))
                .collect()
        });
        Self {
            name: format!("{channels}x{side}x{side}-{atoms}-kernel{kernel}-stride{stride}"),
            x: noise.uniform(x.iter().product()),
            weight: noise.uniform(weight.iter().product()),
            codes,
            geometry,
        }
    }

    /// `Dᵀ(D∗γ)`.
    fn convolutions(&self) -> Vec<f32> {
        let level = SimdLevel::detect();
        let signal = kernels::convolution_adjoint(&self.geometry, black_box(&self.codes[0]), &self.weight, level);
        kernels::convolution(&self.geometry, &signal, &self.weight, level)
    }

    fn step(&self, point: kernels::Point) -> Vec<f32> {
        let (geometry, level) = (&self.geometry, SimdLevel::detect());
        let residual = kernels::signal_residual(geometry, &self.x, point, &self.weight, level);
        kernels::proximal_ascent(
            geometry,
            &residual,
            Some(point),
            &self.weight,
            Self::SIZE,
            Self::THRESHOLDS,
            true,
            level,
        )
    }

    fn ista(&self) -> Vec<f32> {
        self.step(black_box(&*self.codes[0]).into())
    }

    fn fista(&self) -> Vec<f32> {
        let [codes, previous] = &self.codes;
        self.step(kernels::Point {
            codes: black_box(codes),
            momentum: Some(kernels::Momentum {
                previous,
                factor: Self::MOMENTUM,
            }),
        })
    }
}

fn steps(criterion: &mut Criterion) {
    for step in CONVOLUTIONAL.map(Step::new) {
        let mut group = criterion.benchmark_group(format!("step/{}", step.name));
        group.throughput(Throughput::Elements((IMAGES * step.geometry.pixels()) as u64));
        group.bench_function("convolutions", |bencher| bencher.iter(|| step.convolutions()));
        group.bench_function("ista", |bencher| bencher.iter(|| step.ista()));
        group.bench_function("fista", |bencher| bencher.iter(|| step.fista()));
        group.finish();
    }
}

fn pixels(layer: &Layer) -> Throughput {
    Throughput::Elements((layer.geometry.batch * layer.geometry.pixels()) as u64)
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = kernels, steps
}
criterion_main!(benches);
