//! The gradient that reaches the input of a convolution, `Dγ` folded back, as a convolution of the gradients γ: each
//! input pixel gathers what reaches it, so that it is written once and in any order.

use pulp::Simd;

use super::planes::Planes;
use super::tile::Tile;
use super::window::Window;
use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::product::{Packed, correlate};
use crate::kernels::simd::TileShape;

/// The transpose of a layer's convolution, split by the residues of input pixels modulo the stride: the pixels of
/// one residue meet the same places of the kernel.
pub(crate) struct Adjoint {
    phases: Vec<Phase>,
    shape: TileShape,
}

/// Input pixels `origin + stride·(i, j)`.
struct Phase {
    origin: [usize; 2],
    grid: [usize; 2],
    /// Of each place of the kernel that meets them: where the output pixel lies, seen from pixel `(i, j)` of the
    /// output and counted from the corner of its border.
    taps: Vec<[usize; 2]>,
    /// `[c, n·taps]`.
    matrix: Packed,
}

impl Adjoint {
    pub(crate) fn new(geometry: &ConvGeometry, weight: &[f32], shape: TileShape) -> Self {
        let stride = geometry.stride;
        let residues = (0..stride).flat_map(|y| (0..stride).map(move |x| [y, x]));
        let phases = residues
            .map(|residue| Phase::new(geometry, weight, residue, shape))
            .collect();
        Self { phases, shape }
    }

    /// With room for the gradients of `images` images.
    pub(crate) fn reader<'a>(&'a self, geometry: &'a ConvGeometry, images: usize) -> Reader<'a> {
        let planes = Planes::of_output(geometry, images, self.shape);
        let windows: Vec<Window> = self
            .phases
            .iter()
            .map(|phase| phase.window(geometry, &planes, self.shape))
            .collect();
        let longest = windows.iter().map(Window::scratch).max_by_key(|scratch| scratch.len());
        Reader {
            adjoint: self,
            geometry,
            planes,
            windows,
            packed: longest.unwrap_or_else(|| Aligned::zeros(0)),
            result: Aligned::zeros(geometry.channels.next_multiple_of(self.shape.block) * self.shape.width),
        }
    }
}

impl Phase {
    /// Of the input pixels that have this residue, counted from the corner of the border.
    fn new(geometry: &ConvGeometry, weight: &[f32], residue: [usize; 2], shape: TileShape) -> Self {
        let ConvGeometry {
            channels,
            height,
            width,
            kernel,
            stride,
            ..
        } = *geometry;
        let border = geometry.padding();
        // The first pixel inside the border of that residue, and its place on the grid of output pixels.
        let first = residue.map(|residue| residue + (border - residue.min(border)).div_ceil(stride) * stride);
        let origin = first.map(|first| first - border);
        let shift = first.map(|first| first / stride);
        let count = |side: usize, origin: usize| side.saturating_sub(origin).div_ceil(stride);
        let places = |axis: usize| (residue[axis]..kernel).step_by(stride).enumerate();
        let meets: Vec<[(usize, usize); 2]> = places(0).flat_map(|y| places(1).map(move |x| [y, x])).collect();
        let taps = meets
            .iter()
            .map(|&[(down, _), (right, _)]| [border + shift[0] - down, border + shift[1] - right])
            .collect();
        let matrix = Packed::new(
            channels,
            geometry.atoms * meets.len(),
            shape.block,
            |channel, column| {
                let (atom, [(_, ky), (_, kx)]) = (column / meets.len(), meets[column % meets.len()]);
                weight[((atom * channels + channel) * kernel + ky) * kernel + kx]
            },
        );
        Self {
            origin,
            grid: [count(height, origin[0]), count(width, origin[1])],
            taps,
            matrix,
        }
    }

    fn window(&self, geometry: &ConvGeometry, planes: &Planes, shape: TileShape) -> Window {
        let values = (0..geometry.atoms).flat_map(|atom| self.taps.iter().map(move |&[y, x]| (atom, y, x)));
        let offsets = values.map(|(atom, y, x)| planes.address(atom, y, x)).collect();
        Window::of_planes(offsets, self.grid[1], planes, shape)
    }
}

/// Gathers the gradients of some images.
pub(crate) struct Reader<'a> {
    adjoint: &'a Adjoint,
    geometry: &'a ConvGeometry,
    /// The gradients `[images, n, h', w']` with their border.
    pub(crate) planes: Planes,
    windows: Vec<Window>,
    packed: Aligned,
    result: Aligned,
}

impl Reader<'_> {
    /// Writes the gradient of the first `images` images `[images, c, h, w]`.
    #[inline(always)]
    pub(crate) fn write<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        images: usize,
        grad_x: &mut [f32],
    ) {
        let ConvGeometry {
            channels,
            height,
            width,
            stride,
            ..
        } = *self.geometry;
        for (phase, window) in self.adjoint.phases.iter().zip(&self.windows) {
            let mut tile = Tile::new(phase.grid, self.adjoint.shape);
            let pixels = phase.grid[0] * phase.grid[1];
            for first in (0..images * pixels).step_by(self.adjoint.shape.width) {
                tile.place(first, images);
                let view = tile.view::<V>(window, self.planes.source(), &mut self.packed);
                correlate::<S, R, V>(simd, &phase.matrix, view, &[], &mut self.result);
                if stride == 1 {
                    tile.store(&self.result, channels, grad_x);
                } else {
                    tile.store_strided(&self.result, channels, grad_x, [height, width], phase.origin, stride);
                }
            }
        }
    }
}
