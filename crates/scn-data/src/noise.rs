//! Images of noise in the shape of a dataset: for measuring speed where the dataset is not at hand.

use rand_chacha::rand_core::Rng;

use crate::catalogue::DatasetKind;
use crate::image_set::ImageSet;
use crate::random::{Purpose, below, stream};

/// `images` images of the dataset's shape with independent, uniform pixels and labels, by `seed` alone.
///
/// # Panics
/// If `images` is 0.
pub fn noise(kind: DatasetKind, images: usize, seed: u64) -> ImageSet {
    let info = kind.info();
    let mut random = stream(seed, Purpose::Noise, 0, 0);
    let mut pixels = vec![0; images * info.image_bytes()];
    random.fill_bytes(&mut pixels);
    if info.pixel_max < u8::MAX {
        pixels.iter_mut().for_each(|pixel| *pixel %= info.pixel_max + 1);
    }
    let labels = (0..images).map(|_| below(&mut random, kind.classes()) as u16).collect();
    ImageSet::new(info.shape, info.pixel_max, pixels, labels)
}
