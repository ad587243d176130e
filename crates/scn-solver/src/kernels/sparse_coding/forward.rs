//! The forward solve of a layer: codes and their certificate.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::kernels::aligned::Aligned;
use crate::kernels::normalization::Normalization;
use crate::kernels::output::{Unwritten, all_written, unwritten, written};
use crate::kernels::pixels::group::{layer_images, task_images};
use crate::kernels::pixels::planes::Planes;
use crate::kernels::pixels::tile::Tile;
use crate::kernels::pixels::window::Window;
use crate::kernels::pixels::winograd::{self, Blocks, PIXELS, Winograd};
use crate::kernels::product::{Packed, correlate};
use crate::kernels::simd::{SimdLevel, TileShape, TileTask, mul_add, rows, rows_mut};
use crate::kernels::solve::coordinate_descent::NonNegative;
use crate::kernels::solve::fista::{Momentum, Step};
use crate::kernels::solve::quadratic::Quadratic;
use crate::kernels::solve::scaling::{lanes_to_unit, multiply_rows};
use crate::kernels::solve::stopping::Stopping;
use crate::kernels::solve::sweeps::{Halves, System};
use crate::profile::{Part, Stopwatch};
use crate::{ConvGeometry, ForwardOptions, Method, SolverError, SolverOptions, validation};

/// At most this many tasks; each allocates its scratch once.
const TASKS: usize = 64;

/// Largest values of b between these need no scaling: squares of what is solved for stay far inside the range of f32.
const MODERATE: std::ops::RangeInclusive<f32> = 1.0 / 1048576.0..=1048576.0;
/// Values of images up to this can be transformed in blocks.
const LARGEST: f32 = 1e30;
/// What a negative value of b may be at least where the largest positive one is about 1.
const LEAST: f32 = -1e30;

/// Codes of a batch and what their solves report.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// `[b, n, h', w']`.
    pub codes: Vec<f32>,
    /// `[b, 2, h', w']`: iterations, and the relative natural residual ρ.
    pub solves: Vec<f32>,
    /// `[b, n]`: at how many pixels of each image an atom is active.
    pub active: Vec<f32>,
}

/// Solves the non-negative elastic net (SCN eq. 1) at every output pixel.
///
/// `x [b, c, h, w]`, normalised as it is read, `weight [n, c, k, k]`, `lambda1 [n]`. A tile stops when each of its pixels
/// has ρ ≤ tolerance, or at the cap. A pixel whose patch or problem is not finite gets NaN codes and residual after 0
/// iterations. An atom whose squared norm with λ₂ is below the normal range of f32 counts as zero.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in `weight`, `lambda1`, λ₂ or the tolerance, or where finite atoms
/// overflow in `Q = DᵀD + λ₂I`; [`SolverError::Negative`] for λ₁, λ₂ or a tolerance below 0.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn forward(
    geometry: &ConvGeometry,
    x: &[f32],
    normalization: Option<Normalization>,
    weight: &[f32],
    lambda1: &[f32],
    options: &SolverOptions,
    level: SimdLevel,
) -> Result<Solution, SolverError> {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    if let Some(normalization) = &normalization {
        normalization.check(geometry);
    }
    geometry.check("x", x, geometry.batch * image);
    geometry.check("weight", weight, n * m);
    geometry.check("lambda1", lambda1, n);
    options.validate_lambda2()?;
    options.forward.validate()?;
    validation::finite_and_nonnegative("lambda1", lambda1)?;
    let [codes, solves] = [n, 2].map(|planes| geometry.batch * planes * pixels);
    let mut active = vec![0.0; geometry.batch * n];
    // Without atoms, patches or pixels the codes are empty or zero.
    if codes == 0 || image == 0 {
        return Ok(Solution {
            codes: vec![0.0; codes],
            solves: vec![0.0; solves],
            active,
        });
    }
    let (mut codes, mut solves) = (unwritten(codes), unwritten(solves));
    let shape = level.shape();
    let mut stopwatch = Stopwatch::start();
    let solver = Solver::new(geometry, weight, options, level)?;
    stopwatch.lap_all(Part::Systems);
    let dictionary = Packed::new(n, m, shape.block, |j, i| weight[j * m + i] * solver.scale(j));
    let by_blocks = winograd::suits(geometry) && winograd::is_exact(geometry);
    let winograd = by_blocks.then(|| Winograd::forward(geometry, weight, |j| solver.scale(j), level));
    stopwatch.lap_all(Part::Product);
    let layer = Layer {
        geometry,
        normalization,
        winograd,
        dictionary,
        bias: (0..n).map(|j| -lambda1[j] * solver.scale(j)).collect(),
        solver,
        options: options.forward,
        images: layer_images(geometry, shape),
    };
    let images = images_of_task(geometry, shape);
    x.par_chunks(images * image)
        .zip(codes.par_chunks_mut(images * n * pixels))
        .zip(solves.par_chunks_mut(images * 2 * pixels))
        .zip(active.par_chunks_mut(images * n))
        .for_each(|(((x, codes), solves), active)| {
            level.run(Task {
                layer: &layer,
                level,
                x,
                codes,
                solves,
                active,
            })
        });
    // SAFETY: tiles and blocks cover all pixels of all images.
    let [codes, solves] = [codes, solves].map(|values| unsafe { all_written(values) });
    Ok(Solution { codes, solves, active })
}

