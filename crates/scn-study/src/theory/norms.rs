//! The local norms of codes (Papyan, Sulam & Elad, IEEE Transactions on Signal Processing 65, 2017): the stripe norm
//! `‖Γ‖ˢ₀,∞`, the most non-zeros among the codes whose atoms share places with a given one, and the patch norms
//! `‖Γ‖ᴾ₀,∞` and `‖Γ‖ᴾ₂,∞`, the most non-zeros and the largest Euclidean norm of a window. Outside an image are zeros.

use std::ops::Range;

use super::atoms::Overlap;

/// Values `[b, n, h, w]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// The values.
    pub values: &'a [f64],
    /// Their shape.
    pub shape: [usize; 4],
}

/// A window of codes, all atoms of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// The whole code.
    Whole,
    /// A window, as of the layer that codes these codes.
    Window {
        /// Its side in places.
        kernel: usize,
        /// Rows and columns from place to place.
        dilation: usize,
    },
}

/// The most non-zeros in a stripe, over all positions and images.
pub fn stripe_norm(codes: Maps, overlap: &Overlap) -> usize {
    let window = |side: usize| Window {
        offsets: overlap.positions.clone(),
        starts: 0..side as isize,
    };
    codes.largest(non_zero, window) as usize
}

/// The most non-zeros in a patch, over all patches and images.
pub fn patch_norm(codes: Maps, patch: Patch) -> usize {
    codes.largest(non_zero, |side| patch.window(side)) as usize
}

/// The largest Euclidean norm of a patch, over all patches and images.
pub fn patch_energy(values: Maps, patch: Patch) -> f64 {
    values.largest(|value| value * value, |side| patch.window(side)).sqrt()
}

fn non_zero(value: f64) -> f64 {
    f64::from(value != 0.0)
}

impl Patch {
    fn window(self, side: usize) -> Window {
        match self {
            Patch::Whole => Window {
                offsets: (0..side as isize).collect(),
                starts: 0..1,
            },
            Patch::Window { kernel, dilation } => {
                // Places further apart than the image is long never lie in it together.
                let inside = (0..kernel)
                    .map(|place| dilation.saturating_mul(place))
                    .take_while(|&offset| offset < side);
                // What a window that begins before the image holds of it, one that begins inside does.
                let starts = 0..side as isize;
                let offsets = inside.map(|offset| offset as isize).collect();
                Window { offsets, starts }
            }
        }
    }
}

/// Windows along one side of an image.
struct Window {
    /// From the first place to each.
    offsets: Vec<isize>,
    /// Where the first place may lie.
    starts: Range<isize>,
}

impl Maps<'_> {
    /// The largest sum of `value` over all channels and the places of a window, 0 of no images.
    fn largest(self, value: impl Fn(f64) -> f64, window: impl Fn(usize) -> Window) -> f64 {
        let [_, channels, height, width] = self.shape;
        let plane = height * width;
        if channels * plane == 0 {
            return 0.0;
        }
        let (vertical, horizontal) = (window(height), window(width));
        let mut largest = 0.0f64;
        for image in self.values.chunks_exact(channels * plane) {
            let mut sums = vec![0.0; plane];
            for channel in image.chunks_exact(plane) {
                for (sum, &code) in sums.iter_mut().zip(channel) {
                    *sum += value(code);
                }
            }
            for row in vertical.starts.clone() {
                let mut of_columns = vec![0.0; width];
                for inside in vertical.inside(row, height) {
                    for (sum, value) in of_columns.iter_mut().zip(&sums[inside * width..][..width]) {
                        *sum += value;
                    }
                }
                for column in horizontal.starts.clone() {
                    let sum = horizontal.inside(column, width).map(|column| of_columns[column]).sum();
                    largest = largest.max(sum);
                }
            }
        }
        largest
    }
}

impl Window {
    /// The places of the window that starts there, as far as they lie in a side.
    fn inside(&self, start: isize, side: usize) -> impl Iterator<Item = usize> {
        let places = self.offsets.iter().map(move |offset| start + offset);
        places.filter_map(move |place| usize::try_from(place).ok().filter(|&place| place < side))
    }
}
