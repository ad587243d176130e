//! The gradient that reaches the input of a convolution, `Dγ` folded back, as a convolution of the gradients γ: each
//! input pixel gathers what reaches it, so that it is written once and in any order. Row y of the input meets place u of the
//! window at row i of the output where `stride·i + dilation·u = y + padding`.

use std::mem::MaybeUninit;

use pulp::Simd;

use super::planes::Planes;
use super::tile::Tile;
use super::window::Window;
use super::winograd::{self, Blocks, Winograd};
use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::output::{Unwritten, rewritten};
use crate::kernels::product::{Packed, correlate};
use crate::kernels::simd::{SimdLevel, TileShape};

/// The transpose of a layer's convolution.
pub(crate) enum Adjoint {
    /// In blocks of input pixels.
    Winograd(Winograd),
    /// Split by the residues of input pixels modulo the stride.
    Phases(Phases),
}

impl Adjoint {
    pub(crate) fn new(geometry: &ConvGeometry, weight: &[f32], level: SimdLevel) -> Self {
        match winograd::suits(geometry) {
            true => Self::Winograd(Winograd::adjoint(geometry, weight, level)),
            false => Self::Phases(Phases::new(geometry, weight, level.shape())),
        }
    }

    /// With room for the gradients of `images` images.
    pub(crate) fn reader<'a>(&'a self, geometry: &'a ConvGeometry, images: usize) -> Reader<'a> {
        match self {
            Self::Winograd(winograd) => Reader::Winograd(BlockReader {
                blocks: Blocks::new(winograd, images),
                image: geometry.atoms * geometry.pixels(),
                values: Aligned::unspecified(images * geometry.atoms * geometry.pixels()),
            }),
            Self::Phases(phases) => Reader::Phases(phases.reader(geometry, images)),
        }
    }
}

/// A transpose that is split by the residues of input pixels modulo the stride: the pixels of one residue meet the same
/// places of the kernel. Pixels that meet none belong to no phase.
pub(crate) struct Phases {
    phases: Vec<Phase>,
    /// Zeros around the output that phases read.
    border: usize,
    shape: TileShape,
}

/// Input rows, or columns, `origin + stride·i` for `i` below `count`, and how the output reaches them.
struct Line {
    origin: usize,
    count: usize,
    taps: Vec<Tap>,
}

/// A place of the window, and the output row or column at which it meets the first of a line; it meets the i-th of them
/// i further on.
#[derive(Clone, Copy)]
struct Tap {
    place: usize,
    at: isize,
}

impl Line {
    /// All lines of an input side, one for each residue modulo the stride that the window meets.
    fn all(geometry: &ConvGeometry, side: usize) -> Vec<Self> {
        let ConvGeometry {
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = *geometry;
        let mut residues: Vec<usize> = (0..kernel).map(|place| dilation * place % stride).collect();
        residues.sort_unstable();
        residues.dedup();
        let line = |residue: usize| {
            // The first pixel with that residue, counted from the corner of the padding.
            let first = residue + padding.saturating_sub(residue).div_ceil(stride) * stride;
            let places = (0..kernel).filter(|place| dilation * place % stride == residue);
            let taps = places.map(|place| Tap {
                place,
                at: (first / stride) as isize - (dilation * place / stride) as isize,
            });
            Self {
                origin: first - padding,
                count: side.saturating_sub(first - padding).div_ceil(stride),
                taps: taps.collect(),
            }
        };
        residues.into_iter().map(line).filter(|line| line.count > 0).collect()
    }

    /// Zeros that are read on either side of `outputs` rows, or columns, of the output.
    fn border(&self, outputs: usize) -> usize {
        let beyond = |tap: &Tap| (-tap.at).max(tap.at + self.count as isize - outputs as isize);
        self.taps.iter().map(beyond).max().unwrap_or(0).max(0) as usize
    }
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

impl Phases {
    fn new(geometry: &ConvGeometry, weight: &[f32], shape: TileShape) -> Self {
        let rows = Line::all(geometry, geometry.height);
        let columns = Line::all(geometry, geometry.width);
        let down = rows.iter().map(|line| line.border(geometry.output_height()));
        let across = columns.iter().map(|line| line.border(geometry.output_width()));
        let border = down.chain(across).max().unwrap_or(0);
        let pairs = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| [row, column]));
        let phases = pairs
            .map(|lines| Phase::new(geometry, weight, lines, border, shape))
            .collect();
        Self { phases, border, shape }
    }