/// Images of a task.
pub(super) fn images_of_task(geometry: &ConvGeometry, shape: TileShape) -> usize {
    task_images(geometry.batch, layer_images(geometry, shape), TASKS)
}

/// The matrices of a method.
enum Solver {
    CoordinateDescent { system: System, inverse_lipschitz: f32 },
    Fista { step: Step, restart: bool },
}

impl Solver {
    fn new(
        geometry: &ConvGeometry,
        weight: &[f32],
        options: &SolverOptions,
        level: SimdLevel,
    ) -> Result<Self, SolverError> {
        let (n, m) = (geometry.atoms, geometry.patch());
        let quadratic = Quadratic::new(weight, n, m, options.lambda2 as f32, level)?;
        let method = options.forward.method;
        Ok(match method {
            Method::CoordinateDescent => Self::CoordinateDescent {
                system: System::new(&quadratic, level.shape()),
                inverse_lipschitz: 1.0 / quadratic.lipschitz()?,
            },
            Method::Fista | Method::FistaRestart => Self::Fista {
                step: Step::new(&quadratic, level.shape())?,
                restart: method == Method::FistaRestart,
            },
        })
    }

    /// What row j of b is multiplied by.
    fn scale(&self, j: usize) -> f32 {
        match self {
            Self::CoordinateDescent { system, .. } => system.scale(j),
            Self::Fista { step, .. } => step.scale(j),
        }
    }

    /// Atoms, padded to whole blocks.
    fn atoms(&self) -> usize {
        match self {
            Self::CoordinateDescent { system, .. } => system.atoms(),
            Self::Fista { step, .. } => step.atoms(),
        }
    }
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    normalization: Option<Normalization<'a>>,
    solver: Solver,
    /// D, its atoms multiplied by the solver's scale.
    dictionary: Packed,
    /// The same for blocks of pixels, where they suit the layer.
    winograd: Option<Winograd>,
    /// −λ₁, multiplied likewise.
    bias: Vec<f32>,
    options: ForwardOptions,
    /// Images per group.
    images: usize,
}

/// Some images of the batch and their part of the solution.
struct Task<'a> {
    layer: &'a Layer<'a>,
    level: SimdLevel,
    x: &'a [f32],
    codes: &'a mut Unwritten,
    solves: &'a mut Unwritten,
    active: &'a mut [f32],
}

