//! How the pixels of a layer fall into tiles, and how images, patches and codes travel between the NCHW tensors and a
//! tile's `[rows][pixels]` scratch.
//!
//! A group is a run of whole images that is worked on at once: its tiles take the pixels of all its images in order,
//! so that small images fill tiles too. Groups depend on the geometry and the tile alone.

use super::aligned::Aligned;
use super::normalization::Normalization;
use super::product::View;
use super::simd::copy;
use crate::ConvGeometry;

/// A group has at least this many tiles, so that a partial last tile costs little.
const TILES_PER_GROUP: usize = 8;
/// Values copied at once when packing; slices are this much longer so that copies may overrun.
const COPY: usize = 8;
/// Room after the last image for the vectors of idle lanes.
const SLACK: usize = 16;

/// Images per group, for `pixels` pixels an image.
pub(super) fn group_images(pixels: usize, tile: usize) -> usize {
    (TILES_PER_GROUP * tile).div_ceil(pixels.max(1)).max(1)
}

/// Images per task: whole groups, in at most `tasks` tasks.
pub(super) fn task_images(batch: usize, group: usize, tasks: usize) -> usize {
    batch.div_ceil(group).div_ceil(tasks).max(1) * group
}

/// Images `[images][channels]` with zero borders, each plane split into the `stride²` planes of its pixels' residues
/// modulo the stride: what a strided window reads for consecutive output pixels is contiguous.
pub(super) struct Planes {
    values: Aligned,
    channels: usize,
    height: usize,
    width: usize,
    border: usize,
    stride: usize,
    /// Rows of a plane, and the distance between them.
    rows: usize,
    pitch: usize,
}

impl Planes {
    /// Zero images `channels × height × width` with a border, as a window with this stride reads them.
    pub(super) fn zeros(
        images: usize,
        channels: usize,
        [height, width]: [usize; 2],
        border: usize,
        stride: usize,
    ) -> Self {
        let rows = (height + 2 * border).div_ceil(stride);
        let pitch = (width + 2 * border).div_ceil(stride);
        let image = channels * stride * stride * rows * pitch;
        Self {
            values: Aligned::zeros(images * image + SLACK),
            channels,
            height,
            width,
            border,
            stride,
            rows,
            pitch,
        }
    }

    /// Of the input of a layer.
    pub(super) fn of_input(geometry: &ConvGeometry, images: usize) -> Self {
        let sides = [geometry.height, geometry.width];
        Self::zeros(images, geometry.channels, sides, geometry.padding(), geometry.stride)
    }

    /// Of the output of a layer, as the gradient's windows read it.
    pub(super) fn of_output(geometry: &ConvGeometry, images: usize) -> Self {
        let sides = [geometry.output_height(), geometry.output_width()];
        Self::zeros(images, geometry.atoms, sides, geometry.padding(), 1)
    }

    fn image(&self) -> usize {
        self.channels * self.stride * self.stride * self.rows * self.pitch
    }

    /// Where row `y`, column `x` of a channel lies in an image; both count from the corner of the border.
    pub(super) fn address(&self, channel: usize, y: usize, x: usize) -> usize {
        let plane = (channel * self.stride + y % self.stride) * self.stride + x % self.stride;
        (plane * self.rows + y / self.stride) * self.pitch + x / self.stride
    }

    /// Copies in `images [images, c, h, w]`, at most as many as there is room for, normalised.
    #[inline(always)]
    pub(super) fn fill(&mut self, images: &[f32], normalization: Option<Normalization>) {
        let plane = self.height * self.width;
        for (i, plane) in images.chunks_exact(plane.max(1)).enumerate() {
            let first = i / self.channels * self.image();
            let channel = i % self.channels;
            let (mean, slope) = normalization.map_or((0.0, 1.0), |n| (n.mean[channel], n.scale[channel]));
            for (y, line) in plane.chunks_exact(self.width).enumerate() {
                let y = y + self.border;
                if self.stride == 1 {
                    let at = first + self.address(channel, y, self.border);
                    let target = &mut self.values[at..at + self.width];
                    if slope == 1.0 && mean == 0.0 {
                        copy(line, target);
                    } else {
                        let values = target.iter_mut().zip(line);
                        values.for_each(|(target, value)| *target = (value - mean) * slope);
                    }
                    continue;
                }
                for residue in 0..self.stride {
                    // The first column inside the border with this residue.
                    let skipped = (residue + self.stride - self.border % self.stride) % self.stride;
                    let at = first + self.address(channel, y, skipped + self.border);
                    let values = line.iter().skip(skipped).step_by(self.stride);
                    for (target, value) in self.values[at..].iter_mut().zip(values) {
                        *target = (value - mean) * slope;
                    }
                }
            }
        }
    }
}

/// Which values of [`Planes`] a window holds around each pixel of a grid.
pub(super) struct Window {
    /// Of each value: its offset from the pixel's own place. In whole blocks; those after the last repeat it.
    offsets: Vec<usize>,
    /// Of each value in a packed tile.
    packed: Vec<usize>,
    reach: usize,
    values: usize,
    width: usize,
    /// Whether vectors of pixels are contiguous, so that nothing need be packed.
    direct: bool,
}

