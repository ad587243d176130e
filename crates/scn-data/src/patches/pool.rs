//! The images of an epoch in memory, and the patches that are drawn from them.

use super::olshausen::filter;
use super::source::PatchSource;
use super::{Image, PatchShape};
use crate::error::DataError;
use crate::random::{Purpose, below, shuffle, stream};
use crate::whitening::WhiteningKind;

/// Values of all images of a pool at most: 512 MiB.
const CAPACITY: usize = 1 << 27;

/// What patches are drawn for; each draw is one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// The statistics that patches are whitened with.
    Statistics,
    /// The atoms that learning starts from.
    Start,
    /// The patches that every dictionary of a run is judged by.
    Evaluation,
    /// A batch of an epoch, both counted from 0.
    Batch {
        /// The epoch.
        epoch: u64,
        /// The batch.
        batch: u64,
    },
}

/// Images in memory.
#[derive(Debug)]
pub struct Pool {
    shape: PatchShape,
    images: Vec<Image>,
    /// For each image, the places of patches in it and in those before it.
    places: Vec<usize>,
    /// Whether all images of the source are here.
    complete: bool,
}

impl Pool {
    /// The images of an epoch: all of the source, or, where they take too much memory, some, by (seed, epoch).
    /// [`WhiteningKind::Olshausen`] filters them; whatever else whitens patches leaves images as they are.
    ///
    /// # Errors
    /// [`DataError::ConstantImage`], [`DataError::Image`], [`DataError::Io`].
    pub fn load(source: &PatchSource, whitening: WhiteningKind, seed: u64, epoch: u64) -> Result<Self, DataError> {
        Self::load_within(CAPACITY, source, whitening, seed, epoch)
    }

    fn load_within(
        capacity: usize,
        source: &PatchSource,
        whitening: WhiteningKind,
        seed: u64,
        epoch: u64,
    ) -> Result<Self, DataError> {
        let mut order: Vec<usize> = (0..source.count()).collect();
        let total = order
            .iter()
            .fold(0, |total: usize, &index| total.saturating_add(source.values(index)));
        let complete = total <= capacity;
        if !complete {
            shuffle(&mut stream(seed, Purpose::PatchImages, epoch, 0), &mut order);
        }
        let mut left = capacity;
        let (mut images, mut places) = (Vec::new(), Vec::new());
        let mut sum = 0;
        for index in order {
            // One image is needed, however large it is.
            let Some(rest) = left
                .checked_sub(source.values(index))
                .or(images.is_empty().then_some(0))
            else {
                break;
            };
            left = rest;
            let image = source.read(index)?;
            sum += image.places(source.shape().side);
            places.push(sum);
            images.push(match whitening {
                WhiteningKind::Olshausen => filter(&image),
                WhiteningKind::None | WhiteningKind::Zca | WhiteningKind::Pca => image,
            });
        }
        Ok(Self {
            shape: source.shape(),
            images,
            places,
            complete,
        })
    }

    /// Whether every epoch has the same images.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// `count` patches `[count, c, k, k]`, each at any of the places with the same probability.
    pub fn draw(&self, draw: Draw, count: usize, seed: u64) -> Vec<f32> {
        let mut random = match draw {
            Draw::Statistics => stream(seed, Purpose::PatchStatistics, 0, 0),
            Draw::Start => stream(seed, Purpose::PatchStart, 0, 0),
            Draw::Evaluation => stream(seed, Purpose::PatchEvaluation, 0, 0),
            Draw::Batch { epoch, batch } => stream(seed, Purpose::Patches, epoch, batch),
        };
        let side = self.shape.side;
        let total = self.places.last().copied().unwrap_or(0);
        let mut patches = Vec::with_capacity(count * self.shape.values());
        for _ in 0..count {
            let place = below(&mut random, total);
            let index = self.places.partition_point(|&sum| sum <= place);
            let image = &self.images[index];
            let place = place - index.checked_sub(1).map_or(0, |before| self.places[before]);
            let (top, left) = (place / (image.width + 1 - side), place % (image.width + 1 - side));
            for plane in image.values.chunks_exact(image.height * image.width) {
                for row in top..top + side {
                    patches.extend_from_slice(&plane[row * image.width + left..][..side]);
                }
            }
        }
        patches
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image_set::ImageSet;
    use crate::patches::Color;

    fn source(images: u8) -> PatchSource {
        // Image i has pixels 7i + y·3 + x, which tell where a patch was.
        let pixels = (0..images).flat_map(|image| (0..6).map(move |pixel| 7 * image + pixel));
        let set = ImageSet::new([1, 2, 3], 255, pixels.collect(), vec![0; images.into()]);
        let color = Color::Grey;
        PatchSource::dataset(set, PatchShape { side: 2, color })
    }

    fn first_images(pool: &Pool, epoch: u64) -> Vec<usize> {
        let patches = pool.draw(Draw::Batch { epoch, batch: 0 }, 200, 1);
        let mut images: Vec<usize> = patches
            .iter()
            .step_by(4)
            .map(|value| (255.0 * value).round() as usize / 7)
            .collect();
        images.sort_unstable();
        images.dedup();
        images
    }

    #[test]
    fn a_pool_that_is_too_small_has_other_images_every_epoch_and_few_at_a_time() {
        let source = source(20);
        let load = |epoch| Pool::load_within(4 * 6, &source, WhiteningKind::None, 3, epoch).unwrap();
        let mut seen = Vec::new();
        for epoch in 0..40 {
            let pool = load(epoch);
            assert!(!pool.is_complete());
            let images = first_images(&pool, epoch);
            assert_eq!(images.len(), 4);
            assert_eq!(images, first_images(&load(epoch), epoch));
            seen.extend(images);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        let whole = Pool::load_within(20 * 6, &source, WhiteningKind::None, 3, 0).unwrap();
        assert!(whole.is_complete());
        assert_eq!(first_images(&whole, 0).len(), 20);
        // An image that is larger than the pool is taken alone.
        assert_eq!(
            Pool::load_within(5, &source, WhiteningKind::None, 3, 0)
                .unwrap()
                .images
                .len(),
            1
        );
    }
}