impl TileTask for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Self { layer, level, .. } = self;
        let mut stopwatch = Stopwatch::start();
        let (geometry, shape) = (layer.geometry, level.shape());
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let mut blocks = layer
            .winograd
            .as_ref()
            .map(|winograd| Blocks::new(winograd, layer.images));
        let mut tiles = None;
        let mut scratch = Scratch::new(layer, shape.width);
        let groups = self.x.chunks(layer.images * image);
        let groups = groups.zip(self.codes.chunks_mut(layer.images * n * pixels));
        let groups = groups.zip(self.solves.chunks_mut(layer.images * 2 * pixels));
        for ((x, codes), solves) in groups {
            let group = Group {
                x,
                images: x.len() / image,
                codes,
                solves,
            };
            match &mut blocks {
                Some(blocks) if is_moderate(x) => {
                    group.solve_blocks::<S, R, V>(simd, layer, blocks, &mut scratch, &mut stopwatch);
                }
                _ => {
                    let tiles = tiles.get_or_insert_with(|| Tiles::new(layer, shape));
                    group.solve_tiles::<S, R, V>(simd, layer, tiles, &mut scratch, &mut stopwatch);
                }
            }
        }
        // SAFETY: the groups are all images of the task.
        let codes = unsafe { written(self.codes) };
        for (active, plane) in self.active.iter_mut().zip(codes.chunks_exact(pixels)) {
            *active = plane.iter().map(|&code| u32::from(code > 0.0)).sum::<u32>() as f32;
        }
        stopwatch.lap(Part::Sweeps, 0);
    }
}

/// Whether blocks of pixels can be transformed: a value that is not finite would reach pixels whose windows have none, and
/// sums of the largest values would overflow.
#[inline(always)]
fn is_moderate(x: &[f32]) -> bool {
    let (vectors, rest) = x.as_chunks::<16>();
    let mut within = [true; 16];
    for vector in vectors {
        for i in 0..16 {
            within[i] &= vector[i].abs() <= LARGEST;
        }
    }
    !within.contains(&false) && rest.iter().all(|x| x.abs() <= LARGEST)
}

/// Planes that are read tile by tile.
struct Tiles {
    planes: Planes,
    window: Window,
    packed: Aligned,
    tile: Tile,
}

impl Tiles {
    fn new(layer: &Layer, shape: TileShape) -> Self {
        let geometry = layer.geometry;
        let planes = Planes::of_input(geometry, layer.images, shape);
        let window = Window::patches(geometry, &planes, shape);
        Self {
            packed: window.scratch(),
            tile: Tile::new([geometry.output_height(), geometry.output_width()], shape),
            planes,
            window,
        }
    }
}

/// A few images and their part of the solution.
struct Group<'a> {
    x: &'a [f32],
    images: usize,
    codes: &'a mut Unwritten,
    solves: &'a mut Unwritten,
}

impl Group<'_> {
    /// With each tile's windows multiplied by the dictionary.
    #[inline(always)]
    fn solve_tiles<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        layer: &Layer,
        tiles: &mut Tiles,
        scratch: &mut Scratch,
        stopwatch: &mut Stopwatch,
    ) {
        let Tiles {
            planes,
            window,
            packed,
            tile,
        } = tiles;
        let (n, m) = (layer.geometry.atoms, layer.geometry.patch());
        planes.fill(self.x, layer.normalization);
        stopwatch.lap(Part::Planes, 0);
        for first in (0..self.images * layer.geometry.pixels()).step_by(V * S::F32_LANES) {
            tile.place(first, self.images);
            let patches = tile.view::<V>(window, planes.source(), packed);
            correlate::<S, R, V>(simd, &layer.dictionary, patches, &layer.bias, &mut scratch.b);
            stopwatch.lap(Part::Product, 2 * (n * m * tile.pixels()) as u64);
            let iterations = scratch.solve::<S, R, V>(simd, layer, tile.pixels());
            tile.store(&scratch.codes, n, self.codes);
            tile.store(&scratch.report, 2, self.solves);
            stopwatch.lap(Part::Sweeps, 2 * (n * n * tile.pixels() * iterations) as u64);
        }
    }

    /// With `Dᵀx` of whole blocks of pixels, whose vectors are then solved a tile at a time.
    #[inline(always)]
    fn solve_blocks<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        layer: &Layer,
        blocks: &mut Blocks,
        scratch: &mut Scratch,
        stopwatch: &mut Stopwatch,
    ) {
        let (n, m, width) = (layer.geometry.atoms, layer.geometry.patch(), V * S::F32_LANES);
        blocks.inputs.fill(self.x, layer.normalization);
        stopwatch.lap(Part::Planes, 0);
        for run in blocks.runs(self.images) {
            blocks.compute::<S, R, V>(simd, run, self.images, &layer.bias);
            stopwatch.lap(Part::Product, 2 * (n * m * PIXELS * blocks.count()) as u64);
            let places = PIXELS * run.1 * S::F32_LANES;
            let mut operations = 0;
            for first in (0..places).step_by(width) {
                let count = width.min(places - first);
                let rows = || (0..n).map(|row| row * places + first);
                for (at, b) in rows().zip(scratch.b.chunks_exact_mut(width)) {
                    b[..count].copy_from_slice(&blocks.result[at..at + count]);
                    b[count..].fill(0.0);
                }
                let iterations = scratch.solve::<S, R, V>(simd, layer, count);
                for (at, codes) in rows().zip(scratch.codes.chunks_exact(width)) {
                    blocks.result[at..at + count].copy_from_slice(&codes[..count]);
                }
                for (kind, report) in scratch.report.chunks_exact(width).enumerate() {
                    scratch.reports[kind * places + first..][..count].copy_from_slice(&report[..count]);
                }
                operations += n * n * count * iterations;
            }
            blocks.store_result(simd, self.codes);
            blocks.store(simd, &scratch.reports, 2, self.solves);
            stopwatch.lap(Part::Sweeps, 2 * operations as u64);
        }
    }
}

