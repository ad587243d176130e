//! Images copied so that the blocks around consecutive places of the grid are read by vectors.

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use pulp::{Simd, bytemuck};

use super::transform::OUTPUT;
use crate::kernels::aligned::Aligned;
use crate::kernels::normalization::Normalization;
use crate::kernels::simd::map_into;

/// Room after the last image for loads of whole vectors.
const SLACK: usize = 16;
/// Blocks that one load of sixteen values reaches.
const QUAD: usize = 4;

/// Images `[images][channels]` with zero borders. Rows are split by their residues modulo the side of a block, so that those
/// which consecutive rows of blocks begin with follow each other.
pub(crate) struct Images {
    values: Aligned,
    channels: usize,
    sides: [usize; 2],
    border: usize,
    /// Rows and columns of blocks.
    grid: [usize; 2],
}

impl Images {
    /// Zero images of these sides.
    pub(super) fn new(images: usize, channels: usize, sides: [usize; 2], border: usize, grid: [usize; 2]) -> Self {
        let mut zeros = Self {
            values: Aligned::zeros(0),
            channels,
            sides,
            border,
            grid,
        };
        zeros.values = Aligned::zeros(images * channels * zeros.plane() + SLACK);
        zeros
    }

    /// Between rows of one residue: the columns of the blocks, which overlap by two.
    fn pitch(&self) -> usize {
        OUTPUT * self.grid[1] + 2
    }

    /// Values of a channel.
    fn plane(&self) -> usize {
        OUTPUT * (self.grid[0] + 1) * self.pitch()
    }

    /// Where row `y` of a channel begins, counted from the corner of the border.
    fn row(&self, y: usize) -> usize {
        (y % OUTPUT * (self.grid[0] + 1) + y / OUTPUT) * self.pitch()
    }

    /// Copies in `images [images, c, h, w]`, at most as many as there is room for, normalised.
    #[inline(always)]
    pub(crate) fn fill(&mut self, images: &[f32], normalization: Option<Normalization>) {
        let [height, width] = self.sides;
        let size = self.plane();
        for (i, plane) in images.chunks_exact((height * width).max(1)).enumerate() {
            let channel = i % self.channels;
            let (mean, slope) = normalization.map_or((0.0, 1.0), |n| (n.mean[channel], n.scale[channel]));
            for (y, line) in plane.chunks_exact(width).enumerate() {
                let at = i * size + self.row(y + self.border) + self.border;
                map_into(line, &mut self.values[at..at + width], |value| (value - mean) * slope);
            }
        }
    }

    /// Where the value at row and column `i`, `j` of the first block lies in a channel.
    pub(super) fn place(&self, channel: usize, i: usize, j: usize) -> usize {
        channel * self.plane() + self.row(i) + j
    }

    /// Where block `block` of a group lies: what is to be added to the place of a value in the first.
    fn block(&self, block: usize) -> usize {
        let [rows, columns] = self.grid;
        let (image, block) = (block / (rows * columns), block % (rows * columns));
        image * self.channels * self.plane() + block / columns * self.pitch() + block % columns * OUTPUT
    }

    /// The `S::F32_LANES` blocks from `first`, of `images` images; lanes beyond the last block repeat it.
    pub(super) fn lanes<S: Simd>(&self, first: usize, images: usize) -> Lanes {
        let last = (images * self.grid[0] * self.grid[1]).max(1) - 1;
        let mut lanes = Lanes::default();
        for (lane, place) in lanes.places[..S::F32_LANES].iter_mut().enumerate() {
            *place = self.block((first + lane).min(last));
        }
        lanes.reach = lanes.places.iter().copied().max().unwrap_or(0);
        lanes.find_quads();
        lanes
    }

    /// The values at `place` of the first block, in every lane's block.
    ///
    /// # Safety
    /// `place + lanes.reach` with a vector after it must lie within the values: see [`Self::check`].
    #[inline(always)]
    pub(super) unsafe fn gather<S: Simd>(&self, simd: S, place: usize, lanes: &Lanes) -> S::f32s {
        #[cfg(target_arch = "x86_64")]
        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() && lanes.quads {
            // SAFETY: the level has AVX-512, and all four loads lie within the values.
            return bytemuck::cast(unsafe { gather_quads(self.values.as_ptr().add(place), lanes) });
        }
        let mut gathered = simd.splat_f32s(0.0);
        let target = bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut gathered));
        for (target, &lane) in target.iter_mut().zip(&lanes.places) {
            // SAFETY: as the caller says.
            *target = unsafe { *self.values.as_ptr().add(place + lane) };
        }
        gathered
    }

    /// # Panics
    /// Where a vector at `reach` would end beyond the values.
    pub(super) fn check(&self, reach: usize) {
        assert!(reach + SLACK <= self.values.len(), "a block lies beyond the images");
    }
}

/// Where the blocks of a vector lie.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Lanes {
    places: [usize; 16],
    /// The largest.
    pub(super) reach: usize,
    /// Whether four lanes at a time lie within sixteen values.
    quads: bool,
    /// Then: of the first and of the last eight lanes, which of the 32 values of two quads they are.
    picks: [[u32; 16]; 2],
}

impl Lanes {
    fn find_quads(&mut self) {
        let quads = self.places.as_chunks::<QUAD>().0;
        let near = |quad: &[usize; QUAD]| quad.iter().all(|&place| (quad[0]..quad[0] + 16).contains(&place));
        self.quads = quads.iter().all(near);
        if !self.quads {
            return;
        }
        for lane in 0..16 {
            let quad = lane / QUAD;
            let pick = self.places[lane] - self.places[quad * QUAD] + 16 * (quad % 2);
            self.picks[quad / 2][lane] = pick as u32;
        }
    }
}

/// # Safety
/// The processor has AVX-512, and sixteen values from each quad's first place behind `values` can be read.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn gather_quads(values: *const f32, lanes: &Lanes) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::{_mm512_loadu_epi32, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_permutex2var_ps};
    // SAFETY: as the caller says.
    unsafe {
        let load = |quad: usize| _mm512_loadu_ps(values.add(lanes.places[quad * QUAD]));
        let pick = |half: usize| _mm512_loadu_epi32(lanes.picks[half].as_ptr().cast());
        let low = _mm512_permutex2var_ps(load(0), pick(0), load(1));
        let high = _mm512_permutex2var_ps(load(2), pick(1), load(3));
        _mm512_mask_blend_ps(0xff00, low, high)
    }
}
