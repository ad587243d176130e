//! Sums over pixels of products between windows and gradients, `Σ xγᵀ`: the gradient of a dictionary or of a
//! convolution's weight.

use pulp::Simd;
use rayon::prelude::*;

use super::planes::{Planes, Source};
use super::tile::Tile;
use super::window::Window;
use super::winograd::{self, BlockSums};
use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::normalization::Normalization;
use crate::kernels::product::outer_product;
use crate::kernels::simd::TileShape;
use crate::kernels::transpose::transpose;

/// At most this many partial sums over the batch exist at once; they are added in order.
const PARTIAL_SUMS: usize = 32;
/// At most this many values in all partial sums together (256 MiB), unless a single one is larger.
const PARTIAL_VALUES: usize = 1 << 26;
/// Values that one thread adds at once.
const SUM_CHUNK: usize = 1 << 12;

/// How many partial sums of `values` values over `pixels` pixels there are, with `least` pixels or more each. It depends on
/// the layer alone, and so do the results.
pub(crate) fn partial_sums(values: usize, pixels: usize, least: usize) -> usize {
    let worthwhile = (PARTIAL_VALUES / values.max(1)).min(pixels / least);
    worthwhile.clamp(1, PARTIAL_SUMS)
}

/// Vectors of pixels that are added at once: so many stay in the cache while all windows' values pass, and the sums are
/// read and written once for all of them.
const CHUNK: usize = 8;

/// The gradients γ of a group as `[pixels][atoms]`, with the atoms padded to whole vectors by zeros.
pub(crate) struct Transposed {
    values: Aligned,
    columns: usize,
    width: usize,
}

impl Transposed {
    /// With room for `pixels` pixels.
    pub(crate) fn new(pixels: usize, atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(pixels.next_multiple_of(shape.width) * columns),
            columns,
            width: shape.width,
        }
    }

    /// Takes in the tile `[atoms][pixels]` from pixel `first`; its idle lanes are 0.
    #[inline(always)]
    pub(crate) fn fill<S: Simd>(&mut self, simd: S, first: usize, tile: &[f32]) {
        let target = &mut self.values[first * self.columns..][..self.width * self.columns];
        transpose_planes(simd, tile, self.width, target, self.columns);
    }

    /// Sets the pixels from `first` on to 0 that share a vector of pixels with one before it.
    pub(crate) fn clear_idle(&mut self, first: usize, lanes: usize) {
        self.values[first * self.columns..first.next_multiple_of(lanes) * self.columns].fill(0.0);
    }

    /// Takes in an image `[atoms][pixels]` of the group.
    #[inline(always)]
    pub(crate) fn fill_image<S: Simd>(&mut self, simd: S, image: usize, planes: &[f32], pixels: usize) {
        let size = pixels * self.columns;
        let target = &mut self.values[image * size..][..size];
        transpose_planes(simd, planes, pixels, target, self.columns);
    }
}

/// Transposes planes `[planes][pixels]`, at most `columns` of them, into `[pixels][columns]`.
#[inline(always)]
fn transpose_planes<S: Simd>(simd: S, planes: &[f32], pixels: usize, target: &mut [f32], columns: usize) {
    let lanes = S::F32_LANES;
    let count = (planes.len() / pixels).min(columns);
    let whole = [count, pixels].map(|side| side - side % lanes);
    for j in (0..whole[0]).step_by(lanes) {
        for pixel in (0..whole[1]).step_by(lanes) {
            let (source, target) = (&planes[j * pixels + pixel..], &mut target[pixel * columns + j..]);
            transpose(simd, source, pixels, target, columns);
        }
    }
    // What vectors leave: the pixels after them, and all pixels of the planes after them.
    for (j, plane) in planes.chunks_exact(pixels).take(count).enumerate() {
        let first = if j < whole[0] { whole[1] } else { 0 };
        let targets = target.chunks_exact_mut(columns).skip(first);
        for (target, &value) in targets.zip(&plane[first..]) {
            target[j] = value;
        }
    }
}

impl Transposed {
    /// The gradients of a pixel.
    #[inline(always)]
    pub(crate) fn pixel(&self, pixel: usize) -> &[f32] {
        &self.values[pixel * self.columns..][..self.columns]
    }
}

/// `Σ xγᵀ` of a layer's windows over groups of images.
pub(crate) enum WindowSums {
    /// In blocks of output pixels.
    Blocks(BlockSums),
    /// Tile by tile.
    Tiles(TileSums),
}

