//! The implicit gradient of a layer: one masked solve per pixel and three products.
//!
//! With `Q_ΛΛ γ_Λ = g_Λ`: `∂L/∂x = Dγ`, `∂L/∂D = Σ xγᵀ − D Σ (γαᵀ + αγᵀ)`, `∂L/∂λ₁ = −Σ γ`, `∂L/∂λ₂ = −Σ αᵀγ`
//! (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix B).

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::kernels::aligned::Aligned;
use crate::kernels::batch_norm::ChannelSums;
use crate::kernels::normalization::Normalization;
use crate::kernels::output::{Unwritten, all_written, unwritten, written};
use crate::kernels::pixels::adjoint::Adjoint;
use crate::kernels::pixels::group::{layer_images, task_images};
use crate::kernels::pixels::planes::Source;
use crate::kernels::pixels::tile::Tile;
use crate::kernels::pixels::weight_gradient::{PatchSums, Transposed, WindowSums, partial_sums, sum_in_order};
use crate::kernels::pixels::window::Window;
use crate::kernels::simd::{SimdLevel, TileShape, TileTask, rows};
use crate::kernels::solve::active_sets::{ActiveSets, Bordered, Outcome, Systems};
use crate::kernels::solve::gauss_seidel::Sweeps;
use crate::kernels::solve::quadratic::Quadratic;
use crate::kernels::solve::sweeps::System;
use crate::profile::{Part, Stopwatch};
use crate::{BackwardOptions, ConvGeometry, SolverError, SolverOptions};

/// A partial sum has at least this many pixels: to solve their systems takes much longer than to clear and add it.
const SUM_PIXELS: usize = 1 << 8;

/// Gradients of a loss with respect to everything the codes depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// `[b, c, h, w]`, if wanted.
    pub x: Option<Vec<f32>>,
    /// `[n, c, k, k]`.
    pub weight: Vec<f32>,
    /// `[n]`.
    pub lambda1: Vec<f32>,
    /// Of the scalar λ₂.
    pub lambda2: f32,
    /// `[b, 2, h', w']`: the price and the relative residual `‖g_Λ − (Q_ΛΛ + ridge·I) γ_Λ‖/‖g_Λ‖` of every pixel's system.
    /// The price is 0 where the system was factorised, 1 where the solution was refined once, and the number of sweeps
    /// where it was not accurate then. NaN is the residual where a pixel's `g_Λ` is not finite.
    pub solves: Vec<f32>,
}

