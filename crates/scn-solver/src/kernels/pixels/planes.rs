//! Images copied so that what a window reads for consecutive pixels is contiguous.

use crate::ConvGeometry;
use crate::kernels::aligned::Aligned;
use crate::kernels::normalization::Normalization;
use crate::kernels::simd::{TileShape, map_into};

/// Room after the last image for the vectors of idle lanes.
const SLACK: usize = 16;

/// Images `[images][channels]` with zero borders, laid out so that what a window reads for consecutive pixels of its
/// grid is contiguous. Rows and columns are split by their residues modulo the stride. Where rows of the grid are not
/// whole vectors there is instead one copy of the columns for each place in the window's row, exactly as wide as the
/// grid, so that rows follow each other without a gap.
pub(crate) struct Planes {
    values: Aligned,
    pub(crate) channels: usize,
    height: usize,
    width: usize,
    pub(crate) border: usize,
    stride: usize,
    /// The residues modulo the stride that windows meet: those below this.
    residues: usize,
    /// Where copies of the columns start.
    starts: Starts,
    /// Copies of the columns; 0 where they are split by residues.
    pub(crate) copies: usize,
    /// Rows of a plane, and the distance between them.
    rows: usize,
    pitch: usize,
}

/// The columns at which the values of a window's row begin, seen from the first pixel of the grid and counted from the
/// corner of the border: `count` of them from `first`, `step` apart.
#[derive(Clone, Copy)]
struct Starts {
    first: usize,
    step: usize,
    count: usize,
}

impl Planes {
    /// Zero images `channels × height × width` with a border, as a window that spans `span` rows reads them at
    /// every `stride`-th place for the pixels of `grid` (rows, columns).
    fn zeros(
        images: usize,
        channels: usize,
        [height, width]: [usize; 2],
        border: usize,
        [stride, span]: [usize; 2],
        starts: Starts,
        grid: [usize; 2],
        shape: TileShape,
    ) -> Self {
        let whole_rows = grid[1].is_multiple_of(shape.lanes);
        let whole_images = (grid[0] * grid[1]).is_multiple_of(shape.lanes);
        let copies = if whole_images && !whole_rows { starts.count } else { 0 };
        let rows = (height + 2 * border).div_ceil(stride);
        let pitch = match copies {
            0 => (width + 2 * border).div_ceil(stride),
            _ => grid[1],
        };
        let mut planes = Self {
            values: Aligned::zeros(0),
            channels,
            height,
            width,
            border,
            stride,
            residues: stride.min(span),
            starts,
            copies,
            rows,
            pitch,
        };
        planes.values = Aligned::zeros(images * planes.image() + SLACK);
        planes
    }

    /// Of the input of a layer.
    pub(crate) fn of_input(geometry: &ConvGeometry, images: usize, shape: TileShape) -> Self {
        let sides = [geometry.height, geometry.width];
        let grid = [geometry.output_height(), geometry.output_width()];
        let starts = Starts {
            first: 0,
            step: geometry.dilation,
            count: geometry.kernel,
        };
        let (channels, border) = (geometry.channels, geometry.padding);
        let steps = [geometry.stride, geometry.span()];
        Self::zeros(images, channels, sides, border, steps, starts, grid, shape)
    }

