//! GPUs, through burn's CubeCL backend: convolutions and matrix products are burn's, and each solve is one launch
//! with all its iterations inside. One unit solves one pixel, whose codes lie in one column of the workgroup's
//! memory; Q is read by all units alike. Nothing is read back to the host.
//!
//! Only where the cap on iterations is high is a solve spread over several launches, of which all but the first find
//! most pixels done: see [`MAX_TRIPS`].

mod block;
mod coordinate_descent;
mod fista;
mod gauss_seidel;
mod lipschitz;
mod pixel;

use std::sync::Once;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, FloatDType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use scn_solver::{ConvGeometry, Method, SolverOptions};

use super::layer::{self, LIPSCHITZ_MARGIN, POWER_ITERATIONS};
use super::{geometry_of, module_ops, tensor_ops};
use crate::{BatchNorm, BatchNormVjp, Convolution, ConvolutionVjp, SparseCoding, SparseCodingVjp, Statistics};
use block::BLOCK;
use coordinate_descent::coordinate_descent_kernel;
use fista::{STATE_PLANES, fista_kernel};
use gauss_seidel::masked_gauss_seidel_kernel;
use lipschitz::largest_eigenvalue_kernel;
use pixel::ExtentLaunch;

/// Most units of a workgroup that solves: two subgroups of most GPUs.
const MAX_UNITS: usize = 64;

/// Fewest units worth a workgroup; where not even their codes fit, the layer runs as plain tensor operations.
const MIN_UNITS: usize = 4;

/// Most units of the workgroup that iterates for L.
const LIPSCHITZ_UNITS: usize = 256;

/// Most trips through loops, nested ones multiplied, that one launch may ask of a unit. Mesa's software adapter
/// (llvmpipe) leaves every loop, without a word, once an invocation has made 65,535; and systems that share the GPU
/// with a display abort launches that run for seconds.
const MAX_TRIPS: usize = 60_000;

impl SparseCoding for CubeBackend {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
        _: Statistics,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let x = layer::normalized::<Self>(x, &mean, &scale);
        let geometry = geometry_of(&x, &weight, stride);
        if layer::is_empty(&geometry) {
            return layer::empty_solution::<Self>(&geometry, &x.device());
        }
        let Some(launch) = Launch::new(&x, &geometry) else {
            return tensor_ops::forward::<Self>(x, weight, lambda1, stride, options);
        };
        let quadratic = launch.quadratic(weight.clone(), options.lambda2);
        let correlations = input(layer::correlations::<Self>(x, weight, &geometry));
        let (codes, solves) = launch.solve(correlations, input(lambda1), quadratic, &options);
        let active = layer::active_counts::<Self>(codes.clone(), &geometry);
        (codes, solves, active)
    }
}

impl SparseCodingVjp for CubeBackend {
    fn sparse_code2d_vjp(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad_codes: FloatTensor<Self>,
        stride: usize,
        options: SolverOptions,
        statistics: Statistics,
        wants_x: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let x = layer::normalized::<Self>(x, &mean, &scale);
        let geometry = geometry_of(&x, &weight, stride);
        if layer::is_empty(&geometry) {
            return layer::empty_gradients::<Self>(&x, &weight, &geometry);
        }
        let Some(launch) = Launch::new(&x, &geometry) else {
            let gradients = tensor_ops::backward::<Self>(x.clone(), weight, codes, grad_codes, stride, options);
            return layer::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x);
        };
        let quadratic = launch.quadratic(weight.clone(), options.lambda2);
        let codes = input(codes);
        let gamma = launch.solve_implicit(codes.clone(), input(grad_codes), quadratic, &options);
        let gradients = layer::gradients::<Self>(x.clone(), weight, codes, gamma, &geometry);
        layer::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x)
    }
}

impl Convolution for CubeBackend {
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        module_ops::convolve2d::<Self>(x, weight, stride)
    }
}

impl ConvolutionVjp for CubeBackend {
    fn convolve2d_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        stride: usize,
        wants_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::convolve2d_vjp::<Self>(x, weight, grad, stride, wants_x)
    }
}

impl BatchNorm for CubeBackend {
    fn normalize_batch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::normalize_batch::<Self>(x, weight, bias, epsilon)
    }
}