/// The vector-Jacobian product of [`super::forward`] at its solution.
///
/// `x [b, c, h, w]` before it is normalised, `weight [n, c, k, k]`, `codes` and `grad_codes` `[b, n, h', w']`. The
/// gradient of x is computed where `wants_x` asks for it.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in `weight`, λ₂, the ridge or the tolerance, or where finite atoms
/// overflow in Q; [`SolverError::Negative`] for λ₂, the ridge or the tolerance below 0.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn backward(
    geometry: &ConvGeometry,
    x: &[f32],
    normalization: Option<Normalization>,
    weight: &[f32],
    codes: &[f32],
    grad_codes: &[f32],
    options: &SolverOptions,
    wants_x: bool,
    level: SimdLevel,
) -> Result<Gradients, SolverError> {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    if let Some(normalization) = &normalization {
        normalization.check(geometry);
    }
    geometry.check("x", x, geometry.batch * image);
    geometry.check("weight", weight, n * m);
    geometry.check("codes", codes, geometry.batch * n * pixels);
    geometry.check("grad_codes", grad_codes, codes.len());
    options.validate_lambda2()?;
    options.backward.validate()?;
    let mut gradients = Gradients {
        x: None,
        weight: vec![0.0; weight.len()],
        lambda1: vec![0.0; n],
        lambda2: 0.0,
        solves: Vec::new(),
    };
    let reports = geometry.batch * 2 * pixels;
    if codes.is_empty() || image == 0 {
        gradients.x = wants_x.then(|| vec![0.0; x.len()]);
        gradients.solves = vec![0.0; reports];
        return Ok(gradients);
    }
    let mut solves = unwritten(reports);
    let shape = level.shape();
    let diagonal = (options.lambda2 + options.backward.ridge) as f32;
    let mut stopwatch = Stopwatch::start();
    let quadratic = Quadratic::new(weight, n, m, diagonal, level)?;
    let system = System::new(&quadratic, shape);
    let bordered = Bordered::new(&quadratic, shape);
    stopwatch.lap_all(Part::Systems);
    let layer = Layer {
        geometry,
        normalization,
        shape,
        system,
        bordered,
        adjoint: wants_x.then(|| Adjoint::new(geometry, weight, level)),
        options: options.backward,
        images: layer_images(geometry, shape),
    };
    stopwatch.lap_all(Part::Adjoint);
    let images = images_of_task(geometry, shape);
    let tasks = x
        .par_chunks(images * image)
        .zip(codes.par_chunks(images * n * pixels))
        .zip(grad_codes.par_chunks(images * n * pixels))
        .zip(solves.par_chunks_mut(images * 2 * pixels));
    let run = |x, codes, grad_codes, solves, grad_x| {
        level.run(Task {
            layer: &layer,
            x,
            codes,
            grad_codes,
            solves,
            grad_x,
        })
    };
    let mut grad_x = wants_x.then(|| unwritten(x.len()));
    let sums: Vec<Sums> = match &mut grad_x {
        Some(grad_x) => tasks
            .zip(grad_x.par_chunks_mut(images * image))
            .map(|((((x, codes), grad_codes), solves), grad_x)| run(x, codes, grad_codes, solves, Some(grad_x)))
            .collect(),
        None => tasks
            .map(|(((x, codes), grad_codes), solves)| run(x, codes, grad_codes, solves, None))
            .collect(),
    };
    // SAFETY: tiles cover all pixels of all images, and a reader writes all pixels of its images.
    (gradients.x, gradients.solves) = unsafe { (grad_x.map(|x| all_written(x)), all_written(solves)) };
    stopwatch.skip();
    let mut patches = Vec::with_capacity(sums.len());
    let mut products = Vec::with_capacity(sums.len());
    let mut input = ChannelSums::zeros(geometry.channels);
    for Sums { patches: sum, others } in sums {
        input.add(&others.input);
        patches.push(sum);
        products.push(others.codes);
        let lambda1 = gradients.lambda1.iter_mut().zip(&others.lambda1);
        lambda1.for_each(|(total, value)| *total += value);
    }
    let (patches, products) = (sum_in_order(patches), sum_in_order(products));
    if let (Some(grad_x), Some(normalization)) = (&mut gradients.x, &normalization) {
        stopwatch.lap_all(Part::WeightGradient);
        normalization.pass_back(&input, grad_x, x, geometry, level);
        stopwatch.lap_all(Part::BatchNorm);
    }
    gradients.lambda2 = -(0..n).map(|j| products.at(j, j)).sum::<f32>();
    gradients
        .weight
        .par_chunks_exact_mut(m)
        .enumerate()
        .for_each(|(j, grad)| {
            for (i, grad) in grad.iter_mut().enumerate() {
                *grad = patches.at(i, j);
            }
            for (k, atom) in weight.chunks_exact(m).enumerate() {
                let coupling = products.at(k, j) + products.at(j, k);
                grad.iter_mut()
                    .zip(atom)
                    .for_each(|(grad, atom)| *grad -= coupling * atom);
            }
        });
    stopwatch.lap_all(Part::WeightGradient);
    Ok(gradients)
}

/// Images of a task, each of which has a partial sum.
pub(super) fn images_of_task(geometry: &ConvGeometry, shape: TileShape) -> usize {
    let values = (geometry.patch() + geometry.atoms) * geometry.atoms;
    let sums = partial_sums(values, geometry.batch * geometry.pixels(), SUM_PIXELS);
    task_images(geometry.batch, layer_images(geometry, shape), sums)
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    normalization: Option<Normalization<'a>>,
    shape: TileShape,
    system: System,
    bordered: Bordered,
    adjoint: Option<Adjoint>,
    options: BackwardOptions,
    /// Images per group.
    images: usize,
}

