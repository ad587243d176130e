//! Validation splits and limits.

use scn_data::{DataError, ImageSet, limit, split_validation};

use crate::files::small_set;

fn records(set: &ImageSet) -> Vec<u32> {
    (0..set.count()).map(|position| set.record(position)).collect()
}

/// 600, 300 and 101 images of three classes, mixed.
fn uneven() -> ImageSet {
    let label = |i: usize| match i % 10 {
        0..6 => 0,
        6..9 => 1,
        _ => 2,
    };
    let labels: Vec<u16> = (0..1000).map(label).chain([2]).collect();
    ImageSet::new([1, 1, 1], 255, vec![7; labels.len()], labels)
}

#[test]
fn a_split_is_disjoint_whole_and_in_order() {
    let set = small_set(500, [1, 2, 3], 7);
    let (train, validation) = split_validation(&set, 123, 5).unwrap();
    let validation = validation.unwrap();
    assert_eq!((train.count(), validation.count()), (377, 123));
    assert!(records(&train).is_sorted() && records(&validation).is_sorted());
    let mut all = [records(&train), records(&validation)].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..500));
    for position in 0..validation.count() {
        let record = validation.record(position) as usize;
        assert_eq!(
            (validation.image(position), validation.label(position)),
            (set.image(record), set.label(record))
        );
    }
}

#[test]
fn every_class_is_drawn_in_proportion() {
    let (train, validation) = split_validation(&small_set(5000, [1, 1, 1], 10), 1003, 1).unwrap();
    let counts = validation.unwrap().class_counts();
    assert!(counts.iter().all(|count| (100..=101).contains(count)), "{counts:?}");
    assert!(train.class_counts().iter().all(|count| (399..=400).contains(count)));

    let set = uneven();
    for images in [1, 2, 3, 10, 57, 100, 500, 999, 1000] {
        let counts = limit(&set, images, 3).unwrap().class_counts();
        for (class, total) in [600.0, 300.0, 101.0].into_iter().enumerate() {
            let quota = total * images as f64 / 1001.0;
            let count = counts.get(class).copied().unwrap_or(0) as f64;
            assert!(
                (count - quota).abs() < 1.0,
                "{images} images: class {class} has {count}, its share is {quota}"
            );
        }
    }
}

#[test]
fn draws_depend_on_the_seed_only() {
    let set = uneven();
    let draw = |seed| records(&split_validation(&set, 200, seed).unwrap().1.unwrap());
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(
        draw(1),
        records(&limit(&set, 200, 1).unwrap()),
        "limit and validation must not coincide"
    );
}

#[test]
fn smaller_limits_are_part_of_larger_ones() {
    let set = uneven();
    let mut larger = records(&set);
    for images in [700, 333, 90, 11, 1] {
        let smaller = records(&limit(&set, images, 4).unwrap());
        assert_eq!(smaller.len(), images);
        assert!(smaller.iter().all(|record| larger.contains(record)));
        larger = smaller;
    }
    assert_eq!(records(&limit(&set, set.count(), 4).unwrap()), records(&set));
}

#[test]
fn no_validation_set_is_allowed() {
    let set = small_set(10, [1, 1, 1], 2);
    let (train, validation) = split_validation(&set, 0, 0).unwrap();
    assert_eq!((train.count(), validation.is_none()), (10, true));
}

#[test]
fn too_large_values_are_errors_with_the_numbers() {
    let set = small_set(10, [1, 1, 1], 2);
    assert!(split_validation(&set, 9, 0).is_ok());
    let error = split_validation(&set, 10, 0).unwrap_err();
    assert!(matches!(
        error,
        DataError::Validation {
            requested: 10,
            available: 10
        }
    ));
    assert_eq!(
        error.to_string(),
        "10 validation images out of 10 training images leave none to train on: choose 0 to 9"
    );
    for images in [0, 11] {
        assert_eq!(
            limit(&set, images, 0).unwrap_err().to_string(),
            format!("cannot limit a set of 10 images to {images}: choose 1 to 10, or leave the limit out")
        );
    }
}
