//! Plain convolutions `[b, c, h, w]` to `[b, n, h', w']`, through the tiles and
//! the product of the sparse-coding layer: the baselines run on kernels as good as its own.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::output::{Unwritten, all_written, unwritten, written};
use super::pixels::adjoint::Adjoint;
use super::pixels::group::{layer_images, task_images};
use super::pixels::planes::Planes;
use super::pixels::tile::Tile;
use super::pixels::weight_gradient::{PatchSums, Transposed, WindowSums, partial_sums, sum_in_order};
use super::pixels::window::Window;
use super::pixels::winograd::{self, Blocks, Winograd};
use super::point::Point;
use super::product::{Packed, correlate};
use super::simd::{SimdLevel, TileShape, TileTask};
use crate::ConvGeometry;
use crate::profile::{Part, Stopwatch};

/// At most this many tasks; each allocates its scratch once.
const TASKS: usize = 64;
/// A partial sum has at least this many pixels, so that clearing and adding it costs little beside them.
const SUM_PIXELS: usize = 1 << 10;
/// So many tasks and more keep the threads busy.
const FEW_TASKS: usize = 32;
/// Fewer atoms than this are not worth a task of their own, which reads all windows.
const LEAST_ATOMS: usize = 64;

/// What is done to the results of some images while they are in the cache.
pub(super) trait Finish: Sync {
    /// Changes the results of the images from the `first` on.
    fn finish<S: Simd>(&self, simd: S, first: usize, results: &mut [f32]);
}

/// Results stay as they are.
struct AsTheyAre;

impl Finish for AsTheyAre {
    #[inline(always)]
    fn finish<S: Simd>(&self, _: S, _: usize, _: &mut [f32]) {}
}

/// The convolution of `x [b, c, h, w]` with `weight [n, c, k, k]`.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn convolution(geometry: &ConvGeometry, x: &[f32], weight: &[f32], level: SimdLevel) -> Vec<f32> {
    finished_convolution(geometry, x, weight, level, &AsTheyAre)
}

/// [`convolution`], whose results are finished.
pub(super) fn finished_convolution(
    geometry: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    level: SimdLevel,
    finish: &impl Finish,
) -> Vec<f32> {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("x", x, geometry.batch * image);
    geometry.check("weight", weight, n * m);
    let length = geometry.batch * n * pixels;
    if length == 0 || image == 0 {
        let mut nothing = vec![0.0; length];
        level.run(Finishing {
            finish,
            results: &mut nothing,
        });
        return nothing;
    }
    let mut output = unwritten(length);
    let shape = level.shape();
    let mut stopwatch = Stopwatch::start();
    let matrix = match winograd::suits(geometry) {
        true => Matrix::Blocks(Winograd::forward(geometry, weight, |_| 1.0, level)),
        false => Matrix::Tiles(Packed::new(n, m, shape.block, |j, i| weight[j * m + i])),
    };
    let layer = Layer {
        geometry,
        shape,
        matrix,
        images: layer_images(geometry, shape),
    };
    stopwatch.lap_all(Part::Product);
    let images = task_images(geometry.batch, layer.images, TASKS);
    x.par_chunks(images * image)
        .zip(output.par_chunks_mut(images * n * pixels))
        .enumerate()
        .for_each(|(task, (x, output))| {
            level.run(Forward {
                layer: &layer,
                first: task * images,
                x,
                output,
                finish,
            })
        });
    // SAFETY: tiles and blocks cover all pixels of all images.
    unsafe { all_written(output) }
}

/// The adjoint of [`convolution`] in `x`: `[b, c, h, w]` of `values [b, n, h', w']`. It is the gradient that reaches `x`,
/// given that of the output, and what a dictionary `weight` makes of codes.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn convolution_adjoint(geometry: &ConvGeometry, values: &[f32], weight: &[f32], level: SimdLevel) -> Vec<f32> {
    finished_adjoint(geometry, values.into(), weight, level, &AsTheyAre)
}