/// Sums over pixels.
struct Sums {
    /// `Σ xγᵀ`.
    patches: PatchSums,
    others: OtherSums,
}

/// Sums over pixels that need no images.
struct OtherSums {
    /// `Σ αγᵀ`.
    codes: PatchSums,
    /// `−Σ γ`.
    lambda1: Vec<f32>,
    /// Of the gradient that reaches the normalised input, where it is normalised by the batch.
    input: ChannelSums,
}

/// Consecutive groups of images that share one partial sum.
struct Task<'a> {
    layer: &'a Layer<'a>,
    x: &'a [f32],
    codes: &'a [f32],
    grad_codes: &'a [f32],
    solves: &'a mut Unwritten,
    grad_x: Option<&'a mut Unwritten>,
}

impl TileTask for Task<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> Sums {
        let Layer {
            geometry,
            normalization,
            shape,
            images,
            ..
        } = self.layer;
        let mut stopwatch = Stopwatch::start();
        let (shape, images) = (*shape, *images);
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let mut windows = WindowSums::new(geometry, images, shape);
        let grid = [geometry.output_height(), geometry.output_width()];
        let mut tile = Tile::new(grid, shape);
        let channels = Window::of_channels(n, pixels, shape);
        let mut packed_codes = channels.scratch();
        let mut scratch = Scratch::new(self.layer);
        let mut reader = self
            .layer
            .adjoint
            .as_ref()
            .map(|adjoint| adjoint.reader(geometry, images));
        let mut grad_x = self.grad_x;
        let groups = self.x.chunks(images * image);
        let groups = groups.zip(self.codes.chunks(images * n * pixels));
        let groups = groups.zip(self.grad_codes.chunks(images * n * pixels));
        let groups = groups.zip(self.solves.chunks_mut(images * 2 * pixels));
        for (group, (((x, codes), grad_codes), solves)) in groups.enumerate() {
            let count = x.len() / image;
            for first in (0..count * pixels).step_by(shape.width) {
                tile.place(first, count);
                tile.load(codes, n, &mut scratch.codes);
                tile.load(grad_codes, n, &mut scratch.rhs);
                scratch.solve::<S, R, V>(simd, self.layer, tile.pixels(), &mut stopwatch);
                tile.store(&scratch.report, 2, solves);
                stopwatch.lap(Part::Factorising, 0);
                scratch.take_gamma::<S, V>(simd, first);
                if let Some(reader) = &mut reader {
                    reader.take(&tile, &scratch.gamma, n);
                }
                stopwatch.lap(Part::Planes, 0);
            }
            let Scratch { transposed, sums, .. } = &mut scratch;
            let pixels = count * pixels;
            windows.fill(x, *normalization);
            stopwatch.lap(Part::Planes, 0);
            windows.add::<S, R, V>(simd, count, transposed);
            let source = Source::of_channels(codes, n, grid);
            sums.codes
                .add::<S, R, V>(simd, &channels, source, &mut packed_codes, grid, transposed, pixels);
            let products = (geometry.patch() + n) * n;
            stopwatch.lap(Part::WeightGradient, 2 * (products * pixels) as u64);
            if let (Some(reader), Some(grad_x)) = (&mut reader, &mut grad_x) {
                let grad_x = &mut grad_x[group * images * image..][..count * image];
                reader.fill_taken(count);
                stopwatch.lap(Part::Planes, 0);
                reader.write::<S, R, V>(simd, count, grad_x);
                let products = n * geometry.patch() * pixels;
                stopwatch.lap(Part::Adjoint, 2 * products as u64);
                if let Some(Normalization {
                    mean,
                    scale,
                    of_batch: true,
                }) = normalization
                {
                    let pixels = geometry.height * geometry.width;
                    // SAFETY: the reader has written them.
                    let grad_x = unsafe { written(grad_x) };
                    scratch.sums.input.add_images(grad_x, x, mean, scale, pixels);
                    stopwatch.lap(Part::BatchNorm, 0);
                }
            }
        }
        Sums {
            patches: windows.finish(simd),
            others: scratch.sums,
        }
    }
}

