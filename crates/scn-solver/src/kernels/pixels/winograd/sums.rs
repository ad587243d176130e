//! The gradient of the kernels: the transpose of the forward transforms around sums over blocks,
//! `∂L/∂W = Gᵀ[Σ (Bᵀ X B) ⊙ (A Γ Aᵀ)]G` for the gradients Γ of the blocks' output pixels.

use pulp::{Simd, WithSimd};

use super::inputs::Inputs;
use super::transform::{INPUT, KERNEL, OUTPUT, gradient, kernel_gradient};
use super::{APART, PRODUCTS, runs};
use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::pixels::weight_gradient::{PatchSums, Transposed};
use crate::kernels::product::{Rows, outer_product};
use crate::kernels::simd::{TileShape, rows, rows_mut};

/// Sums over the blocks of groups of images.
pub(crate) struct BlockSums {
    pub(crate) inputs: Inputs,
    channels: usize,
    atoms: usize,
    /// Atoms, padded to whole vectors.
    columns: usize,
    /// Rows and columns of output pixels.
    output: [usize; 2],
    shape: TileShape,
    /// `A Γ Aᵀ`: `[products]` matrices `[blocks][columns]`.
    gradients: Aligned,
    /// `[products]` matrices `[channels][columns]`.
    sums: Aligned,
}

/// A run of `W` vectors of blocks: its first block, the images of the group, and their gradients.
struct Add<'a, const R: usize, const W: usize>(&'a mut BlockSums, usize, usize, &'a Transposed);

impl<const R: usize, const W: usize> WithSimd for Add<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(sums, first, images, gradients) = self;
        sums.add_run::<S, R, W>(simd, first, images, gradients);
    }
}

impl BlockSums {
    /// Zero, with room for `images` images.
    pub(crate) fn new(geometry: &ConvGeometry, images: usize, shape: TileShape) -> Self {
        let ConvGeometry { channels, atoms, .. } = *geometry;
        let output = [geometry.output_height(), geometry.output_width()];
        let grid = output.map(|side| side.div_ceil(OUTPUT));
        let sides = [geometry.height, geometry.width];
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            inputs: Inputs::new(images, channels, sides, geometry.padding, grid, shape),
            channels,
            atoms,
            columns,
            output,
            shape,
            gradients: Aligned::unspecified(PRODUCTS * (shape.width * columns + APART)),
            sums: Aligned::zeros(PRODUCTS * (channels.next_multiple_of(shape.block) * columns + APART)),
        }
    }

    /// Adds `images` images with the gradients of their output pixels.
    #[inline(always)]
    pub(crate) fn add<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        images: usize,
        gradients: &Transposed,
    ) {
        let [rows, columns] = self.output.map(|side| side.div_ceil(OUTPUT));
        for (first, vectors) in runs(images * rows * columns, self.shape) {
            match vectors {
                1 => simd.vectorize(Add::<R, 1>(self, first, images, gradients)),
                2 => simd.vectorize(Add::<R, 2>(self, first, images, gradients)),
                _ => simd.vectorize(Add::<R, V>(self, first, images, gradients)),
            }
        }
    }

    #[inline(always)]
    fn add_run<S: Simd, const R: usize, const W: usize>(
        &mut self,
        simd: S,
        first: usize,
        images: usize,
        gradients: &Transposed,
    ) {
        let width = W * S::F32_LANES;
        self.inputs.transform::<S, W>(simd, first, images);
        for block in 0..width {
            self.transform_gradients::<S>(simd, first + block, block, width, images, gradients);
        }
        let offsets: Vec<usize> = (0..self.channels.next_multiple_of(R))
            .map(|channel| channel.min(self.channels - 1) * width)
            .collect();
        let mut bases = [0; W];
        for (v, base) in bases.iter_mut().enumerate() {
            *base = v * S::F32_LANES;
        }
        let gradients = self.gradients.chunks_exact(width * self.columns + APART);
        let size = self.channels.next_multiple_of(R) * self.columns;
        let sums = self.sums.chunks_exact_mut(size + APART);
        for ((inputs, gradients), sums) in self.inputs.matrices(width).zip(gradients).zip(sums) {
            let left = Rows {
                values: inputs,
                offsets: &offsets,
                reach: (self.channels - 1) * width,
            };
            outer_product::<S, R>(simd, left, &bases, gradients, &mut sums[..size], self.columns);
        }
    }

    /// Transforms the gradients of block `block` of a group, 0 beyond the last, to place `place` of `width`.
    #[inline(always)]
    fn transform_gradients<S: Simd>(
        &mut self,
        simd: S,
        block: usize,
        place: usize,
        width: usize,
        images: usize,
        gradients: &Transposed,
    ) {
        let zero = simd.splat_f32s(0.0);
        let [height, columns] = self.output;
        let [rows_of_blocks, blocks] = self.output.map(|side| side.div_ceil(OUTPUT));
        let (image, block) = (block / (rows_of_blocks * blocks), block % (rows_of_blocks * blocks));
        let (top, left) = (block / blocks * OUTPUT, block % blocks * OUTPUT);
        let reach = [height - top, columns - left].map(|rest| if image < images { rest.min(OUTPUT) } else { 0 });
        let first = (image * height + top) * columns + left;
        let matrix = width * self.columns + APART;
        for atoms in (0..self.columns).step_by(S::F32_LANES) {
            let mut pixels = [[zero; OUTPUT]; OUTPUT];
            for y in 0..reach[0] {
                for x in 0..reach[1] {
                    let values = &gradients.pixel(first + y * columns + x)[atoms..][..S::F32_LANES];
                    pixels[x][y] = rows::<S, 1>(values)[0][0];
                }
            }
            let transformed = gradient(simd, &pixels);
            for j in 0..INPUT {
                for i in 0..INPUT {
                    let at = (j * INPUT + i) * matrix + place * self.columns + atoms;
                    rows_mut::<S, 1>(&mut self.gradients[at..][..S::F32_LANES])[0][0] = transformed[j][i];
                }
            }
        }
    }

    /// The sums for window values and atoms.
    #[inline(always)]
    pub(crate) fn finish<S: Simd>(self, simd: S) -> PatchSums {
        let patch = KERNEL * KERNEL;
        let mut patches = PatchSums::new(self.channels * patch, self.atoms, self.shape);
        let matrix = self.channels.next_multiple_of(self.shape.block) * self.columns + APART;
        for channel in 0..self.channels {
            for atoms in (0..self.columns).step_by(S::F32_LANES) {
                let mut sums = [[simd.splat_f32s(0.0); INPUT]; INPUT];
                for j in 0..INPUT {
                    for i in 0..INPUT {
                        let at = (j * INPUT + i) * matrix + channel * self.columns + atoms;
                        sums[j][i] = rows::<S, 1>(&self.sums[at..][..S::F32_LANES])[0][0];
                    }
                }
                let kernel = kernel_gradient(simd, &sums);
                for y in 0..KERNEL {
                    for x in 0..KERNEL {
                        let row = patches.row_mut(channel * patch + y * KERNEL + x);
                        rows_mut::<S, 1>(&mut row[atoms..][..S::F32_LANES])[0][0] = kernel[y][x];
                    }
                }
            }
        }
        patches
    }
}
