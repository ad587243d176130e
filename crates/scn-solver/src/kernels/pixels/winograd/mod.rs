//! Convolutions with 3×3 kernels at stride 1 by Winograd's minimal filtering, F(4×4, 3×3) (Lavin & Gray,
//! arXiv:1509.09308): a quarter of the multiplications of the direct product, in 36 matrix products.
//!
//! SIMD lanes are blocks of 4×4 output pixels. `images` lays the images out so that a vector of one of the 36 input values of
//! consecutive blocks takes few loads; [`Blocks`] transforms them, multiplies and transforms back.

mod blocks;
mod images;
mod inputs;
mod sums;
mod transform;

pub(crate) use blocks::Blocks;
pub(crate) use sums::BlockSums;

use pulp::Simd;
use rayon::prelude::*;

use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::{SimdLevel, TileShape, TileTask};
use transform::{INPUT, KERNEL, OUTPUT};

/// Products for each pair of channels and block.
const PRODUCTS: usize = INPUT * INPUT;
/// Between matrices, so that the same places of all of them do not meet in one set of the cache.
const APART: usize = 16;
/// Pixels of a block.
pub(crate) const PIXELS: usize = OUTPUT * OUTPUT;
/// With fewer channels on either side the transforms take what the products save.
const LEAST_CHANNELS: usize = 8;
/// With fewer blocks in a batch the kernels take as long to transform as the products save, and there are few tasks.
const LEAST_BLOCKS: usize = 128;
/// More pairs of channels than this have transformed kernels that outgrow every cache (75 MB).
const MOST_PAIRS: usize = 1 << 19;
/// Pixels of blocks may be so many times those of the image.
const WASTE: f64 = 1.6;

/// A convolution, its kernels transformed.
pub(crate) struct Winograd {
    /// Channels of the input and of the output.
    channels: [usize; 2],
    /// Rows and columns of the input and of the output.
    input: [usize; 2],
    output: [usize; 2],
    /// Zeros around the input.
    border: usize,
    /// `[blocks of output channels][products][input channels][R]`.
    kernels: Aligned,
    shape: TileShape,
}

/// Whether a layer's convolution, and its adjoint, are computed this way.
pub(crate) fn suits(geometry: &ConvGeometry) -> bool {
    let ConvGeometry {
        batch,
        channels,
        atoms,
        kernel,
        stride,
        dilation,
        padding,
        height,
        width,
        ..
    } = *geometry;
    let fits = |rows: usize, columns: usize| {
        let blocks = rows.div_ceil(OUTPUT) * columns.div_ceil(OUTPUT);
        batch.saturating_mul(blocks) >= LEAST_BLOCKS && (blocks * PIXELS) as f64 <= WASTE * (rows * columns) as f64
    };
    kernel == KERNEL
        && [stride, dilation] == [1, 1]
        && padding < KERNEL
        && channels.min(atoms) >= LEAST_CHANNELS
        && channels.saturating_mul(atoms) <= MOST_PAIRS
        && fits(height, width)
        && fits(geometry.output_height(), geometry.output_width())
}

/// Whether blocks cover a layer's output pixels and no others.
pub(crate) fn is_exact(geometry: &ConvGeometry) -> bool {
    geometry.output_height().is_multiple_of(OUTPUT) && geometry.output_width().is_multiple_of(OUTPUT)
}

/// Vectors of blocks that a group has, unless there are few groups: each reads all kernels.
const VECTORS: usize = 2;
/// A batch is divided into so many groups at least, if whole vectors allow it, for as many threads.
const GROUPS: usize = 32;

/// Images per group of a layer's passes: whole vectors of blocks.
pub(crate) fn group_images(geometry: &ConvGeometry, shape: TileShape) -> usize {
    let sides = [geometry.output_height(), geometry.output_width()];
    let [rows, columns] = sides.map(|side| side.div_ceil(OUTPUT));
    let fills = |count: &usize| (count * rows * columns).is_multiple_of(shape.lanes);
    let least = (1..shape.lanes).find(fills).unwrap_or(shape.lanes);
    let of_vectors = |vectors: usize| (vectors * shape.lanes).div_ceil(rows * columns).next_multiple_of(least);
    let images = of_vectors(VECTORS);
    match geometry.batch.div_ceil(images) < GROUPS {
        true => of_vectors(1),
        false => images,
    }
}

