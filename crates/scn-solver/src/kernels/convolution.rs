//! Plain convolutions `[b, c, h, w]` to `[b, n, h', w']`, through the tiles and
//! the product of the sparse-coding layer: the baselines run on kernels as good as its own.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::pixels::adjoint::Adjoint;
use super::pixels::group::{group_images, task_images};
use super::pixels::planes::Planes;
use super::pixels::tile::Tile;
use super::pixels::weight_gradient::{PatchSums, Transposed, partial_sums, sum_in_order};
use super::pixels::window::Window;
use super::product::{Packed, correlate};
use super::simd::{SimdLevel, TileShape, TileTask};
use crate::ConvGeometry;
use crate::profile::{Part, Stopwatch};

/// At most this many tasks; each allocates its scratch once.
const TASKS: usize = 64;

/// The convolution of `x [b, c, h, w]` with `weight [n, c, k, k]`.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn convolution(geometry: &ConvGeometry, x: &[f32], weight: &[f32], level: SimdLevel) -> Vec<f32> {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("x", x, geometry.batch * image);
    geometry.check("weight", weight, n * m);
    let mut output = vec![0.0; geometry.batch * n * pixels];
    if output.is_empty() || image == 0 {
        return output;
    }
    let shape = level.shape();
    let mut stopwatch = Stopwatch::start();
    let layer = Layer {
        geometry,
        shape,
        matrix: Packed::new(n, m, shape.block, |j, i| weight[j * m + i]),
        images: group_images(pixels, shape.width),
    };
    stopwatch.lap_all(Part::Convolution);
    let images = task_images(geometry.batch, layer.images, TASKS);
    x.par_chunks(images * image)
        .zip(output.par_chunks_mut(images * n * pixels))
        .for_each(|(x, output)| {
            level.run(Forward {
                layer: &layer,
                x,
                output,
            })
        });
    output
}

/// The adjoint of [`convolution`] in `x`: `[b, c, h, w]` of `values [b, n, h', w']`. It is the gradient that reaches `x`,
/// given that of the output, and what a dictionary `weight` makes of codes.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn convolution_adjoint(geometry: &ConvGeometry, values: &[f32], weight: &[f32], level: SimdLevel) -> Vec<f32> {
    let (n, pixels) = (geometry.atoms, geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    geometry.check("the output", values, geometry.batch * n * pixels);
    geometry.check("weight", weight, n * geometry.patch());
    let mut target = vec![0.0; geometry.batch * image];
    if values.is_empty() || image == 0 {
        return target;
    }
    let shape = level.shape();
    let mut stopwatch = Stopwatch::start();
    let layer = AdjointLayer {
        geometry,
        adjoint: Adjoint::new(geometry, weight, shape),
        images: group_images(pixels, shape.width),
    };
    stopwatch.lap_all(Part::Convolution);
    let images = task_images(geometry.batch, layer.images, TASKS);
    values
        .par_chunks(images * n * pixels)
        .zip(target.par_chunks_mut(images * image))
        .for_each(|(values, target)| {
            level.run(Fold {
                layer: &layer,
                values,
                target,
            })
        });
    target
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
    let group = group_images(pixels, shape.width);
    let images = task_images(geometry.batch, group, partial_sums(m * n, geometry.batch * pixels));
    let sums: Vec<PatchSums> = x
        .par_chunks(images * image)
        .zip(grad_output.par_chunks(images * n * pixels))
        .map(|(x, grad_output)| {
            level.run(WeightGradient {
                geometry,
                shape,
                images: group,
                x,
                grad_output,
            })
        })
        .collect();
    let mut stopwatch = Stopwatch::start();
    let sums = sum_in_order(sums);
    grad_weight.par_chunks_exact_mut(m).enumerate().for_each(|(j, grad)| {
        for (i, grad) in grad.iter_mut().enumerate() {
            *grad = sums.at(i, j);
        }
    });
    stopwatch.lap_all(Part::Convolution);
    grad_weight
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    shape: TileShape,
    matrix: Packed,
    /// Images per group.
    images: usize,
}

struct Forward<'a> {
    layer: &'a Layer<'a>,
    x: &'a [f32],
    output: &'a mut [f32],
}

impl TileTask for Forward<'_> {
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
        let mut planes = Planes::of_input(geometry, *images, *shape);
        let window = Window::patches(geometry, &planes, *shape);
        let mut packed = window.scratch();
        let mut tile = Tile::new([geometry.output_height(), geometry.output_width()], *shape);
        let mut result = Aligned::zeros(n.next_multiple_of(R) * shape.width);
        let groups = self
            .x
            .chunks(images * image)
            .zip(self.output.chunks_mut(images * n * pixels));
        for (x, output) in groups {
            let images = x.len() / image;
            planes.fill(x, None);
            for first in (0..images * pixels).step_by(shape.width) {
                tile.place(first, images);
                let patches = tile.view::<V>(&window, planes.source(), &mut packed);
                correlate::<S, R, V>(simd, matrix, patches, &[], &mut result);
                tile.store(&result, n, output);
            }
            let products = n * geometry.patch() * images * pixels;
            stopwatch.lap(Part::Convolution, 2 * products as u64);
        }
    }
}

struct AdjointLayer<'a> {
    geometry: &'a ConvGeometry,
    adjoint: Adjoint,
    /// Images per group.
    images: usize,
}

struct Fold<'a> {
    layer: &'a AdjointLayer<'a>,
    values: &'a [f32],
    target: &'a mut [f32],
}

impl TileTask for Fold<'_> {
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
        let groups = self
            .values
            .chunks(images * n * pixels)
            .zip(self.target.chunks_mut(images * image));
        for (values, target) in groups {
            let images = target.len() / image;
            reader.planes.fill(values, None);
            reader.write::<S, R, V>(simd, images, target);
            let products = n * geometry.patch() * images * pixels;
            stopwatch.lap(Part::Convolution, 2 * products as u64);
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
        let mut planes = Planes::of_input(geometry, images, shape);
        let window = Window::patches(geometry, &planes, shape);
        let mut packed = window.scratch();
        let mut sums = PatchSums::new(geometry.patch(), n, shape);
        let mut transposed = Transposed::new(images * pixels, n, shape);
        let grid = [geometry.output_height(), geometry.output_width()];
        let mut tile = Tile::new(grid, shape);
        let mut grad = Aligned::zeros(n * shape.width);
        let groups = self
            .x
            .chunks(images * image)
            .zip(self.grad_output.chunks(images * n * pixels));
        for (x, grad_output) in groups {
            let images = x.len() / image;
            planes.fill(x, None);
            for first in (0..images * pixels).step_by(shape.width) {
                tile.place(first, images);
                tile.load(grad_output, n, &mut grad);
                transposed.fill(first, &grad);
            }
            let (source, pixels) = (planes.source(), images * pixels);
            sums.add::<S, R, V>(simd, &window, source, &mut packed, grid, &transposed, pixels);
            let products = n * geometry.patch() * pixels;
            stopwatch.lap(Part::Convolution, 2 * products as u64);
        }
        sums
    }
}