/// What one tile needs, allocated once a task. Rows are `[pixels of the tile]`.
struct Scratch {
    codes: Aligned,
    rhs: Aligned,
    gamma: Aligned,
    /// The price of each pixel's solve, and its residual.
    report: Aligned,
    transposed: Transposed,
    active_sets: ActiveSets,
    outcome: Outcome,
    sweeps: Sweeps,
    sums: OtherSums,
}

impl Scratch {
    fn new(layer: &Layer) -> Self {
        let (n, shape) = (layer.geometry.atoms, layer.shape);
        let atoms = layer.system.atoms();
        let rows = || Aligned::zeros(atoms * shape.width);
        Self {
            codes: rows(),
            rhs: rows(),
            gamma: rows(),
            report: Aligned::zeros(2 * shape.width),
            transposed: Transposed::new(layer.images * layer.geometry.pixels(), n, shape),
            active_sets: ActiveSets::new(n, shape),
            outcome: Outcome::new(shape.width),
            sweeps: Sweeps::new(atoms, shape.width),
            sums: OtherSums {
                codes: PatchSums::new(n, n, shape),
                lambda1: vec![0.0; n],
                input: ChannelSums::zeros(layer.geometry.channels),
            },
        }
    }

    /// `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ` for the tile of `pixels` pixels; γ is 0 in idle lanes.
    #[inline(always)]
    fn solve<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        layer: &Layer,
        pixels: usize,
        stopwatch: &mut Stopwatch,
    ) {
        let systems = Systems {
            matrix: &layer.bordered,
            codes: &self.codes,
            rhs: &self.rhs,
            tolerance: layer.options.tolerance as f32,
        };
        let (gamma, outcome) = (&mut self.gamma, &mut self.outcome);
        self.active_sets
            .solve::<S, R, V>(simd, systems, gamma, outcome, stopwatch);
        let unsolved = outcome.unsolved[..pixels].iter().filter(|&&unsolved| unsolved > 0.0);
        let unsolved = unsolved.count();
        if unsolved > 0 {
            simd.vectorize(Rest::<R, V> {
                sweeps: &mut self.sweeps,
                layer,
                systems,
                unsolved,
                gamma,
                outcome,
                stopwatch,
            });
        }
        let width = V * S::F32_LANES;
        self.report[..width].copy_from_slice(&outcome.refinements);
        self.report[width..].copy_from_slice(&outcome.residual);
    }

    /// Keeps the tile's γ, whose first pixel is the group's pixel `first`, for the sums over pixels.
    #[inline(always)]
    fn take_gamma<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        self.transposed.fill(simd, first, &self.gamma);
        for (gamma, sum) in rows::<S, V>(&self.gamma).iter().zip(&mut self.sums.lambda1) {
            let mut total = gamma[0];
            for v in 1..V {
                total = simd.add_f32s(total, gamma[v]);
            }
            *sum -= simd.reduce_sum_f32s(total);
        }
    }
}

/// What factorisations leave of a tile. Compiled apart, so that neither takes registers from the other.
struct Rest<'a, const R: usize, const V: usize> {
    sweeps: &'a mut Sweeps,
    layer: &'a Layer<'a>,
    systems: Systems<'a>,
    /// Pixels.
    unsolved: usize,
    gamma: &'a mut [f32],
    outcome: &'a mut Outcome,
    stopwatch: &'a mut Stopwatch,
}

impl<const R: usize, const V: usize> WithSimd for Rest<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            sweeps,
            layer,
            systems,
            unsolved,
            gamma,
            outcome,
            stopwatch,
        } = self;
        let spent = sweeps.solve::<S, R, V>(simd, &layer.system, &layer.options, systems, gamma, outcome);
        let swept = layer.geometry.atoms.pow(2) * unsolved * spent;
        stopwatch.lap(Part::BackwardSweeps, 2 * swept as u64);
    }
}
