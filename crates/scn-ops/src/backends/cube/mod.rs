//! GPUs, through burn's CubeCL backend: convolutions and matrix products are burn's, and each solve is one launch
//! with all its iterations inside, in which a workgroup solves a tile of pixels as its [`TilePlan`] says. Nothing is
//! read back to the host.
//!
//! Only where the cap on iterations is high is a solve spread over several launches, of which all but the first find
//! most tiles done: see [`MAX_TRIPS`].

mod coordinate_descent;
mod fista;
mod gauss_seidel;
mod lipschitz;
mod numbers;
mod problem;
#[cfg(test)]
mod tests;
mod tile;

use std::sync::Once;

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, TensorMetadata};
use burn::tensor::{DType, FloatDType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use scn_solver::{ConvGeometry, Method, SolverOptions};

use super::autodiff::without_gradients;
use super::generic::layer::{self, Gradients, LIPSCHITZ_MARGIN, POWER_ITERATIONS, Solution};
use super::generic::{by_burn, convolution, normalization, solve};
use super::{ToTensor, solves_shape};
use crate::workgroup::{DeviceLimits, TilePlan};
use crate::{BackwardReport, SparseCoding, SparseCodingVjp, Statistics};
use coordinate_descent::coordinate_descent_kernel;
use fista::{STATE_NUMBERS, STATE_PLANES, fista_kernel};
use gauss_seidel::masked_gauss_seidel_kernel;
use lipschitz::largest_eigenvalue_kernel;
use tile::ExtentLaunch;

/// Most units of the workgroup that iterates for L.
const LIPSCHITZ_UNITS: usize = 256;

/// Most trips through loops, nested ones multiplied, that one launch may ask of a unit. Mesa's software adapter
/// (llvmpipe) leaves every loop, without a word, once an invocation has made 65,535; and systems that share the GPU
/// with a display abort launches that run for seconds.
const MAX_TRIPS: usize = 60_000;

impl ToTensor for CubeBackend {
    fn kind(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Cube(tensor)
    }
}

impl SparseCoding for CubeBackend {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        geometry: ConvGeometry,
        options: SolverOptions,
        _: Statistics,
        _: BackwardReport,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let limits = limits_of(&x.client);
        let x = normalization::normalized::<Self>(x, &mean, &scale);
        forward(x, weight, lambda1, geometry, options, limits)
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
        geometry: ConvGeometry,
        options: SolverOptions,
        statistics: Statistics,
        wants_x: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let limits = limits_of(&x.client);
        let x = normalization::normalized::<Self>(x, &mean, &scale);
        let gradients = backward(x.clone(), weight, codes, grad_codes, geometry, options, limits);
        normalization::before_normalization::<Self>(gradients, x, &scale, statistics, wants_x)
    }

    fn solve_sums(solves: FloatTensor<Self>, max_iterations: usize, tolerance: f64) -> FloatTensor<Self> {
        layer::solve_sums::<Self>(solves, max_iterations, tolerance)
    }
}

by_burn!(CubeBackend);
without_gradients!(CubeBackend);

/// What the device behind `client` lends to a workgroup.
pub(crate) fn limits_of(client: &Client) -> DeviceLimits {
    let hardware = &client.properties().hardware;
    DeviceLimits {
        shared_bytes: hardware.max_shared_memory_size,
        units: hardware.max_units_per_cube as usize,
    }
}

/// The forward solve of every pixel within `limits`; see [`SparseCoding::sparse_code2d`].
fn forward(
    x: CubeTensor,
    weight: CubeTensor,
    lambda1: CubeTensor,
    geometry: ConvGeometry,
    options: SolverOptions,
    limits: DeviceLimits,
) -> Solution<CubeBackend> {
    if layer::is_empty(&geometry) {
        return layer::empty_solution::<CubeBackend>(&geometry, &x.device());
    }
    let Some(launch) = Launch::new(&x, &geometry, limits) else {
        return solve::forward::<CubeBackend>(x, weight, lambda1, geometry, options);
    };
    let quadratic = launch.quadratic(weight.clone(), options.lambda2);
    let correlations = input(convolution::convolve::<CubeBackend>(x, weight, &geometry));
    let (codes, solves) = launch.solve(correlations, input(lambda1), quadratic, &options);
    let active = layer::active_counts::<CubeBackend>(codes.clone(), &geometry);
    (codes, solves, active)
}

/// The implicit gradient within `limits`; see [`SparseCodingVjp::sparse_code2d_vjp`].
fn backward(
    x: CubeTensor,
    weight: CubeTensor,
    codes: CubeTensor,
    grad_codes: CubeTensor,
    geometry: ConvGeometry,
    options: SolverOptions,
    limits: DeviceLimits,
) -> Gradients<CubeBackend> {
    if layer::is_empty(&geometry) {
        return layer::empty_gradients::<CubeBackend>(&x, &weight, &geometry);
    }
    let Some(launch) = Launch::new(&x, &geometry, limits) else {
        return solve::backward::<CubeBackend>(x, weight, codes, grad_codes, geometry, options);
    };
    let quadratic = launch.quadratic(weight.clone(), options.lambda2);
    let codes = input(codes);
    let (gamma, solves) = launch.solve_implicit(codes.clone(), input(grad_codes), quadratic, &options);
    layer::gradients::<CubeBackend>(x, weight, codes, gamma, solves, &geometry)
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
    plan: TilePlan,
    /// Iterations of one launch.
    sweeps: u32,
}