    /// Of the output of a layer with this border, as the input pixels of one residue modulo the stride read it.
    pub(crate) fn of_output(geometry: &ConvGeometry, border: usize, images: usize, shape: TileShape) -> Self {
        let sides = [geometry.output_height(), geometry.output_width()];
        let grid = [geometry.height, geometry.width];
        let starts = Starts {
            // The window's last column meets pixel 0 first.
            first: (border + geometry.padding + 1).saturating_sub(geometry.span()),
            step: geometry.dilation,
            // With a stride the residues have grids of different widths.
            count: if geometry.stride == 1 { geometry.kernel } else { 0 },
        };
        Self::zeros(images, geometry.atoms, sides, border, [1, 1], starts, grid, shape)
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            values: &self.values,
            image: self.image(),
            pitch: self.pitch,
        }
    }

    /// Values of an image.
    pub(crate) fn image(&self) -> usize {
        self.channels * self.parts() * self.residues * self.rows * self.pitch
    }

    /// Parts that the columns come in: residues or copies.
    #[inline(always)]
    fn parts(&self) -> usize {
        if self.copies == 0 { self.residues } else { self.copies }
    }

    /// The column at which a copy starts, counted from the corner of the border.
    #[inline(always)]
    fn start(&self, copy: usize) -> usize {
        self.starts.first + copy * self.starts.step
    }

    /// Where row `y`, counted from the corner of the border, of a part of a channel's columns lies.
    #[inline(always)]
    fn row(&self, channel: usize, y: usize, part: usize) -> usize {
        let (line, below) = self.split(y);
        (((channel * self.parts() + part) * self.residues + below) * self.rows + line) * self.pitch
    }

    /// Where a window that starts at row `y`, column `x` of a channel reads, counted from the corner of the border.
    #[inline(always)]
    pub(crate) fn address(&self, channel: usize, y: usize, x: usize) -> usize {
        if self.copies == 0 {
            let (column, right) = self.split(x);
            self.row(channel, y, right) + column
        } else {
            self.row(channel, y, (x - self.starts.first) / self.starts.step)
        }
    }

    /// The quotient and the residue modulo the stride. The usual strides are named, as a division by a variable takes as
    /// long as a row.
    #[inline(always)]
    fn split(&self, place: usize) -> (usize, usize) {
        match self.stride {
            1 => (place, 0),
            2 => (place / 2, place % 2),
            stride => (place / stride, place % stride),
        }
    }

    /// Copies in `images [images, c, h, w]`, at most as many as there is room for, normalised.
    #[inline(always)]
    pub(crate) fn fill(&mut self, images: &[f32], normalization: Option<Normalization>) {
        let plane = self.height * self.width;
        for (i, plane) in images.chunks_exact(plane.max(1)).enumerate() {
            let first = i / self.channels * self.image();
            let channel = i % self.channels;
            let (mean, slope) = normalization.map_or((0.0, 1.0), |n| (n.mean[channel], n.scale[channel]));
            for (y, line) in plane.chunks_exact(self.width).enumerate() {
                let y = y + self.border;
                if self.stride == 1 {
                    self.write(first, channel, y, 0, line, |value| (value - mean) * slope);
                } else if self.split(y).1 < self.residues {
                    self.write_strided(first, channel, y, line, |value| (value - mean) * slope);
                }
            }
        }
    }

    /// Writes consecutive values from column `x` of a row, at stride 1.
    #[inline(always)]
    pub(crate) fn write(
        &mut self,
        first: usize,
        channel: usize,
        y: usize,
        x: usize,
        values: &[f32],
        map: impl Fn(f32) -> f32 + Copy,
    ) {
        let x = x + self.border;
        if self.copies == 0 {
            let at = first + self.row(channel, y, 0) + x;
            map_into(values, &mut self.values[at..at + values.len()], map);
            return;
        }
        for copy in 0..self.copies {
            let start = self.start(copy);
            let skipped = start.saturating_sub(x).min(values.len());
            let end = (self.pitch + start).saturating_sub(x).min(values.len());
            if skipped < end {
                let at = first + self.row(channel, y, copy) + x + skipped - start;
                map_into(&values[skipped..end], &mut self.values[at..at + end - skipped], map);
            }
        }
    }

    /// Writes a whole row at a stride beyond 1.
    #[inline(always)]
    fn write_strided(&mut self, first: usize, channel: usize, y: usize, line: &[f32], map: impl Fn(f32) -> f32 + Copy) {
        for part in 0..self.parts() {
            let start = if self.copies == 0 { part } else { self.start(part) };
            // The first place whose column lies inside the border.
            let skipped = self.split(self.border.saturating_sub(start) + self.stride - 1).0;
            let column = start + skipped * self.stride - self.border;
            let values = line.get(column..).unwrap_or_default();
            let count = self
                .split(values.len() + self.stride - 1)
                .0
                .min(self.pitch.saturating_sub(skipped));
            if count > 0 {
                let at = first + self.row(channel, y, part) + skipped;
                every(self.stride, values, &mut self.values[at..at + count], map);
            }
        }
    }
}

/// Writes `map` of the first value and of every `stride`-th after it, as many as the target takes.
#[inline(always)]
fn every(stride: usize, values: &[f32], target: &mut [f32], map: impl Fn(f32) -> f32) {
    if stride != 2 {
        let values = values.iter().step_by(stride);
        target
            .iter_mut()
            .zip(values)
            .for_each(|(target, &value)| *target = map(value));
        return;
    }
    // Whole pairs, which the compiler turns into vectors.
    let (pairs, rest) = values.as_chunks::<2>();
    let (whole, last) = target.split_at_mut(pairs.len().min(target.len()));
    for (target, pair) in whole.iter_mut().zip(pairs) {
        *target = map(pair[0]);
    }
    last.iter_mut()
        .zip(rest)
        .for_each(|(target, &value)| *target = map(value));
}

/// What windows are read from: images so far apart, with rows so far apart.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) image: usize,
    pub(crate) pitch: usize,
}

impl<'a> Source<'a> {
    /// `[images, channels, rows, columns]` without borders.
    pub(crate) fn of_channels(values: &'a [f32], channels: usize, [rows, columns]: [usize; 2]) -> Self {
        Self {
            values,
            image: channels * rows * columns,
            pitch: columns,
        }
    }
}