/// What one tile needs, allocated once a task. Rows are `[pixels of the tile]`.
struct Scratch {
    /// `b = Dᵀx − λ₁`, its rows multiplied by the solver's scale.
    b: Aligned,
    codes: Aligned,
    /// Iterations and ρ.
    report: Aligned,
    /// The same of the pixels of blocks, `[2][pixels of a block][width]`; empty where there are none.
    reports: Aligned,
    /// 0 where a pixel's b is finite, else NaN.
    defect: Aligned,
    /// The largest positive value of each pixel's b, 0 where there is none.
    largest: Aligned,
    /// What each pixel's b is multiplied by, and what its codes are.
    scales: [Aligned; 2],
    state: State,
}

/// The problems of a tile.
struct Solve<'a, const R: usize, const V: usize> {
    scratch: &'a mut Scratch,
    layer: &'a Layer<'a>,
    pixels: usize,
}

impl<const R: usize, const V: usize> WithSimd for Solve<'_, R, V> {
    /// Iterations.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        self.scratch.solve_tile::<S, R, V>(simd, self.layer, self.pixels)
    }
}

/// What the method keeps between iterations.
enum State {
    CoordinateDescent(Halves),
    Fista(Momentum),
}

impl Scratch {
    fn new(layer: &Layer, width: usize) -> Self {
        let atoms = layer.solver.atoms();
        Self {
            b: Aligned::zeros(atoms * width),
            codes: Aligned::zeros(atoms * width),
            report: Aligned::zeros(2 * width),
            reports: Aligned::zeros(layer.winograd.as_ref().map_or(0, |_| 2 * PIXELS * width)),
            defect: Aligned::zeros(width),
            largest: Aligned::zeros(width),
            scales: [Aligned::zeros(width), Aligned::zeros(width)],
            state: match layer.solver {
                Solver::CoordinateDescent { .. } => State::CoordinateDescent(Halves::new(atoms, width)),
                Solver::Fista { .. } => State::Fista(Momentum::new(atoms, width)),
            },
        }
    }

