//! The loader: order, resuming, leaving early, and what batches depend on.

use std::collections::HashMap;
use std::thread;

use scn_data::{Augmentation, Batch, DataError, Flip, ImageSet, Loader, MeanSubtraction, Normalization, epoch_order};

use crate::files::small_set;

const SHAPE: [usize; 3] = [2, 6, 5];

fn normalization(set: &ImageSet) -> Normalization {
    Normalization::fit(set, MeanSubtraction::PerPixel, true)
}

fn all_augmentations() -> Augmentation {
    Augmentation {
        flip: Flip::Random,
        shift: 2,
        crop: Some(4),
        cutout: Some(3),
        per_batch: false,
    }
}

fn training(set: &ImageSet, batch_size: usize, seed: u64) -> Loader {
    Loader::training(
        set.clone(),
        normalization(set),
        all_augmentations(),
        batch_size,
        false,
        seed,
    )
    .unwrap()
}

/// Every image of some batches by its record.
fn by_record(batches: impl Iterator<Item = Batch>) -> HashMap<u32, Vec<f32>> {
    let mut images = HashMap::new();
    for batch in batches {
        let length = batch.images.len() / batch.records.len();
        for (record, image) in batch.records.iter().zip(batch.images.chunks(length)) {
            assert!(
                images.insert(*record, image.to_vec()).is_none(),
                "record {record} twice"
            );
        }
    }
    images
}

#[test]
fn the_order_of_an_epoch_never_changes() {
    // Computed by a separate program with its own ChaCha8.
    assert_eq!(epoch_order(10, 0, 0), [9, 2, 3, 4, 6, 7, 0, 1, 5, 8]);
    assert_eq!(epoch_order(10, 7, 3), [1, 0, 6, 2, 3, 9, 5, 7, 4, 8]);
}

#[test]
fn training_follows_the_epoch_order() {
    let set = small_set(50, SHAPE, 7).select(&(10..40).collect::<Vec<_>>());
    let loader = training(&set, 8, 3);
    assert_eq!(
        (loader.batches(), loader.images(), loader.image_shape()),
        (4, 30, [2, 4, 4])
    );
    for epoch in 0..3 {
        let batches: Vec<Batch> = loader.epoch(epoch, 0).collect();
        let records: Vec<u32> = batches.iter().flat_map(|batch| batch.records.clone()).collect();
        assert!(
            records.iter().eq(epoch_order(30, 3, epoch)
                .iter()
                .map(|position| position + 10)
                .collect::<Vec<_>>()
                .iter())
        );
        for (index, batch) in batches.iter().enumerate() {
            let count = if index == 3 { 6 } else { 8 };
            assert_eq!((batch.index, batch.shape), (index, [count, 2, 4, 4]));
            assert_eq!(
                (batch.images.len(), batch.labels.len(), batch.records.len()),
                (count * 32, count, count)
            );
            assert!(
                batch
                    .labels
                    .iter()
                    .zip(&batch.records)
                    .all(|(&label, record)| label == (record % 7) as i32)
            );
        }
    }
    assert_ne!(epoch_order(30, 3, 0), epoch_order(30, 3, 1));
}

#[test]
fn images_are_those_of_the_public_steps() {
    let set = small_set(23, SHAPE, 7);
    let (augmentation, statistics) = (all_augmentations(), normalization(&set));
    for (record, image) in by_record(training(&set, 5, 9).epoch(4, 0)) {
        let mut values = vec![0.0; 60];
        let mut expected = vec![0.0; 32];
        statistics.apply(set.image(record as usize), &mut values);
        augmentation
            .draw(SHAPE, 9, 4, record, 0)
            .unwrap()
            .apply(&values, SHAPE, &mut expected, [2, 4, 4]);
        assert_eq!(image, expected);
    }
}

#[test]
fn images_depend_on_seed_epoch_and_record_only() {
    let set = small_set(60, SHAPE, 7);
    let expected = by_record(training(&set, 60, 1).epoch(2, 0));
    assert_eq!(expected.len(), 60);
    for batch_size in [1, 7, 16, 100] {
        assert!(
            by_record(training(&set, batch_size, 1).epoch(2, 0))
                .iter()
                .all(|(record, image)| image == &expected[record])
        );
    }
    // Many epochs at once, from many threads, disturb nothing.
    let loader = training(&set, 7, 1);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert!(
                    by_record(loader.epoch(2, 0))
                        .iter()
                        .all(|(record, image)| image == &expected[record])
                );
            });
        }
    });
    // Nor does a split of the training set, given the same statistics.
    let part = set.select(&(20..50).collect::<Vec<_>>());
    let loader = Loader::training(part, normalization(&set), all_augmentations(), 9, false, 1).unwrap();
    assert!(
        by_record(loader.epoch(2, 0))
            .iter()
            .all(|(record, image)| image == &expected[record])
    );
    assert_ne!(expected, by_record(training(&set, 60, 1).epoch(3, 0)));
    assert_ne!(expected, by_record(training(&set, 60, 2).epoch(2, 0)));
}