impl WindowSums {
    /// Zero, with room for groups of `images` images.
    pub(crate) fn new(geometry: &ConvGeometry, images: usize, shape: TileShape) -> Self {
        if winograd::suits(geometry) {
            return Self::Blocks(BlockSums::new(geometry, images, shape));
        }
        let planes = Planes::of_input(geometry, images, shape);
        let window = Window::patches(geometry, &planes, shape);
        Self::Tiles(TileSums {
            packed: window.scratch(),
            grid: [geometry.output_height(), geometry.output_width()],
            sums: PatchSums::new(geometry.patch(), geometry.atoms, shape),
            planes,
            window,
        })
    }

    /// Brings the images `x [images, c, h, w]`, normalised, to where [`Self::add`] reads them.
    #[inline(always)]
    pub(crate) fn fill(&mut self, x: &[f32], normalization: Option<Normalization>) {
        match self {
            Self::Blocks(sums) => sums.inputs.fill(x, normalization),
            Self::Tiles(tiles) => tiles.planes.fill(x, normalization),
        }
    }

    /// Adds the images that were filled in last, `images` of them, with the gradients of their output pixels.
    #[inline(always)]
    pub(crate) fn add<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        images: usize,
        gradients: &Transposed,
    ) {
        match self {
            Self::Blocks(sums) => sums.add::<S, R, V>(simd, images, gradients),
            Self::Tiles(TileSums {
                planes,
                window,
                packed,
                grid,
                sums,
            }) => {
                let pixels = images * grid[0] * grid[1];
                sums.add::<S, R, V>(simd, window, planes.source(), packed, *grid, gradients, pixels);
            }
        }
    }

    /// The sums for window values and atoms.
    #[inline(always)]
    pub(crate) fn finish<S: Simd>(self, simd: S) -> PatchSums {
        match self {
            Self::Blocks(sums) => sums.finish(simd),
            Self::Tiles(tiles) => tiles.sums,
        }
    }
}

/// Sums over the windows of tiles, as planes hold them.
pub(crate) struct TileSums {
    planes: Planes,
    window: Window,
    packed: Aligned,
    /// Rows and columns of output pixels.
    grid: [usize; 2],
    sums: PatchSums,
}

/// `Σ xγᵀ [values, atoms]` of some pixels, with the atoms padded to whole vectors.
pub(crate) struct PatchSums {
    values: Aligned,
    columns: usize,
}

impl PatchSums {
    /// Zero, for windows of so many values.
    pub(crate) fn new(values: usize, atoms: usize, shape: TileShape) -> Self {
        let columns = atoms.next_multiple_of(shape.lanes);
        Self {
            values: Aligned::zeros(values.next_multiple_of(shape.block) * columns),
            columns,
        }
    }

    /// Adds the `pixels` pixels of a group, those of a `grid` in each image.
    #[inline(always)]
    pub(crate) fn add<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        window: &Window,
        source: Source,
        packed: &mut [f32],
        grid: [usize; 2],
        gradients: &Transposed,
        pixels: usize,
    ) {
        let images = pixels / (grid[0] * grid[1]);
        // Windows are packed for tiles of the usual width.
        let vectors = if window.is_direct() { CHUNK } else { V };
        let shape = TileShape {
            block: R,
            lanes: S::F32_LANES,
            width: vectors * S::F32_LANES,
        };
        let mut tile = Tile::new(grid, shape);
        let mut bases = [0; CHUNK];
        for first in (0..pixels).step_by(shape.width) {
            tile.place(first, images);
            let bases = &mut bases[..tile.pixels().div_ceil(S::F32_LANES)];
            let rows = tile.locate(window, source, packed, bases);
            let gradients = &gradients.values[first * self.columns..];
            outer_product::<S, R>(simd, rows, bases, gradients, &mut self.values, self.columns);
        }
    }

    /// The sums of window value `i`.
    pub(crate) fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.values[i * self.columns..][..self.columns]
    }

    /// The sum for window value `i` and atom `j`.
    pub(crate) fn at(&self, i: usize, j: usize) -> f32 {
        self.values[i * self.columns + j]
    }
}

/// The total of partial sums, each value added in their order.
pub(crate) fn sum_in_order(partial: Vec<PatchSums>) -> PatchSums {
    let mut partial = partial.into_iter();
    let Some(mut total) = partial.next() else {
        panic!("a batch without images has no sums");
    };
    let rest: Vec<PatchSums> = partial.collect();
    total
        .values
        .par_chunks_mut(SUM_CHUNK)
        .enumerate()
        .for_each(|(i, total)| {
            for sums in &rest {
                let values = &sums.values[i * SUM_CHUNK..][..total.len()];
                total.iter_mut().zip(values).for_each(|(total, value)| *total += value);
            }
        });
    total
}
