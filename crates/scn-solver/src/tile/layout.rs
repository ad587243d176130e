//! How the output pixels of a layer fall into tiles, and how patches, codes and gradients travel between the
//! NCHW tensors and a tile's `[rows][pixels]` scratch.
//!
//! A group is a run of whole images that one task works on: its tiles take the output pixels of all its images in
//! order, so that small images fill tiles too. Groups depend on the geometry and the tile alone.

use super::aligned::Aligned;
use crate::ConvGeometry;

/// A group has at least this many tiles, so that a partial last tile costs little.
const TILES_PER_GROUP: usize = 8;
/// Values copied at once when packing; rows are this much longer so that copies may overrun.
const COPY: usize = 16;

/// Consecutive output pixels of one row of one image.
struct Run {
    lane: usize,
    image: usize,
    y: usize,
    x: usize,
    len: usize,
}

/// Consecutive output pixels of one image.
struct Span {
    lane: usize,
    image: usize,
    pixel: usize,
    len: usize,
}

/// Images per group.
pub(super) fn group_images(geometry: &ConvGeometry, tile: usize) -> usize {
    (TILES_PER_GROUP * tile).div_ceil(geometry.pixels().max(1)).max(1)
}

/// Where the pixels of one tile of a group lie.
pub(super) struct Tile<'g> {
    geometry: &'g ConvGeometry,
    width: usize,
    spans: Vec<Span>,
    runs: Vec<Run>,
    /// Of each value of a patch, in the order (c, ky, kx): its offset from the patch's corner in a padded image.
    offsets: Vec<usize>,
}

impl<'g> Tile<'g> {
    /// A tile of `width` pixels, not placed yet.
    pub(super) fn new(geometry: &'g ConvGeometry, width: usize) -> Self {
        let ConvGeometry { channels, kernel, .. } = *geometry;
        let (rows, columns) = padded_sides(geometry);
        let offset = |value: usize| {
            let (c, ky, kx) = (value / (kernel * kernel), value / kernel % kernel, value % kernel);
            (c * rows + ky) * columns + kx
        };
        let offsets = (0..channels * kernel * kernel).map(offset).collect();
        Self {
            geometry,
            width,
            spans: Vec::new(),
            runs: Vec::new(),
            offsets,
        }
    }

    /// Places it on the pixels from `first` of a group of `images` images.
    pub(super) fn place(&mut self, first: usize, images: usize) {
        let (pixels, columns) = (self.geometry.pixels(), self.geometry.output_width());
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
        self.spans.iter().map(|span| span.len).sum()
    }