/// [`convolution_adjoint`] at a point, whose results are finished.
pub(super) fn finished_adjoint(
    geometry: &ConvGeometry,
    values: Point,
    weight: &[f32],
    level: SimdLevel,
    finish: &impl Finish,
) -> Vec<f32> {
    let (n, pixels) = (geometry.atoms, geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("the output", values.codes, geometry.batch * n * pixels);
    values.check();
    geometry.check("weight", weight, n * geometry.patch());
    if values.codes.is_empty() || image == 0 {
        let mut nothing = vec![0.0; geometry.batch * image];
        level.run(Finishing {
            finish,
            results: &mut nothing,
        });
        return nothing;
    }
    let mut target = unwritten(geometry.batch * image);
    let shape = level.shape();
    let mut stopwatch = Stopwatch::start();
    let layer = AdjointLayer {
        geometry,
        adjoint: Adjoint::new(geometry, weight, level),
        images: layer_images(geometry, shape),
    };
    stopwatch.lap_all(Part::Adjoint);
    let images = task_images(geometry.batch, layer.images, TASKS);
    target
        .par_chunks_mut(images * image)
        .enumerate()
        .for_each(|(task, target)| {
            level.run(Fold {
                layer: &layer,
                first: task * images,
                values,
                target,
                finish,
            })
        });
    // SAFETY: a reader writes all pixels of its images.
    unsafe { all_written(target) }
}

/// The gradient of the weight `[n, c, k, k]` of [`convolution`], given that of its output `[b, n, h', w']`.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn convolution_weight_gradient(
    geometry: &ConvGeometry,
    x: &[f32],
    grad_output: &[f32],
    level: SimdLevel,
) -> Vec<f32> {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("x", x, geometry.batch * image);
    geometry.check("grad_output", grad_output, geometry.batch * n * pixels);
    let mut grad_weight = vec![0.0; n * m];
    if grad_output.is_empty() || image == 0 {
        return grad_weight;
    }
    let shape = level.shape();
    let group = layer_images(geometry, shape);
    let images = task_images(
        geometry.batch,
        group,
        partial_sums(m * n, geometry.batch * pixels, SUM_PIXELS),
    );
    let tasks = geometry.batch.div_ceil(images);
    let atoms = atoms_per_task(n, tasks);
    grad_weight
        .par_chunks_mut(atoms * m)
        .enumerate()
        .for_each(|(part, grad_weight)| {
            let some = ConvGeometry {
                atoms: grad_weight.len() / m,
                ..*geometry
            };
            let sums: Vec<PatchSums> = x
                .par_chunks(images * image)
                .zip(grad_output.par_chunks(images * n * pixels))
                .map(|(x, grad_output)| {
                    level.run(WeightGradient {
                        geometry: &some,
                        shape,
                        images: group,
                        x,
                        grad_output,
                        first: part * atoms,
                        atoms: n,
                    })
                })
                .collect();
            let sums = sum_in_order(sums);
            grad_weight.par_chunks_exact_mut(m).enumerate().for_each(|(j, grad)| {
                for (i, grad) in grad.iter_mut().enumerate() {
                    *grad = sums.at(i, j);
                }
            });
        });
    grad_weight
}

/// Atoms whose gradients a task sums: all of them, or fewer where `tasks` tasks would leave threads idle.
fn atoms_per_task(atoms: usize, tasks: usize) -> usize {
    let parts = FEW_TASKS.div_ceil(tasks).min(atoms / LEAST_ATOMS).max(1);
    atoms.div_ceil(parts).next_multiple_of(LEAST_ATOMS).min(atoms)
}

/// The weight, as the windows are multiplied by it.
enum Matrix {
    /// Transformed, for blocks of output pixels.
    Blocks(Winograd),
    /// `[n, c·k·k]`, for tiles of them.
    Tiles(Packed),
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    shape: TileShape,
    matrix: Matrix,
    /// Images per group.
    images: usize,
}

/// Results of a convolution with nothing.
struct Finishing<'a, F> {
    finish: &'a F,
    results: &'a mut [f32],
}

impl<F: Finish> TileTask for Finishing<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        self.finish.finish(simd, 0, self.results);
    }
}

struct Forward<'a, F> {
    layer: &'a Layer<'a>,
    /// The first image among all.
    first: usize,
    x: &'a [f32],
    output: &'a mut Unwritten,
    finish: &'a F,
}