impl<'a> Launch<'a> {
    /// `None` where there are too many atoms for `limits` or for [`MAX_TRIPS`].
    fn new(x: &CubeTensor, geometry: &'a ConvGeometry, limits: DeviceLimits) -> Option<Self> {
        let planned = TilePlan::new(geometry.atoms, limits).and_then(|plan| Some((plan, sweeps_per_launch(&plan)?)));
        let Some((plan, sweeps)) = planned else {
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                tracing::warn!(
                    "{} atoms are too many for a kernel on a device with {} bytes of shared memory and {} units a \
                     workgroup: the layer runs as plain tensor operations",
                    geometry.atoms,
                    limits.shared_bytes,
                    limits.units
                );
            });
            return None;
        };
        Some(Self {
            geometry,
            client: x.client.clone(),
            device: x.device.clone(),
            plan,
            sweeps,
        })
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
            self.plan.blocks,
        )
    }

    fn cubes(&self) -> (CubeCount, CubeDim) {
        let tile = CubeDim::new_1d(self.plan.pixels() as u32);
        (
            cubecl::calculate_cube_count_elemwise(&self.client, self.problems(), tile),
            CubeDim::new_1d(self.plan.units() as u32),
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
        let [atoms, channels, kernel, _] = self.geometry.weight_shape();
        let weight = match self.plan.padded_atoms() - atoms {
            0 => weight,
            missing => {
                let zeros = Shape::new([missing, channels, kernel, kernel]);
                let zeros = CubeBackend::float_zeros(zeros, &self.device, FloatDType::F32);
                CubeBackend::float_cat(vec![weight, zeros], 0)
            }
        };
        input(layer::quadratic::<CubeBackend>(weight, lambda2))
    }

    /// `L [1]` of Q.
    fn lipschitz(&self, quadratic: &CubeTensor) -> CubeTensor {
        let start: Vec<f32> = (0..self.plan.padded_atoms()).map(layer::power_start).collect();
        let start = self.tensor(
            [self.plan.padded_atoms()],
            self.client.create_from_slice(f32::as_bytes(&start)),
        );
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
                self.plan.blocks,
                POWER_ITERATIONS,
                self.plan.padded_atoms(),
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
        let solves = self.uninitialised(solves_shape(self.geometry));
        let forward = options.forward;
        let state = (forward.method != Method::CoordinateDescent)
            .then(|| self.uninitialised([self.problems() * (STATE_PLANES * self.geometry.atoms + STATE_NUMBERS)]));
        for (done, cap) in self.spans(forward.max_iterations) {
            let (count, dim) = self.cubes();
            let shared = (
                correlations.clone(),
                lambda1.clone(),
                quadratic.clone(),
                lipschitz.clone(),
            );
            let (correlations, lambda1, quadratic, lipschitz) = shared;
            // SAFETY: a unit touches the n values of its pixels, where they are below the number of problems, in
            // buffers of as many times n values (the state: as its length says), their two in `solves`, and the
            // whole of Q, λ₁ and L.
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
                        done,
                        cap,
                        f32::INFINITY,
                        f32::NAN,
                        self.plan,
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
                        done,
                        cap,
                        f32::INFINITY,
                        f32::NAN,
                        u32::from(forward.method == Method::FistaRestart),
                        self.plan,
                    );
                },
            }
        }
        (codes, solves)
    }

    /// γ and solves of the implicit system.
    fn solve_implicit(
        &self,
        codes: CubeTensor,
        grad_codes: CubeTensor,
        quadratic: CubeTensor,
        options: &SolverOptions,
    ) -> (CubeTensor, CubeTensor) {
        let gamma = self.uninitialised(self.geometry.codes_shape());
        let solves = self.uninitialised(solves_shape(self.geometry));
        let backward = options.backward;
        for (done, cap) in self.spans(backward.max_iterations) {
            let (count, dim) = self.cubes();
            // SAFETY: a unit touches the n values of its pixels, where they are below the number of problems, in
            // buffers of as many times n values, their two in `solves`, and the whole of Q.
            unsafe {
                masked_gauss_seidel_kernel::launch_unchecked(
                    &self.client,
                    count,
                    dim,
                    codes.clone().into_buffer_arg(),
                    grad_codes.clone().into_buffer_arg(),
                    quadratic.clone().into_buffer_arg(),
                    gamma.clone().into_buffer_arg(),
                    solves.clone().into_buffer_arg(),
                    self.extent(),
                    backward.ridge as f32,
                    backward.tolerance as f32,
                    done,
                    cap,
                    f32::INFINITY,
                    f32::NAN,
                    self.plan,
                );
            }
        }
        (gamma, solves)
    }

    /// From and to which iteration each launch in turn may go; one launch where they fit.
    fn spans(&self, max_iterations: usize) -> impl Iterator<Item = (u32, u32)> {
        let (all, sweeps) = (u32::try_from(max_iterations).unwrap_or(u32::MAX), self.sweeps);
        let reached = move |launches: u32| launches.saturating_mul(sweeps).min(all);
        (0..all.div_ceil(sweeps).max(1)).map(move |launch| (reached(launch), reached(launch + 1)))
    }
}

/// Iterations that keep a launch below [`MAX_TRIPS`], or `None` where not even one does.
fn sweeps_per_launch(plan: &TilePlan) -> Option<u32> {
    // A launch brings in what lies in shared memory and sums to find the pixels it can use; before every sweep there
    // may be a certificate, which takes a product and sums over the atoms as well.
    let (product, sum) = (plan.trips_per_product(), plan.blocks);
    let start = plan.trips_per_slab() + sum + product + sum;
    let sweeps = MAX_TRIPS.checked_sub(start)? / (2 * product + sum + 1);
    (sweeps > 0).then_some(sweeps as u32)
}