    /// Solves the tile's problems and reports on its first `pixels`; returns the iterations.
    #[inline(always)]
    fn solve<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer, pixels: usize) -> usize {
        // Compiled once for tiles and blocks.
        simd.vectorize(Solve::<R, V> {
            scratch: self,
            layer,
            pixels,
        })
    }

    #[inline(always)]
    fn solve_tile<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer, pixels: usize) -> usize {
        let width = V * S::F32_LANES;
        self.survey::<S, V>(simd);
        let defective = self.defect.iter().any(|v| v.is_nan());
        if defective {
            self.neutralize(width);
        }
        let scaled = self.largest.iter().any(|&b| b != 0.0 && !MODERATE.contains(&b));
        if scaled {
            self.scale::<S, V>(simd);
        }
        let (iterations, relative) = self.iterate::<S, R, V>(simd, layer);
        if scaled {
            multiply_rows::<S, V>(simd, &mut self.codes, &self.scales[1]);
        }
        let (spent, residuals) = self.report.split_at_mut(width);
        rows_mut::<S, V>(residuals)[0] = relative;
        spent.fill(iterations as f32);
        if defective {
            let defects = self.defect[..pixels]
                .iter()
                .enumerate()
                .filter(|(_, defect)| defect.is_nan());
            for (p, &defect) in defects {
                spent[p] = 0.0;
                residuals[p] = defect;
                for codes in self.codes.chunks_exact_mut(width).take(layer.geometry.atoms) {
                    codes[p] = defect;
                }
            }
        }
        iterations
    }

    /// Looks for defects and for the largest values of b.
    #[inline(always)]
    fn survey<S: Simd, const V: usize>(&mut self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        let (mut defect, mut largest) = ([zero; V], [zero; V]);
        for b in rows::<S, V>(&self.b) {
            for v in 0..V {
                // Zero times infinity or NaN is NaN.
                defect[v] = mul_add(simd, b[v], zero, defect[v]);
                largest[v] = simd.max_f32s(b[v], largest[v]);
            }
        }
        rows_mut::<S, V>(&mut self.defect)[0] = defect;
        rows_mut::<S, V>(&mut self.largest)[0] = largest;
    }

    /// Brings each pixel's b to about 1 by a power of two. Its codes are then multiples of the true ones, and the
    /// squares in their certificate neither overflow nor vanish.
    #[inline(always)]
    fn scale<S: Simd, const V: usize>(&mut self, simd: S) {
        let [to, from] = &mut self.scales;
        let largest = rows::<S, V>(&self.largest)[0];
        for v in 0..V {
            [rows_mut::<S, V>(to)[0][v], rows_mut::<S, V>(from)[0][v]] = lanes_to_unit(simd, largest[v]);
        }
        multiply_rows::<S, V>(simd, &mut self.b, to);
        // Where the largest positive value is tiny, a negative one may leave the range. Its code is 0 in any case.
        let least = simd.splat_f32s(LEAST);
        for b in rows_mut::<S, V>(&mut self.b) {
            for v in 0..V {
                b[v] = simd.max_f32s(b[v], least);
            }
        }
    }

    /// Gives defective pixels a problem whose solution is 0, so that they do not hold up their tile.
    fn neutralize(&mut self, width: usize) {
        for (largest, defect) in self.largest.iter_mut().zip(self.defect.iter()) {
            if defect.is_nan() {
                *largest = 0.0;
            }
        }
        for b in self.b.chunks_exact_mut(width) {
            let defects = b.iter_mut().zip(self.defect.iter());
            defects
                .filter(|(_, defect)| defect.is_nan())
                .for_each(|(b, _)| *b = -1.0);
        }
    }

    /// Iterates until every pixel's ρ is at most the tolerance; returns the iterations and ρ.
    #[inline(always)]
    fn iterate<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer) -> (usize, [S::f32s; V]) {
        let Self { b, codes, state, .. } = self;
        let stopping = Stopping {
            tolerance: layer.options.tolerance as f32,
            max_iterations: layer.options.max_iterations,
            reference: None,
        };
        let (iterations, norms) = match (&layer.solver, state) {
            (
                Solver::CoordinateDescent {
                    system,
                    inverse_lipschitz,
                },
                State::CoordinateDescent(halves),
            ) => {
                let rule = NonNegative {
                    inverse_lipschitz: *inverse_lipschitz,
                };
                halves.solve::<S, _, R, V>(simd, system, b, codes, rule, &stopping)
            }
            (Solver::Fista { step, restart }, State::Fista(momentum)) => {
                momentum.solve::<S, R, V>(simd, step, b, codes, *restart, &stopping)
            }
            _ => unreachable!("the state is made for the layer's solver"),
        };
        (iterations, stopping.relative(simd, &norms))
    }
}