impl<F: Finish> TileTask for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Layer {
            geometry,
            shape,
            matrix,
            images,
        } = self.layer;
        let mut stopwatch = Stopwatch::start();
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let products = 2 * (n * geometry.patch() * pixels) as u64;
        let groups = self
            .x
            .chunks(images * image)
            .zip(self.output.chunks_mut(images * n * pixels));
        let firsts = (self.first..).step_by(*images);
        let groups = groups.zip(firsts);
        match matrix {
            Matrix::Blocks(winograd) => {
                let mut blocks = Blocks::new(winograd, *images);
                for ((x, output), first_image) in groups {
                    let images = x.len() / image;
                    blocks.inputs.fill(x, None);
                    stopwatch.lap(Part::Planes, 0);
                    for run in blocks.runs(images) {
                        blocks.compute::<S, R, V>(simd, run, images, &[]);
                        blocks.store_result(simd, output);
                    }
                    // SAFETY: blocks cover all pixels of the group.
                    self.finish.finish(simd, first_image, unsafe { written(output) });
                    stopwatch.lap(Part::Product, products * images as u64);
                }
            }
            Matrix::Tiles(matrix) => {
                let mut planes = Planes::of_input(geometry, *images, *shape);
                let window = Window::patches(geometry, &planes, *shape);
                let mut packed = window.scratch();
                let mut tile = Tile::new([geometry.output_height(), geometry.output_width()], *shape);
                let mut result = Aligned::zeros(n.next_multiple_of(R) * shape.width);
                for ((x, output), first_image) in groups {
                    let images = x.len() / image;
                    planes.fill(x, None);
                    stopwatch.lap(Part::Planes, 0);
                    for first in (0..images * pixels).step_by(shape.width) {
                        tile.place(first, images);
                        let patches = tile.view::<V>(&window, planes.source(), &mut packed);
                        correlate::<S, R, V>(simd, matrix, patches, &[], &mut result);
                        tile.store(&result, n, output);
                    }
                    // SAFETY: tiles cover all pixels of the group.
                    self.finish.finish(simd, first_image, unsafe { written(output) });
                    stopwatch.lap(Part::Product, products * images as u64);
                }
            }
        }
    }
}

struct AdjointLayer<'a> {
    geometry: &'a ConvGeometry,
    adjoint: Adjoint,
    /// Images per group.
    images: usize,
}

struct Fold<'a, F> {
    layer: &'a AdjointLayer<'a>,
    /// The first image among all.
    first: usize,
    /// Of all images.
    values: Point<'a>,
    target: &'a mut Unwritten,
    finish: &'a F,
}

impl<F: Finish> TileTask for Fold<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let AdjointLayer {
            geometry,
            adjoint,
            images,
        } = self.layer;
        let mut stopwatch = Stopwatch::start();
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let mut reader = adjoint.reader(geometry, *images);
        let mut scratch = Vec::new();
        let groups = self.target.chunks_mut(images * image);
        for (target, first) in groups.zip((self.first..).step_by(*images)) {
            let images = target.len() / image;
            let range = first * n * pixels..(first + images) * n * pixels;
            reader.fill(self.values.values(range, &mut scratch));
            stopwatch.lap(Part::Planes, 0);
            reader.write::<S, R, V>(simd, images, target);
            // SAFETY: a reader writes all pixels of its images.
            self.finish.finish(simd, first, unsafe { written(target) });
            let products = n * geometry.patch() * images * pixels;
            stopwatch.lap(Part::Adjoint, 2 * products as u64);
        }
    }
}

struct WeightGradient<'a> {
    geometry: &'a ConvGeometry,
    shape: TileShape,
    /// Images per group.
    images: usize,
    x: &'a [f32],
    grad_output: &'a [f32],
    /// The first of the geometry's atoms among all.
    first: usize,
    /// All atoms.
    atoms: usize,
}

impl TileTask for WeightGradient<'_> {
    type Output = PatchSums;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> PatchSums {
        let Self {
            geometry,
            shape,
            images,
            ..
        } = self;
        let mut stopwatch = Stopwatch::start();
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let mut sums = WindowSums::new(geometry, images, shape);
        let mut transposed = Transposed::new(images * pixels, n, shape);
        let groups = self
            .x
            .chunks(images * image)
            .zip(self.grad_output.chunks(images * self.atoms * pixels));
        for (x, grad_output) in groups {
            let images = x.len() / image;
            let planes = grad_output.chunks_exact(self.atoms * pixels);
            let planes = planes.map(|image| &image[self.first * pixels..][..n * pixels]);
            for (image, planes) in planes.enumerate() {
                transposed.fill_image(simd, image, planes, pixels);
            }
            transposed.clear_idle(images * pixels, S::F32_LANES);
            sums.fill(x, None);
            stopwatch.lap(Part::Planes, 0);
            sums.add::<S, R, V>(simd, images, &transposed);
            let products = n * geometry.patch() * images * pixels;
            stopwatch.lap(Part::WeightGradient, 2 * products as u64);
        }
        sums.finish(simd)
    }
}