impl BatchNormVjp for CubeBackend {
    fn normalize_batch_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        module_ops::normalize_batch_vjp::<Self>(x, weight, mean, variance, epsilon, grad)
    }

    fn channel_moments(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        layer::moments::<Self>(x)
    }
}

/// A tensor as the kernels read it.
fn input(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "sparse coding computes in 32-bit floats");
    into_contiguous(tensor)
}

/// The launches over all pixels of a layer.
struct Launch<'a> {
    geometry: &'a ConvGeometry,
    client: Client,
    device: CubeDevice,
    /// Pixels of a workgroup.
    units: usize,
    /// Atoms, padded to whole blocks.
    padded: usize,
    /// Iterations of one launch.
    sweeps: u32,
}

impl<'a> Launch<'a> {
    /// `None` where there are too many atoms for the workgroup memory of the device or for [`MAX_TRIPS`].
    fn new(x: &CubeTensor, geometry: &'a ConvGeometry) -> Option<Self> {
        static SAID: Once = Once::new();
        let hardware = &x.client.properties().hardware;
        let padded = geometry.atoms.next_multiple_of(BLOCK);
        let fitting = hardware.max_shared_memory_size / (padded.next_power_of_two() * size_of::<f32>());
        let units = fitting.min(hardware.max_units_per_cube as usize).min(MAX_UNITS);
        let blocks = padded / BLOCK;
        // Reading and writing the codes, which the certificate of a resumed launch may precede; then the products of
        // a sweep, its certificate's, and what FISTA does atom by atom.
        let product = blocks * (blocks + 1);
        let sweeps = MAX_TRIPS.saturating_sub(3 * padded + product) / (2 * product + padded + 1);
        if units < MIN_UNITS || sweeps == 0 {
            SAID.call_once(|| {
                tracing::warn!(
                    "{} atoms are too many for a kernel on a device with {} bytes of workgroup memory: the layer runs \
                     as plain tensor operations",
                    geometry.atoms,
                    hardware.max_shared_memory_size
                );
            });
            return None;
        }
        Some(Self {
            geometry,
            client: x.client.clone(),
            device: x.device.clone(),
            units: 1 << units.ilog2(),
            padded,
            sweeps: sweeps as u32,
        })
    }

    /// Numbers that the columns of a workgroup hold. It is a constant of the kernels, which compile for a second on
    /// Mesa's software adapter: powers of two keep them few.
    fn column_length(&self) -> usize {
        self.padded.next_power_of_two() * self.units
    }

    /// Pixels of the batch.
    fn problems(&self) -> usize {
        self.geometry.batch * self.geometry.pixels()
    }

    fn extent(&self) -> ExtentLaunch {
        ExtentLaunch::new(
            self.problems(),
            self.geometry.pixels(),
            self.geometry.atoms,
            self.padded / BLOCK,
        )
    }