#[test]
fn a_batch_can_share_its_augmentation() {
    // Equal images stay equal within a batch only if they share everything.
    let set = ImageSet::new([1, 8, 8], 255, (0..40).flat_map(|_| 0..64).collect(), vec![0; 40]);
    let statistics = Normalization::fit(&set, MeanSubtraction::None, false);
    let augmentation = Augmentation {
        crop: None,
        per_batch: true,
        ..all_augmentations()
    };
    let loader = Loader::training(set, statistics, augmentation, 8, false, 0).unwrap();
    let batches: Vec<Batch> = loader.epoch(0, 0).collect();
    assert!(
        batches
            .iter()
            .all(|batch| batch.images.chunks(64).all(|image| image == &batch.images[..64]))
    );
    assert!(batches.iter().any(|batch| batch.images != batches[0].images));
}

#[test]
fn resuming_gives_the_tail_of_the_epoch() {
    let loader = training(&small_set(45, SHAPE, 7), 4, 5);
    let whole: Vec<Batch> = loader.epoch(6, 0).collect();
    assert_eq!(whole.len(), loader.batches());
    for first in 0..=loader.batches() + 1 {
        let tail = loader.epoch(6, first);
        assert_eq!(tail.len(), loader.batches().saturating_sub(first));
        assert_eq!(tail.collect::<Vec<_>>(), whole[first.min(whole.len())..]);
    }
}

#[test]
fn leaving_early_ends_the_thread() {
    let loader = training(&small_set(300, SHAPE, 7), 2, 5);
    for taken in [0, 1, 3, 140] {
        for _ in 0..25 {
            let mut batches = loader.epoch(0, 0);
            assert_eq!(batches.by_ref().take(taken).count(), taken);
            drop(batches);
        }
    }
}

#[test]
fn an_ended_epoch_stays_ended() {
    let mut batches = training(&small_set(4, SHAPE, 2), 4, 0).epoch(0, 0);
    assert!(batches.next().is_some());
    assert!(batches.next().is_none() && batches.next().is_none());
}

#[test]
fn the_last_batch_of_training() {
    let batch_sizes = |images, batch_size, drop_last| {
        let set = small_set(images, SHAPE, 2);
        let loader = Loader::training(
            set.clone(),
            normalization(&set),
            Augmentation::default(),
            batch_size,
            drop_last,
            0,
        )
        .unwrap();
        let sizes: Vec<usize> = loader.epoch(0, 0).map(|batch| batch.shape[0]).collect();
        assert_eq!((loader.batches(), loader.images()), (sizes.len(), sizes.iter().sum()));
        sizes
    };
    assert_eq!(batch_sizes(10, 4, false), [4, 4, 2]);
    assert_eq!(batch_sizes(10, 4, true), [4, 4]);
    assert_eq!(batch_sizes(9, 4, false), [4, 4], "a single image is left out");
    assert_eq!(batch_sizes(3, 1, false), [1, 1, 1]);
    assert_eq!(batch_sizes(3, 8, false), [3]);
    assert_eq!(batch_sizes(1, 1, true), [1]);
}

#[test]
fn evaluation_takes_every_image_in_order_from_the_centre() {
    let set = small_set(11, SHAPE, 7);
    let statistics = normalization(&set);
    for crop in [None, Some(3)] {
        let loader = Loader::evaluation(set.clone(), statistics.clone(), crop, 4).unwrap();
        let batches: Vec<Batch> = loader.epoch(0, 0).collect();
        assert_eq!(
            batches.iter().map(|batch| batch.shape[0]).collect::<Vec<_>>(),
            [4, 4, 3]
        );
        assert!(batches.iter().flat_map(|batch| batch.records.clone()).eq(0..11));
        assert_eq!(batches, loader.epoch(1, 0).collect::<Vec<_>>());
        let mut whole = vec![0.0; 60];
        for (record, image) in by_record(batches.into_iter()) {
            statistics.apply(set.image(record as usize), &mut whole);
            let expected: Vec<f32> = match crop {
                None => whole.clone(),
                // Rows 1..4 of 6 and columns 1..4 of 5.
                Some(_) => (0..18)
                    .map(|i| whole[i / 9 * 30 + (1 + i / 3 % 3) * 5 + 1 + i % 3])
                    .collect(),
            };
            assert_eq!(image, expected);
        }
    }
    // A single image is as good as any here.
    let set = small_set(5, SHAPE, 2);
    assert_eq!(
        Loader::evaluation(set.clone(), normalization(&set), None, 4)
            .unwrap()
            .epoch(0, 0)
            .count(),
        2
    );
}

#[test]
fn batch_sizes_without_batches_are_errors() {
    let set = small_set(5, SHAPE, 2);
    let training = |batch_size, drop_last| {
        Loader::training(
            set.clone(),
            normalization(&set),
            Augmentation::default(),
            batch_size,
            drop_last,
            0,
        )
        .unwrap_err()
    };
    let message = training(6, true).to_string();
    assert_eq!(
        message,
        "batches of 6 images, the last partial one dropped, make no batch out of 5 images: choose 1 to 5"
    );
    assert!(matches!(
        training(0, false),
        DataError::BatchSize {
            batch_size: 0,
            images: 5,
            drop_last: false
        }
    ));
    assert!(matches!(training(0, true), DataError::BatchSize { batch_size: 0, .. }));
    let error = Loader::evaluation(set.clone(), normalization(&set), None, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batches of 0 images make no batch out of 5 images: choose 1 to 5"
    );
    let error = Loader::evaluation(set.clone(), normalization(&set), Some(6), 2).unwrap_err();
    assert!(matches!(
        error,
        DataError::Crop {
            crop: 6,
            height: 6,
            width: 5
        }
    ));
}