/// The runs that `blocks` blocks come in: the first block of each, and how many vectors it has.
fn runs(blocks: usize, shape: TileShape) -> impl Iterator<Item = (usize, usize)> {
    let most = shape.width / shape.lanes;
    let vectors = blocks.div_ceil(shape.lanes);
    let runs = vectors.div_ceil(most);
    // Of nearly the same length, as the last would be short.
    (0..runs).map(move |run| {
        let [first, end] = [run, run + 1].map(|run| run * vectors / runs);
        (first * shape.lanes, end - first)
    })
}

impl Winograd {
    /// The convolution of a layer with `weight [n, c, 3, 3]`, whose atoms are multiplied by `scale`.
    pub(crate) fn forward(
        geometry: &ConvGeometry,
        weight: &[f32],
        scale: impl Fn(usize) -> f32 + Sync,
        level: SimdLevel,
    ) -> Self {
        let ConvGeometry {
            channels,
            atoms,
            padding,
            ..
        } = *geometry;
        let taps = |atom: usize, channel: usize| {
            let scale = f64::from(scale(atom));
            let weight = &weight[(atom * channels + channel) * KERNEL * KERNEL..][..KERNEL * KERNEL];
            std::array::from_fn(|place| scale * f64::from(weight[place]))
        };
        Self {
            channels: [channels, atoms],
            input: [geometry.height, geometry.width],
            output: [geometry.output_height(), geometry.output_width()],
            border: padding,
            kernels: transformed([channels, atoms], taps, level),
            shape: level.shape(),
        }
    }

    /// The adjoint of [`Self::forward`]: a convolution of the layer's output with the kernels turned round.
    pub(crate) fn adjoint(geometry: &ConvGeometry, weight: &[f32], level: SimdLevel) -> Self {
        let ConvGeometry {
            channels,
            atoms,
            padding,
            ..
        } = *geometry;
        let taps = |channel: usize, atom: usize| {
            let weight = &weight[(atom * channels + channel) * KERNEL * KERNEL..][..KERNEL * KERNEL];
            std::array::from_fn(|place| f64::from(weight[KERNEL * KERNEL - 1 - place]))
        };
        Self {
            channels: [atoms, channels],
            input: [geometry.output_height(), geometry.output_width()],
            output: [geometry.height, geometry.width],
            border: KERNEL - 1 - padding,
            kernels: transformed([atoms, channels], taps, level),
            shape: level.shape(),
        }
    }

    /// Rows and columns of blocks.
    fn grid(&self) -> [usize; 2] {
        self.output.map(|side| side.div_ceil(OUTPUT))
    }

    /// The transformed kernels of a block of output channels for one product, column by column of the transform: `R` values for each input channel.
    #[inline(always)]
    fn kernels<const R: usize>(&self, block: usize, product: usize) -> &[[f32; R]] {
        let [channels, _] = self.channels;
        let values = &self.kernels[(block * PRODUCTS + product) * channels * R..][..channels * R];
        values.as_chunks::<R>().0
    }
}

/// Kernels `taps(output, input)` of so many input and output channels, transformed and packed.
fn transformed<F>([inputs, outputs]: [usize; 2], taps: F, level: SimdLevel) -> Aligned
where
    F: Fn(usize, usize) -> [f64; KERNEL * KERNEL] + Sync,
{
    let block = level.shape().block;
    let mut kernels = Aligned::zeros(outputs.div_ceil(block) * PRODUCTS * inputs * block);
    kernels
        .par_chunks_mut((PRODUCTS * inputs * block).max(1))
        .enumerate()
        .for_each(|(i, target)| {
            level.run(TransformBlock {
                taps: &taps,
                first: i * block,
                channels: [inputs, outputs],
                target,
            })
        });
    kernels
}

/// A block of output channels.
struct TransformBlock<'a, F> {
    taps: &'a F,
    first: usize,
    channels: [usize; 2],
    target: &'a mut [f32],
}

impl<F: Fn(usize, usize) -> [f64; KERNEL * KERNEL]> TileTask for TransformBlock<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) {
        let [inputs, outputs] = self.channels;
        let target = self.target.as_chunks_mut::<R>().0;
        for input in 0..inputs {
            let mut taps = [[[0.0; R]; KERNEL]; KERNEL];
            for r in 0..R.min(outputs - self.first) {
                let kernel = (self.taps)(self.first + r, input);
                for (place, tap) in kernel.into_iter().enumerate() {
                    taps[place / KERNEL][place % KERNEL][r] = tap;
                }
            }
            let transformed = transform::kernel(&taps);
            for (product, values) in transformed.as_flattened().iter().enumerate() {
                let target = &mut target[product * inputs + input];
                for r in 0..R {
                    target[r] = values[r] as f32;
                }
            }
        }
    }
}
