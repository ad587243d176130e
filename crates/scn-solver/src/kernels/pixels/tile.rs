//! Where the pixels of one tile of a group lie, and how codes and patches travel between planes, NCHW tensors and the
//! tile's `[rows][pixels]` scratch.

use pulp::Simd;

use super::planes::{Planes, Source};
use super::window::Window;
use crate::kernels::output::{Unwritten, rewritten};
use crate::kernels::product::{Rows, View};
use crate::kernels::simd::{TileShape, copy, prefetch};
use crate::kernels::transpose::interleave;

/// Side of the blocks of pixels that [`Tile::store_blocks`] writes.
const SIDE: usize = 4;
/// The most places that a tile has at any SIMD level.
const WIDEST: usize = 48;

/// Values of a cache line.
const LINE: usize = 16;

/// Consecutive pixels of one row of one image.
struct Run {
    lane: usize,
    image: usize,
    y: usize,
    x: usize,
    len: usize,
}

/// Consecutive pixels of one image.
struct Span {
    lane: usize,
    image: usize,
    pixel: usize,
    len: usize,
}

/// Where the pixels of one tile of a group lie.
pub(crate) struct Tile {
    width: usize,
    lanes: usize,
    /// Pixels of an image.
    grid: [usize; 2],
    spans: Vec<Span>,
    runs: Vec<Run>,
}

impl Tile {
    /// A tile of images with `rows × columns` pixels, not placed yet.
    pub(crate) fn new(grid: [usize; 2], shape: TileShape) -> Self {
        Self {
            width: shape.width,
            lanes: shape.lanes,
            grid,
            spans: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Changes how many pixels it has room for, before it is placed.
    pub(crate) fn resize(&mut self, width: usize) {
        self.width = width;
    }

    /// Places it on the pixels from `first` of a group of `images` images.
    pub(crate) fn place(&mut self, first: usize, images: usize) {
        let [rows, columns] = self.grid;
        let pixels = rows * columns;
        let end = (first + self.width).min(images * pixels);
        self.spans.clear();
        self.runs.clear();
        let mut at = first;
        while at < end {
            let (image, pixel) = (at / pixels, at % pixels);
            let len = (pixels - pixel).min(end - at);
            self.spans.push(Span {
                lane: at - first,
                image,
                pixel,
                len,
            });
            at += len;
        }
        let mut at = first;
        while at < end {
            let (image, pixel) = (at / pixels, at % pixels);
            let (y, x) = (pixel / columns, pixel % columns);
            let len = (columns - x).min(end - at);
            self.runs.push(Run {
                lane: at - first,
                image,
                y,
                x,
                len,
            });
            at += len;
        }
    }

    /// Pixels that belong to images; the lanes after them are idle.
    pub(crate) fn pixels(&self) -> usize {
        self.spans.last().map_or(0, |span| span.lane + span.len)
    }

    /// Copies `rows` planes of a group's `[images, rows, pixels]` values into `[rows][width]`; idle lanes become 0.
    #[inline(always)]
    pub(crate) fn load(&self, source: &[f32], rows: usize, tile: &mut [f32]) {
        let (pixels, idle) = (self.grid[0] * self.grid[1], self.pixels());
        for (row, lanes) in tile.chunks_exact_mut(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let at = (span.image * rows + row) * pixels + span.pixel;
                let target = &mut lanes[span.lane..span.lane + span.len];
                copy(&source[at..at + span.len], rewritten(target));
                // Planes lie pages apart, and what a tile takes of each is too short for the processor to see what comes next.
                for ahead in (0..self.width).step_by(LINE) {
                    prefetch(source, at + self.width + ahead);
                }
            }
            lanes[idle..].fill(0.0);
        }
    }

    /// The inverse of [`Tile::load`].
    #[inline(always)]
    pub(crate) fn store(&self, tile: &[f32], rows: usize, target: &mut Unwritten) {
        let pixels = self.grid[0] * self.grid[1];
        for (row, lanes) in tile.chunks_exact(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let at = (span.image * rows + row) * pixels + span.pixel;
                copy(&lanes[span.lane..span.lane + span.len], &mut target[at..at + span.len]);
            }
        }
    }