    fn reader<'a>(&'a self, geometry: &'a ConvGeometry, images: usize) -> PhaseReader<'a> {
        let planes = Planes::of_output(geometry, self.border, images, self.shape);
        let windows: Vec<Window> = self
            .phases
            .iter()
            .map(|phase| phase.window(geometry, &planes, self.shape))
            .collect();
        let longest = windows.iter().map(Window::scratch).max_by_key(|scratch| scratch.len());
        PhaseReader {
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
    /// Of the input pixels where a line of rows crosses one of columns.
    fn new(geometry: &ConvGeometry, weight: &[f32], lines: [&Line; 2], border: usize, shape: TileShape) -> Self {
        let ConvGeometry {
            channels,
            atoms,
            kernel,
            ..
        } = *geometry;
        let [rows, columns] = lines;
        let meets: Vec<[Tap; 2]> = rows
            .taps
            .iter()
            .flat_map(|&y| columns.taps.iter().map(move |&x| [y, x]))
            .collect();
        let inside = |at: isize| (border as isize + at) as usize;
        let places: Vec<usize> = meets.iter().map(|[y, x]| y.place * kernel + x.place).collect();
        let matrix = Packed::new(channels, atoms * places.len(), shape.block, |channel, column| {
            let (atom, place) = (column / places.len(), places[column % places.len()]);
            weight[(atom * channels + channel) * kernel * kernel + place]
        });
        Self {
            origin: lines.map(|line| line.origin),
            grid: lines.map(|line| line.count),
            taps: meets.iter().map(|taps| taps.map(|tap| inside(tap.at))).collect(),
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
pub(crate) enum Reader<'a> {
    Winograd(BlockReader<'a>),
    Phases(PhaseReader<'a>),
}

impl Reader<'_> {
    /// Takes in the gradients γ of a tile of the output's pixels, `[n][width]`.
    #[inline(always)]
    pub(crate) fn take(&mut self, tile: &Tile, gamma: &[f32], atoms: usize) {
        match self {
            Self::Winograd(reader) => tile.store(gamma, atoms, rewritten(&mut reader.values)),
            Self::Phases(reader) => tile.store_planes(gamma, &mut reader.planes),
        }
    }

    /// Brings the gradients of `images` images, whose tiles were taken, to where [`Self::write`] reads them.
    #[inline(always)]
    pub(crate) fn fill_taken(&mut self, images: usize) {
        if let Self::Winograd(BlockReader { blocks, image, values }) = self {
            blocks.inputs.fill(&values[..images * *image], None);
        }
    }

    /// Brings `values [images, n, h', w']` to where [`Self::write`] reads them.
    #[inline(always)]
    pub(crate) fn fill(&mut self, values: &[f32]) {
        match self {
            Self::Winograd(BlockReader { blocks, .. }) => blocks.inputs.fill(values, None),
            Self::Phases(reader) => reader.planes.fill(values, None),
        }
    }

    /// Writes the gradient of `images` images `[images, c, h, w]`.
    #[inline(always)]
    pub(crate) fn write<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        images: usize,
        grad_x: &mut Unwritten,
    ) {
        match self {
            Self::Winograd(BlockReader { blocks, .. }) => {
                for run in blocks.runs(images) {
                    blocks.compute::<S, R, V>(simd, run, images, &[]);
                    blocks.store_result(simd, grad_x);
                }
            }
            Self::Phases(reader) => reader.write::<S, R, V>(simd, images, grad_x),
        }
    }
}

/// Reads the gradients of blocks of pixels.
pub(crate) struct BlockReader<'a> {
    blocks: Blocks<'a>,
    /// Values of an image.
    image: usize,
    /// The gradients `[images, n, h', w']`, tile by tile.
    values: Aligned,
}

/// Reads the gradients phase by phase.
pub(crate) struct PhaseReader<'a> {
    adjoint: &'a Phases,
    geometry: &'a ConvGeometry,
    /// The gradients `[images, n, h', w']` with their border.
    planes: Planes,
    windows: Vec<Window>,
    packed: Aligned,
    result: Aligned,
}

impl PhaseReader<'_> {
    /// Writes the gradient of the first `images` images `[images, c, h, w]`.
    #[inline(always)]
    fn write<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, images: usize, grad_x: &mut Unwritten) {
        let ConvGeometry {
            channels,
            height,
            width,
            stride,
            ..
        } = *self.geometry;
        // Pixels that belong to no phase.
        let met = self.adjoint.phases.iter().map(|phase| phase.grid[0] * phase.grid[1]);
        if met.sum::<usize>() < height * width {
            grad_x.fill(MaybeUninit::new(0.0));
        }
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
