//! Blocks of output pixels of a group of images.

use pulp::{Simd, WithSimd};

use super::inputs::Inputs;
use super::transform::{INPUT, OUTPUT, output};
use super::{APART, PIXELS, PRODUCTS, Winograd, runs};
use crate::kernels::aligned::Aligned;
use crate::kernels::output::Unwritten;
use crate::kernels::pixels::tile::Tile;
use crate::kernels::product::product;
use crate::kernels::simd::{rows, rows_mut};

/// Some blocks of the images of a group. They are a run of all its blocks, `width` of them at once.
pub(crate) struct Blocks<'a> {
    winograd: &'a Winograd,
    pub(crate) inputs: Inputs,
    tile: Tile,
    /// Their products with the kernels, `[products][output channels][width]`.
    products: Aligned,
    /// `[output channels][pixels of a block][width]`, 0 in idle lanes.
    pub(crate) result: Aligned,
}

/// A run of `W` vectors of blocks: its first block, the images of the group, and the bias.
struct Run<'a, 'b, const R: usize, const W: usize>(&'a mut Blocks<'b>, usize, usize, &'a [f32]);

impl<const R: usize, const W: usize> WithSimd for Run<'_, '_, R, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(blocks, first, images, bias) = self;
        blocks.compute_vectors::<S, R, W>(simd, first, images, bias);
    }
}

impl<'a> Blocks<'a> {
    /// With room for `images` images.
    pub(crate) fn new(winograd: &'a Winograd, images: usize) -> Self {
        let Winograd {
            channels: [inputs, outputs],
            input,
            border,
            shape,
            ..
        } = *winograd;
        let grid = winograd.grid();
        Self {
            inputs: Inputs::new(images, inputs, input, border, grid, shape),
            tile: Tile::new(grid, shape),
            products: Aligned::unspecified(PRODUCTS * (outputs.next_multiple_of(shape.block) * shape.width + APART)),
            result: Aligned::unspecified(outputs * PIXELS * shape.width),
            winograd,
        }
    }

    /// The runs that the blocks of `images` images come in: the first block of each, and how many vectors it has.
    pub(crate) fn runs(&self, images: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [rows, columns] = self.winograd.grid();
        runs(images * rows * columns, self.winograd.shape)
    }

    /// Computes `vectors` vectors of blocks from block `first` of `images` images; `bias` is added to the output channels
    /// that it has a value for.
    #[inline(always)]
    pub(crate) fn compute<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        (first, vectors): (usize, usize),
        images: usize,
        bias: &[f32],
    ) {
        // Compiled once for all operations.
        match vectors {
            1 => simd.vectorize(Run::<R, 1>(self, first, images, bias)),
            2 => simd.vectorize(Run::<R, 2>(self, first, images, bias)),
            _ => simd.vectorize(Run::<R, V>(self, first, images, bias)),
        }
    }

    #[inline(always)]
    fn compute_vectors<S: Simd, const R: usize, const W: usize>(
        &mut self,
        simd: S,
        first: usize,
        images: usize,
        bias: &[f32],
    ) {
        self.tile.resize(W * S::F32_LANES);
        self.tile.place(first, images);
        self.inputs.transform::<S, W>(simd, first, images);
        self.multiply::<S, R, W>(simd);
        self.transform_outputs::<S, R, W>(simd, bias);
        let (width, count) = (W * S::F32_LANES, self.count());
        if count < width {
            for lanes in self.result.chunks_exact_mut(width) {
                lanes[count..].fill(0.0);
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Simd, const R: usize, const W: usize>(&mut self, simd: S) {
        let [inputs, outputs] = self.winograd.channels;
        let width = W * S::F32_LANES;
        let blocks = outputs.div_ceil(R);
        let targets = self.products.chunks_exact_mut(blocks * R * width + APART);
        for (i, (source, target)) in self.inputs.matrices(width).zip(targets).enumerate() {
            let source = rows::<S, W>(&source[..inputs * width]);
            let target = rows_mut::<S, W>(&mut target[..blocks * R * width])
                .as_chunks_mut::<R>()
                .0;
            for (block, target) in target.iter_mut().enumerate() {
                let zero = [[simd.splat_f32s(0.0); W]; R];
                *target = product(simd, self.winograd.kernels::<R>(block, i), source, zero);
            }
        }
    }

    #[inline(always)]
    fn transform_outputs<S: Simd, const R: usize, const W: usize>(&mut self, simd: S, bias: &[f32]) {
        let [_, outputs] = self.winograd.channels;
        let matrix = outputs.next_multiple_of(R) * W * S::F32_LANES + APART;
        let results = self.result.chunks_exact_mut(PIXELS * W * S::F32_LANES);
        for (channel, result) in results.take(outputs).enumerate() {
            let bias = simd.splat_f32s(bias.get(channel).copied().unwrap_or(0.0));
            let result = rows_mut::<S, W>(result);
            for v in 0..W {
                let at = (channel * W + v) * S::F32_LANES;
                let mut m = [[bias; INPUT]; INPUT];
                for j in 0..INPUT {
                    for i in 0..INPUT {
                        let source = &self.products[(j * INPUT + i) * matrix + at..][..S::F32_LANES];
                        m[j][i] = rows::<S, 1>(source)[0][0];
                    }
                }
                let pixels = output(simd, &m);
                for y in 0..OUTPUT {
                    for x in 0..OUTPUT {
                        result[y * OUTPUT + x][v] = simd.add_f32s(pixels[y][x], bias);
                    }
                }
            }
        }
    }

    /// Writes `rows` planes `[rows][pixels of a block][width]` of the last run's blocks to the group's images `[images, rows,
    /// h, w]`.
    #[inline(always)]
    pub(crate) fn store<S: Simd>(&self, simd: S, values: &[f32], rows: usize, target: &mut Unwritten) {
        self.tile.store_blocks(simd, values, rows, target, self.winograd.output);
    }

    /// Writes the result to the group's images `[images, output channels, h, w]`.
    #[inline(always)]
    pub(crate) fn store_result<S: Simd>(&self, simd: S, target: &mut Unwritten) {
        self.store(simd, &self.result, self.winograd.channels[1], target);
    }

    /// Blocks of the last run that belong to images.
    pub(crate) fn count(&self) -> usize {
        self.tile.pixels()
    }
}
