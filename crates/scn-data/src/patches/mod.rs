//! Square patches of images, drawn at random: what unsupervised dictionaries are learned from.
//!
//! [`PatchSource`] are the images of a folder or of a dataset, [`Pool`] those of an epoch in memory, and a draw from a
//! pool depends on (seed, purpose, epoch, batch) only. Where the images take more memory than a pool may, each epoch has
//! some of them.

mod folder;
mod olshausen;
mod pool;
mod source;

pub use pool::{Draw, Pool};
pub use source::{PatchShape, PatchSource};

scn_keys::names! {
    /// The channels of patches.
    pub enum Color {
        /// The luma of ITU-R BT.601, one channel.
        Grey = "grey",
        /// Red, green and blue.
        Rgb = "rgb",
    }
}

/// What red, green and blue count in luma (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Color {
    /// Channels of a patch.
    pub fn channels(self) -> usize {
        match self {
            Color::Grey => 1,
            Color::Rgb => LUMA.len(),
        }
    }
}

/// An image as patches are cut from it: values `[c, h, w]`, those of pixels between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
struct Image {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl Image {
    /// Of planes of red, green and blue, or of a single one.
    fn new(color: Color, height: usize, width: usize, values: Vec<f32>) -> Self {
        let pixels = height * width;
        let values = match color {
            Color::Grey if values.len() == LUMA.len() * pixels => (0..pixels)
                .map(|pixel| (0..LUMA.len()).map(|c| LUMA[c] * values[c * pixels + pixel]).sum())
                .collect(),
            Color::Grey | Color::Rgb => values,
        };
        Self { height, width, values }
    }

    /// Whether all values are the same.
    fn is_constant(&self) -> bool {
        self.values.iter().all(|value| *value == self.values[0])
    }

    /// Squares of this side that fit.
    fn places(&self, side: usize) -> usize {
        (self.height + 1).saturating_sub(side) * (self.width + 1).saturating_sub(side)
    }
}
