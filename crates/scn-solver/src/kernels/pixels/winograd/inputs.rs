//! Input blocks of a group of images, transformed: `Bᵀ X B`.

use pulp::Simd;

use super::images::{Images, Lanes};
use super::transform::{INPUT, OUTPUT, input};
use super::{APART, PRODUCTS};
use crate::kernels::aligned::Aligned;
use crate::kernels::normalization::Normalization;
use crate::kernels::simd::{TileShape, rows_mut};

/// Some of the input blocks of a group of images.
pub(crate) struct Inputs {
    images: Images,
    channels: usize,
    /// `[products]` matrices `[channels][blocks]`, each [`Self::matrix`] values long.
    values: Aligned,
}

impl Inputs {
    /// With room for `images` images `channels × sides` and for a tile of blocks.
    pub(super) fn new(
        images: usize,
        channels: usize,
        sides: [usize; 2],
        border: usize,
        grid: [usize; 2],
        shape: TileShape,
    ) -> Self {
        Self {
            images: Images::new(images, channels, sides, border, grid),
            channels,
            values: Aligned::unspecified(PRODUCTS * Self::matrix(channels, shape.width)),
        }
    }

    /// Values of a matrix of `width` blocks.
    pub(super) fn matrix(channels: usize, width: usize) -> usize {
        channels * width + APART
    }

    /// Copies in `images [images, c, h, w]`, at most as many as there is room for, normalised.
    #[inline(always)]
    pub(crate) fn fill(&mut self, images: &[f32], normalization: Option<Normalization>) {
        self.images.fill(images, normalization);
    }

    /// The matrices of `width` blocks.
    #[inline(always)]
    pub(super) fn matrices(&self, width: usize) -> impl Iterator<Item = &[f32]> {
        let matrix = Self::matrix(self.channels, width);
        self.values.chunks_exact(matrix).take(PRODUCTS)
    }

    /// Transforms `W` vectors of blocks from block `first` of `images` images; lanes beyond the last block repeat it.
    #[inline(always)]
    pub(super) fn transform<S: Simd, const W: usize>(&mut self, simd: S, first: usize, images: usize) {
        let matrix = Self::matrix(self.channels, W * S::F32_LANES);
        let mut lanes = [Lanes::default(); W];
        for (v, lanes) in lanes.iter_mut().enumerate() {
            *lanes = self.images.lanes::<S>(first + v * S::F32_LANES, images);
            // The last row of a block does not lie last: rows are split by their residues.
            let last = [OUTPUT - 1, INPUT - 1].map(|i| self.images.place(self.channels - 1, i, INPUT - 1));
            self.images.check(last[0].max(last[1]) + lanes.reach);
        }
        for channel in 0..self.channels {
            for v in 0..W {
                let mut x = [[simd.splat_f32s(0.0); INPUT]; INPUT];
                for i in 0..INPUT {
                    for j in 0..INPUT {
                        let place = self.images.place(channel, i, j);
                        // SAFETY: no place lies beyond those that were checked.
                        x[j][i] = unsafe { self.images.gather(simd, place, &lanes[v]) };
                    }
                }
                let x = input(simd, &x);
                let at = (channel * W + v) * S::F32_LANES;
                for j in 0..INPUT {
                    for i in 0..INPUT {
                        let target = &mut self.values[(j * INPUT + i) * matrix + at..][..S::F32_LANES];
                        rows_mut::<S, 1>(target)[0][0] = x[j][i];
                    }
                }
            }
        }
    }
}
