//! Subsets with every class in proportion: the validation split and the limits for trials.
//!
//! The images of each class are shuffled; the i-th (from 0) of a class of n gets the rank `(i + ½) / n`, and the
//! images of lowest rank are drawn. These are Webster's quotas: classes of equal size differ by at most one image,
//! and a smaller draw with the same seed is part of a larger one.

use rand_chacha::ChaCha8Rng;

use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::random::{Purpose, shuffle, stream};

/// Take `validation_images` images out of a training set, every class in proportion. Returns what is left to train
/// on and the validation set, `None` for 0 images; both keep the order of `train`. Depends only on the set, the
/// number and the seed.
///
/// # Errors
/// [`DataError::Validation`] if nothing would be left to train on.
pub fn split_validation(
    train: &ImageSet,
    validation_images: usize,
    seed: u64,
) -> Result<(ImageSet, Option<ImageSet>), DataError> {
    if validation_images >= train.count() {
        return Err(DataError::Validation {
            requested: validation_images,
            available: train.count(),
        });
    }
    if validation_images == 0 {
        return Ok((train.clone(), None));
    }
    let (drawn, rest) = draw_evenly(train, validation_images, stream(seed, Purpose::Validation, 0, 0));
    Ok((train.select(&rest), Some(train.select(&drawn))))
}

/// Keep `images` images of a set, every class in proportion, in the order of the set. Depends only on the set, the
/// number and the seed; with the same seed a smaller limit keeps a part of what a larger one keeps. Split off the
/// validation set first, so that it is the same for every limit.
///
/// # Errors
/// [`DataError::Limit`] unless `1 <= images <= set.count()`.
pub fn limit(set: &ImageSet, images: usize, seed: u64) -> Result<ImageSet, DataError> {
    if images == 0 || images > set.count() {
        return Err(DataError::Limit {
            requested: images,
            available: set.count(),
        });
    }
    let (drawn, _) = draw_evenly(set, images, stream(seed, Purpose::Limit, 0, 0));
    Ok(set.select(&drawn))
}

/// The positions drawn and those left over, both ascending.
pub(crate) fn draw_evenly(set: &ImageSet, images: usize, mut stream: ChaCha8Rng) -> (Vec<usize>, Vec<usize>) {
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); set.class_counts().len()];
    for position in 0..set.count() {
        classes[set.label(position) as usize].push(position);
    }
    // Equal ranks go to the classes in random order; the sort below is stable.
    let mut ranked = Vec::with_capacity(set.count());
    for members in &mut classes {
        shuffle(&mut stream, members);
    }
    shuffle(&mut stream, &mut classes);
    for members in classes {
        let size = members.len() as u64;
        ranked.extend(
            members
                .into_iter()
                .zip(0..size)
                .map(|(position, i)| (2 * i + 1, size, position)),
        );
    }
    ranked.sort_by(|(rank, size, _), (other_rank, other_size, _)| (rank * other_size).cmp(&(other_rank * size)));

    let mut positions: Vec<usize> = ranked.into_iter().map(|(_, _, position)| position).collect();
    let mut rest = positions.split_off(images);
    positions.sort_unstable();
    rest.sort_unstable();
    (positions, rest)
}