    /// Writes `rows` planes at the pixels `origin + stride·(y, x)` of a group's images `[images, rows, height, width]`.
    #[inline(always)]
    pub(crate) fn store_strided(
        &self,
        tile: &[f32],
        rows: usize,
        target: &mut Unwritten,
        [height, width]: [usize; 2],
        origin: [usize; 2],
        stride: usize,
    ) {
        for (row, lanes) in tile.chunks_exact(self.width).take(rows).enumerate() {
            for run in &self.runs {
                let line = (run.image * rows + row) * height + origin[0] + stride * run.y;
                let at = line * width + origin[1] + stride * run.x;
                let lanes = &lanes[run.lane..run.lane + run.len];
                for (value, lane) in target[at..].iter_mut().step_by(stride).zip(lanes) {
                    value.write(*lane);
                }
            }
        }
    }

    /// Writes `rows` planes of which each of the tile's places is a block of 4×4 pixels, `[rows][16][width]`, to a group's
    /// images `[images, rows, height, width]`, as far as they reach.
    #[inline(always)]
    pub(crate) fn store_blocks<S: Simd>(
        &self,
        simd: S,
        tile: &[f32],
        rows: usize,
        target: &mut Unwritten,
        [height, width]: [usize; 2],
    ) {
        let mut line = [0.0; SIDE * WIDEST];
        for (row, lanes) in tile.chunks_exact(SIDE * SIDE * self.width).take(rows).enumerate() {
            for (y, lanes) in lanes.chunks_exact(SIDE * self.width).enumerate() {
                for lane in (0..self.width).step_by(S::F32_LANES) {
                    interleave(simd, &lanes[lane..], self.width, &mut line[SIDE * lane..]);
                }
                for run in self.runs.iter().filter(|run| SIDE * run.y + y < height) {
                    let (top, left) = (SIDE * run.y + y, SIDE * run.x);
                    let len = (SIDE * run.len).min(width - left);
                    let at = ((run.image * rows + row) * height + top) * width + left;
                    copy(&line[SIDE * run.lane..][..len], &mut target[at..at + len]);
                }
            }
        }
    }

    /// Writes `[channels][width]` into the images of planes.
    #[inline(always)]
    pub(crate) fn store_planes(&self, tile: &[f32], planes: &mut Planes) {
        for run in &self.runs {
            let first = run.image * planes.image();
            for (channel, lanes) in tile.chunks_exact(self.width).take(planes.channels).enumerate() {
                let values = &lanes[run.lane..run.lane + run.len];
                planes.write(first, channel, run.y + planes.border, run.x, values, |value| value);
            }
        }
    }

    /// The windows around the tile's pixels, as rows of a matrix; packed into `scratch` where they must be. Idle
    /// vectors repeat the first.
    #[inline(always)]
    pub(crate) fn view<'a, const V: usize>(
        &self,
        window: &'a Window,
        source: Source<'a>,
        scratch: &'a mut [f32],
    ) -> View<'a, V> {
        let mut bases = [0; V];
        let rows = self.locate(window, source, scratch, &mut bases);
        View::new(rows, bases, self.lanes)
    }

    /// Where the windows around the tile's pixels lie: the rows, and the start of each vector in `bases`.
    #[inline(always)]
    pub(crate) fn locate<'a>(
        &self,
        window: &'a Window,
        source: Source<'a>,
        scratch: &'a mut [f32],
        bases: &mut [usize],
    ) -> Rows<'a> {
        if !window.direct {
            self.pack(window, source, scratch);
            bases
                .iter_mut()
                .enumerate()
                .for_each(|(v, base)| *base = v * self.lanes);
            return Rows {
                values: scratch,
                offsets: &window.packed,
                reach: window.values.saturating_sub(1) * self.width,
            };
        }
        let [rows, columns] = self.grid;
        let pixels = rows * columns;
        let first = self.spans.first().map_or(0, |span| span.image * pixels + span.pixel);
        let idle = self.pixels();
        for (v, base) in bases.iter_mut().enumerate() {
            let lane = if v * self.lanes < idle { v * self.lanes } else { 0 };
            let (image, pixel) = ((first + lane) / pixels, (first + lane) % pixels);
            *base = image * source.image + pixel / columns * source.pitch + pixel % columns;
        }
        Rows {
            values: source.values,
            offsets: &window.offsets,
            reach: window.reach,
        }
    }

    /// Gathers the windows of the tile's pixels into `[values][width]`.
    #[inline(always)]
    fn pack(&self, window: &Window, source: Source, packed: &mut [f32]) {
        for (row, &offset) in window.offsets.iter().take(window.values).enumerate() {
            for run in &self.runs {
                let at = run.image * source.image + run.y * source.pitch + run.x + offset;
                let lanes = row * self.width + run.lane;
                let target = &mut packed[lanes..lanes + run.len];
                copy(&source.values[at..at + run.len], rewritten(target));
            }
        }
    }
}