    /// Copies `rows` planes of a group's `[images, rows, pixels]` values into `[rows][width]`; idle lanes become 0.
    #[inline(always)]
    pub(super) fn load(&self, source: &[f32], rows: usize, tile: &mut [f32]) {
        let (pixels, idle) = (self.geometry.pixels(), self.pixels());
        for (row, lanes) in tile.chunks_exact_mut(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let at = (span.image * rows + row) * pixels + span.pixel;
                lanes[span.lane..span.lane + span.len].copy_from_slice(&source[at..at + span.len]);
            }
            lanes[idle..].fill(0.0);
        }
    }

    /// The inverse of [`Tile::load`].
    #[inline(always)]
    pub(super) fn store(&self, tile: &[f32], rows: usize, target: &mut [f32]) {
        let pixels = self.geometry.pixels();
        for (row, lanes) in tile.chunks_exact(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let at = (span.image * rows + row) * pixels + span.pixel;
                target[at..at + span.len].copy_from_slice(&lanes[span.lane..span.lane + span.len]);
            }
        }
    }

    /// Adds the number of positive values of each row, by image, to `[images, rows]`.
    #[inline(always)]
    pub(super) fn count_active(&self, tile: &[f32], rows: usize, active: &mut [f32]) {
        for (row, lanes) in tile.chunks_exact(self.width).take(rows).enumerate() {
            for span in &self.spans {
                let lanes = &lanes[span.lane..span.lane + span.len];
                active[span.image * rows + row] += lanes.iter().map(|&code| f32::from(code > 0.0)).sum::<f32>();
            }
        }
    }

    /// Scratch for [`Tile::pack`] and [`Tile::fold`]: `[rows][width]` and room for overruns.
    pub(super) fn patches(&self, rows: usize) -> Aligned {
        Aligned::zeros(rows * self.width + COPY)
    }

    /// Gathers the patches of the tile's pixels from padded images into `[m][width]`.
    #[inline(always)]
    pub(super) fn pack(&self, padded: &Padded, patches: &mut [f32]) {
        let stride = self.geometry.stride;
        for (row, &offset) in self.offsets.iter().enumerate() {
            for run in &self.runs {
                let source = &padded.values[padded.start(run) + offset..];
                let lanes = &mut patches[row * self.width + run.lane..];
                if stride == 1 {
                    // Overruns land in lanes that a later run or row writes, or in idle ones.
                    let blocks = run.len.div_ceil(COPY);
                    let source = source.as_chunks::<COPY>().0;
                    for (lanes, values) in lanes.as_chunks_mut::<COPY>().0.iter_mut().zip(source).take(blocks) {
                        *lanes = *values;
                    }
                } else {
                    for (lane, value) in lanes[..run.len].iter_mut().zip(source.iter().step_by(stride)) {
                        *lane = *value;
                    }
                }
            }
        }
    }

    /// The transpose of [`Tile::pack`]: adds patches onto the padded images.
    #[inline(always)]
    pub(super) fn fold(&self, patches: &[f32], padded: &mut Padded) {
        let stride = self.geometry.stride;
        for (row, &offset) in self.offsets.iter().enumerate() {
            for run in &self.runs {
                let at = padded.start(run) + offset;
                let lanes = &patches[row * self.width + run.lane..][..run.len];
                let target = &mut padded.values[at..];
                if stride == 1 {
                    target.iter_mut().zip(lanes).for_each(|(value, lane)| *value += lane);
                } else {
                    target
                        .iter_mut()
                        .step_by(stride)
                        .zip(lanes)
                        .for_each(|(value, lane)| *value += lane);
                }
            }
        }
    }
}

fn padded_sides(geometry: &ConvGeometry) -> (usize, usize) {
    (
        geometry.height + 2 * geometry.padding(),
        geometry.width + 2 * geometry.padding(),
    )
}

/// The images of a group with their zero padding, so that a patch is cut out without case distinctions.
pub(super) struct Padded {
    values: Aligned,
    image: usize,
    width: usize,
    stride: usize,
}

impl Padded {
    pub(super) fn zeros(geometry: &ConvGeometry, images: usize) -> Self {
        let (height, width) = padded_sides(geometry);
        let image = geometry.channels * height * width;
        Self {
            values: Aligned::zeros(images * image + COPY),
            image,
            width,
            stride: geometry.stride,
        }
    }

    /// Of a group's images `[images, c, h, w]`.
    pub(super) fn from_images(geometry: &ConvGeometry, x: &[f32]) -> Self {
        let mut padded = Self::zeros(
            geometry,
            x.len() / (geometry.channels * geometry.height * geometry.width),
        );
        padded.for_each_line(geometry, |i, line| {
            line.copy_from_slice(&x[i * line.len()..(i + 1) * line.len()])
        });
        padded
    }

    /// Writes the images without their padding to `[images, c, h, w]`.
    pub(super) fn write_images(&mut self, geometry: &ConvGeometry, x: &mut [f32]) {
        self.for_each_line(geometry, |i, line| {
            x[i * line.len()..(i + 1) * line.len()].copy_from_slice(line)
        });
    }

    fn for_each_line(&mut self, geometry: &ConvGeometry, mut visit: impl FnMut(usize, &mut [f32])) {
        let (height, width, padding) = (geometry.height, geometry.width, geometry.padding());
        let plane = (height + 2 * padding) * self.width;
        if plane == 0 {
            return;
        }
        let end = self.values.len() - COPY;
        for (i, plane) in self.values[..end].chunks_exact_mut(plane).enumerate() {
            for y in 0..height {
                let at = (y + padding) * self.width + padding;
                visit(i * height + y, &mut plane[at..at + width]);
            }
        }
    }

    /// The corner of the patch at the first pixel of `run`.
    #[inline(always)]
    fn start(&self, run: &Run) -> usize {
        run.image * self.image + run.y * self.stride * self.width + run.x * self.stride
    }
}
