//! Which values a window holds around each pixel of a grid, and how it is read.

use super::planes::Planes;
use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::TileShape;

/// Which values of a [`Source`] a window holds around each pixel of a grid.
pub(crate) struct Window {
    /// Of each value: its offset from the pixel's own place. In whole blocks; those after the last repeat it.
    pub(super) offsets: Vec<usize>,
    /// Of each value in a packed tile.
    pub(super) packed: Vec<usize>,
    pub(super) reach: usize,
    pub(super) values: usize,
    pub(super) width: usize,
    /// Whether vectors of pixels are contiguous, so that nothing need be packed.
    pub(super) direct: bool,
}

impl Window {
    /// Of values at `offsets` in a source; `direct` says that vectors of pixels are contiguous there.
    fn new(mut offsets: Vec<usize>, direct: bool, shape: TileShape) -> Self {
        let values = offsets.len();
        let last = offsets.last().copied().unwrap_or(0);
        offsets.resize(values.next_multiple_of(shape.block), last);
        let packed = (0..offsets.len()).map(|i| i.min(values.saturating_sub(1)) * shape.width);
        Self {
            packed: packed.collect(),
            reach: offsets.iter().copied().max().unwrap_or(0),
            offsets,
            values,
            width: shape.width,
            direct,
        }
    }

    /// The patches `(c, ky, kx)` of a layer's output pixels, in `planes` of its input.
    pub(crate) fn patches(geometry: &ConvGeometry, planes: &Planes, shape: TileShape) -> Self {
        let (k, dilation) = (geometry.kernel, geometry.dilation);
        let offsets = (0..geometry.patch())
            .map(|value| planes.address(value / (k * k), dilation * (value / k % k), dilation * (value % k)))
            .collect();
        Self::of_planes(offsets, geometry.output_width(), planes, shape)
    }

    /// Of values at `offsets` in planes, around the pixels of a grid with so many columns.
    pub(crate) fn of_planes(offsets: Vec<usize>, columns: usize, planes: &Planes, shape: TileShape) -> Self {
        let direct = columns.is_multiple_of(shape.lanes) || planes.copies > 0;
        Self::new(offsets, direct, shape)
    }

    /// The values of a pixel in `[images, channels, pixels]`.
    pub(crate) fn of_channels(channels: usize, pixels: usize, shape: TileShape) -> Self {
        let offsets = (0..channels).map(|channel| channel * pixels).collect();
        Self::new(offsets, pixels.is_multiple_of(shape.lanes), shape)
    }

    /// Whether vectors of pixels are contiguous, so that nothing need be packed.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Scratch that [`Tile::view`] packs into.
    pub(crate) fn scratch(&self) -> Aligned {
        Aligned::zeros(if self.direct { 0 } else { self.values * self.width })
    }
}