    fn cubes(&self) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new_1d(self.units as u32);
        (
            cubecl::calculate_cube_count_elemwise(&self.client, self.problems(), dim),
            dim,
        )
    }

    fn tensor(&self, shape: impl Into<Shape>, handle: Handle) -> CubeTensor {
        CubeTensor::new_contiguous(
            self.client.clone(),
            self.device.clone(),
            shape.into(),
            handle,
            DType::F32,
        )
    }

    fn uninitialised(&self, shape: impl Into<Shape>) -> CubeTensor {
        let shape = shape.into();
        let handle = self.client.empty(shape.num_elements() * size_of::<f32>());
        self.tensor(shape, handle)
    }

    /// `Q [padded, padded]`, zero beyond the atoms, or λ₂ on the diagonal, which solves the padding by 0 as well.
    fn quadratic(&self, weight: CubeTensor, lambda2: f64) -> CubeTensor {
        let [_, channels, kernel, _] = weight.shape().dims();
        let padding = [self.padded - self.geometry.atoms, channels, kernel, kernel];
        let geometry = ConvGeometry {
            atoms: self.padded,
            ..*self.geometry
        };
        let weight = if padding[0] == 0 {
            weight
        } else {
            let zeros = CubeBackend::float_zeros(Shape::new(padding), &self.device, FloatDType::F32);
            CubeBackend::float_cat(vec![weight, zeros], 0)
        };
        input(layer::quadratic::<CubeBackend>(weight, &geometry, lambda2))
    }

    /// `L [1]` of Q.
    fn lipschitz(&self, quadratic: &CubeTensor) -> CubeTensor {
        let start: Vec<f32> = (0..self.padded).map(layer::power_start).collect();
        let start = self.tensor([self.padded], self.client.create_from_slice(f32::as_bytes(&start)));
        let bound = self.uninitialised([1]);
        let units = LIPSCHITZ_UNITS.min(self.client.properties().hardware.max_units_per_cube as usize);
        // SAFETY: the kernel reads as many values of Q and of the start as these buffers hold and writes one of
        // `bound`.
        unsafe {
            largest_eigenvalue_kernel::launch_unchecked(
                &self.client,
                CubeCount::Static(1, 1, 1),
                CubeDim::new_1d(units as u32),
                quadratic.clone().into_buffer_arg(),
                start.into_buffer_arg(),
                bound.clone().into_buffer_arg(),
                LIPSCHITZ_MARGIN,
                self.padded / BLOCK,
                POWER_ITERATIONS,
                self.padded,
                units,
            );
        }
        bound
    }

    /// Codes and solves of the problems `b = correlations − lambda1`.
    fn solve(
        &self,
        correlations: CubeTensor,
        lambda1: CubeTensor,
        quadratic: CubeTensor,
        options: &SolverOptions,
    ) -> (CubeTensor, CubeTensor) {
        let lipschitz = self.lipschitz(&quadratic);
        let codes = self.uninitialised(self.geometry.codes_shape());
        let solves = self.uninitialised(layer::solves_shape(self.geometry));
        let forward = options.forward;
        let state = (forward.method != Method::CoordinateDescent)
            .then(|| self.uninitialised([self.problems() * (STATE_PLANES * self.geometry.atoms + 1)]));
        let mut done = 0;
        for cap in self.caps(forward.max_iterations) {
            let (count, dim) = self.cubes();
            let shared = (
                correlations.clone(),
                lambda1.clone(),
                quadratic.clone(),
                lipschitz.clone(),
            );
            let (correlations, lambda1, quadratic, lipschitz) = shared;
            // SAFETY: every unit below the number of problems touches the n values of its pixel in buffers of as many
            // times n values (the state: as its length says), its two in `solves`, and the whole of Q, λ₁ and L.
            match &state {
                None => unsafe {
                    coordinate_descent_kernel::launch_unchecked(
                        &self.client,
                        count,
                        dim,
                        correlations.into_buffer_arg(),
                        lambda1.into_buffer_arg(),
                        quadratic.into_buffer_arg(),
                        lipschitz.into_buffer_arg(),
                        codes.clone().into_buffer_arg(),
                        solves.clone().into_buffer_arg(),
                        self.extent(),
                        forward.tolerance as f32,
                        cap,
                        f32::INFINITY,
                        f32::NAN,
                        u32::from(done > 0),
                        self.column_length(),
                        self.units,
                    );
                },
                Some(state) => unsafe {
                    fista_kernel::launch_unchecked(
                        &self.client,
                        count,
                        dim,
                        correlations.into_buffer_arg(),
                        lambda1.into_buffer_arg(),
                        quadratic.into_buffer_arg(),
                        lipschitz.into_buffer_arg(),
                        codes.clone().into_buffer_arg(),
                        solves.clone().into_buffer_arg(),
                        state.clone().into_buffer_arg(),
                        self.extent(),
                        forward.tolerance as f32,
                        cap,
                        f32::INFINITY,
                        f32::NAN,
                        u32::from(done > 0),
                        u32::from(forward.method == Method::FistaRestart),
                        self.column_length(),
                        self.units,
                    );
                },
            }
            done = cap;
        }
        (codes, solves)
    }

    /// γ of the implicit system.
    fn solve_implicit(
        &self,
        codes: CubeTensor,
        grad_codes: CubeTensor,
        quadratic: CubeTensor,
        options: &SolverOptions,
    ) -> CubeTensor {
        let gamma = self.uninitialised(self.geometry.codes_shape());
        let backward = options.backward;
        let mut done = 0;
        for cap in self.caps(backward.max_iterations) {
            let (count, dim) = self.cubes();
            // SAFETY: every unit below the number of problems touches the n values of its pixel in buffers of as many
            // times n values, and the whole of Q.
            unsafe {
                masked_gauss_seidel_kernel::launch_unchecked(
                    &self.client,
                    count,
                    dim,
                    codes.clone().into_buffer_arg(),
                    grad_codes.clone().into_buffer_arg(),
                    quadratic.clone().into_buffer_arg(),
                    gamma.clone().into_buffer_arg(),
                    self.extent(),
                    backward.ridge as f32,
                    backward.tolerance as f32,
                    cap - done,
                    f32::NAN,
                    u32::from(done > 0),
                    self.column_length(),
                    self.units,
                );
            }
            done = cap;
        }
        gamma
    }

    /// The iterations that each launch in turn may reach; one launch where they fit.
    fn caps(&self, max_iterations: usize) -> impl Iterator<Item = u32> {
        let (all, sweeps) = (u32::try_from(max_iterations).unwrap_or(u32::MAX), self.sweeps);
        (0..all.div_ceil(sweeps).max(1)).map(move |launch| (launch + 1).saturating_mul(sweeps).min(all))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::backend::Backend;
    use burn::tensor::{TensorData, read_sync};

    use super::*;

    /// Layers with more atoms than workgroup memory holds are too large for a test: here the two paths meet.
    #[test]
    fn the_fallback_agrees_with_the_kernels() {
        if !crate::adapter_available() {
            assert!(
                std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
                "SCN_REQUIRE_WGPU is set, but there is no adapter"
            );
            println!("skipped: there is no adapter");
            return;
        }
        let device = crate::open(crate::DeviceRequest::Wgpu).unwrap();
        let burn::backend::DispatchDevice::Cube(device) = device.as_dispatch().clone() else {
            panic!("{device:?} is not a device of the CubeCL backend");
        };
        assert!(!CubeBackend::ad_enabled(&device));
        let wave = |count: usize, frequency: f32| {
            (0..count)
                .map(|i| (1.0 + frequency * (i * i) as f32).sin())
                .collect::<Vec<f32>>()
        };
        let tensor =
            |values: Vec<f32>, shape: [usize; 4]| CubeBackend::float_from_data(TensorData::new(values, shape), &device);
        let values = |tensor| {
            read_sync(CubeBackend::float_into_data(tensor))
                .unwrap()
                .try_to_vec::<f32>()
                .unwrap()
        };
        let agree = |name: &str, a: CubeTensor, b: CubeTensor| {
            assert_eq!(a.shape(), b.shape());
            for (a, b) in values(a).into_iter().zip(values(b)) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{name}: {a} is not {b}");
            }
        };
        let x = tensor(wave(2 * 2 * 5 * 4, 0.7), [2, 2, 5, 4]);
        let weight = tensor(wave(9 * 2 * 9, 0.3).iter().map(|w| 0.25 * w).collect(), [9, 2, 3, 3]);
        let lambda1 = CubeBackend::float_from_data(TensorData::new(vec![0.02f32; 9], [9]), &device);
        let mut options = SolverOptions {
            lambda2: 0.1,
            ..SolverOptions::default()
        };
        (options.forward.tolerance, options.forward.max_iterations) = (1e-6, 1000);
        options.backward = scn_solver::BackwardOptions {
            ridge: 1e-6,
            tolerance: 1e-6,
            max_iterations: 1000,
        };
        for method in Method::ALL {
            options.forward.method = method;
            let arguments = (x.clone(), weight.clone(), lambda1.clone());
            let kernel = CubeBackend::sparse_code2d(arguments.0, arguments.1, arguments.2, 2, options);
            let plain = tensor_ops::forward::<CubeBackend>(x.clone(), weight.clone(), lambda1.clone(), 2, options);
            agree("codes", kernel.0.clone(), plain.0);
            agree("active", kernel.2, plain.2);
            let grad = tensor(wave(kernel.0.shape().num_elements(), 1.3), kernel.0.shape().dims());
            let arguments = (x.clone(), weight.clone(), kernel.0, grad);
            let (codes, grad) = (arguments.2.clone(), arguments.3.clone());
            let kernel = CubeBackend::sparse_code2d_vjp(arguments.0, arguments.1, codes, grad, 2, options);
            let plain =
                tensor_ops::backward::<CubeBackend>(x.clone(), weight.clone(), arguments.2, arguments.3, 2, options);
            for (name, a, b) in [
                ("gradient of x", kernel.0, plain.0),
                ("gradient of weight", kernel.1, plain.1),
                ("gradient of lambda1", kernel.2, plain.2),
                ("gradient of lambda2", kernel.3, plain.3),
            ] {
                agree(name, a, b);
            }
        }
    }
}