impl Window {
    /// Of values at `offsets` around the pixels of a grid with so many columns.
    pub(super) fn new(mut offsets: Vec<usize>, columns: usize, shape: TileShape) -> Self {
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
            direct: columns.is_multiple_of(shape.lanes),
        }
    }

    /// The patches `(c, ky, kx)` of a layer's output pixels, in `planes` of its input.
    pub(super) fn patches(geometry: &ConvGeometry, planes: &Planes, shape: TileShape) -> Self {
        let k = geometry.kernel;
        let offsets = (0..geometry.patch())
            .map(|value| planes.address(value / (k * k), value / k % k, value % k))
            .collect();
        Self::new(offsets, geometry.output_width(), shape)
    }

    /// Scratch that [`Tile::view`] packs into.
    pub(super) fn scratch(&self) -> Aligned {
        Aligned::zeros(if self.direct {
            0
        } else {
            self.values * self.width + COPY
        })
    }
}

/// What a SIMD level makes of a tile.
#[derive(Clone, Copy)]
pub(super) struct TileShape {
    /// Rows of an accumulator.
    pub(super) block: usize,
    /// Pixels of a vector.
    pub(super) lanes: usize,
    /// Pixels of a tile.
    pub(super) width: usize,
}

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
pub(super) struct Tile {
    width: usize,
    lanes: usize,
    /// Pixels of an image.
    grid: [usize; 2],
    spans: Vec<Span>,
    runs: Vec<Run>,
}

impl Tile {
    /// A tile of images with `rows × columns` pixels, not placed yet.
    pub(super) fn new(grid: [usize; 2], shape: TileShape) -> Self {
        Self {
            width: shape.width,
            lanes: shape.lanes,
            grid,
            spans: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Places it on the pixels from `first` of a group of `images` images.
    pub(super) fn place(&mut self, first: usize, images: usize) {
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
    pub(super) fn pixels(&self) -> usize {
        self.spans.last().map_or(0, |span| span.lane + span.len)
    }

    /// Copies `rows` planes of a group's `[images, rows, pixels]` values into `[rows][width]`; idle lanes become 0.
    #[inline(always)]
    pub(super) fn load(&self, source: &[f32], rows: usize, tile: &mut [f32]) {
        let (pixels, idle) = (self.grid[0] * self.grid[1], self.pixels());
        for (row, lanes) in tile.chunks_exact_mut(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let at = (span.image * rows + row) * pixels + span.pixel;
                copy(&source[at..at + span.len], &mut lanes[span.lane..span.lane + span.len]);
            }
            lanes[idle..].fill(0.0);
        }
    }

    /// The inverse of [`Tile::load`].
    #[inline(always)]
    pub(super) fn store(&self, tile: &[f32], rows: usize, target: &mut [f32]) {
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
    pub(super) fn store_strided(
        &self,
        tile: &[f32],
        rows: usize,
        target: &mut [f32],
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
                    *value = *lane;
                }
            }
        }
    }

    /// Writes `[channels][width]` into the images of planes.
    #[inline(always)]
    pub(super) fn store_planes(&self, tile: &[f32], planes: &mut Planes) {
        for run in &self.runs {
            let first = run.image * planes.image();
            for (channel, lanes) in tile.chunks_exact(self.width).take(planes.channels).enumerate() {
                let at = first + planes.address(channel, run.y + planes.border, run.x + planes.border);
                copy(
                    &lanes[run.lane..run.lane + run.len],
                    &mut planes.values[at..at + run.len],
                );
            }
        }
    }

    /// The windows around the tile's pixels, as rows of a matrix; packed into `scratch` where they must be. Idle
    /// vectors repeat the first.
    #[inline(always)]
    pub(super) fn view<'a, const V: usize>(
        &self,
        window: &'a Window,
        planes: &'a Planes,
        scratch: &'a mut [f32],
    ) -> View<'a, V> {
        if !window.direct {
            self.pack(window, planes, scratch);
            let bases = std::array::from_fn(|v| v * self.lanes);
            let reach = window.values.saturating_sub(1) * self.width;
            return View::new(scratch, bases, &window.packed, reach, self.lanes);
        }
        let [rows, columns] = self.grid;
        let Some(Span { image, pixel, .. }) = self.spans.first() else {
            return View::new(&planes.values, [0; V], &window.offsets, window.reach, self.lanes);
        };
        let (first, idle) = (image * rows * columns + pixel, self.pixels());
        let bases = std::array::from_fn(|v| {
            let lane = if v * self.lanes < idle { v * self.lanes } else { 0 };
            let (image, pixel) = ((first + lane) / (rows * columns), (first + lane) % (rows * columns));
            image * planes.image() + pixel / columns * planes.pitch + pixel % columns
        });
        View::new(&planes.values, bases, &window.offsets, window.reach, self.lanes)
    }

    /// Gathers the windows of the tile's pixels into `[values][width]`.
    #[inline(always)]
    fn pack(&self, window: &Window, planes: &Planes, packed: &mut [f32]) {
        for (row, &offset) in window.offsets.iter().take(window.values).enumerate() {
            for run in &self.runs {
                let at = run.image * planes.image() + run.y * planes.pitch + run.x;
                let source = planes.values[at + offset..].as_chunks::<COPY>().0;
                let lanes = packed[row * self.width + run.lane..].as_chunks_mut::<COPY>().0;
                // Overruns land in lanes that a later run or row writes, or in idle ones.
                for (lanes, values) in lanes.iter_mut().zip(source).take(run.len.div_ceil(COPY)) {
                    *lanes = *values;
                }
            }
        }
    }
}
