//! The embedded digits.

use std::path::Path;

use scn_data::{DatasetKind, ImageSet, Split, read};

fn digits(split: Split) -> ImageSet {
    // Needs no data directory.
    read(DatasetKind::Digits, split, Path::new("/nonexistent")).unwrap()
}

#[test]
fn the_two_sets_make_up_the_file() {
    let (train, test) = (digits(Split::Train), digits(Split::Test));
    assert_eq!((train.count(), test.count()), (1437, 360));
    assert_eq!((train.shape(), train.pixel_max()), ([1, 8, 8], 16));
    let mut records: Vec<u32> = (0..1437)
        .map(|i| train.record(i))
        .chain((0..360).map(|i| test.record(i)))
        .collect();
    records.sort_unstable();
    assert!(records.into_iter().eq(0..1797));
    // Counts of the published set, where tenths are held out.
    let counts: Vec<usize> = train
        .class_counts()
        .iter()
        .zip(test.class_counts())
        .map(|(a, b)| a + b)
        .collect();
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
}

#[test]
fn the_division_never_changes() {
    // Computed from the description of the draw by a separate program with its own ChaCha8.
    let test = digits(Split::Test);
    let records: Vec<u32> = (0..360).map(|i| test.record(i)).collect();
    assert_eq!(records[..12], [1, 2, 6, 12, 17, 19, 24, 26, 33, 37, 41, 48]);
    assert_eq!(records[357..], [1783, 1791, 1794]);
    assert_eq!(test.class_counts(), [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]);
}

#[test]
fn the_first_row_is_a_zero() {
    let train = digits(Split::Train);
    assert_eq!((train.record(0), train.label(0)), (0, 0));
    let rows: Vec<&[u8]> = train.image(0).chunks(8).collect();
    assert_eq!(rows[0], [0, 0, 5, 13, 9, 1, 0, 0]);
    assert_eq!(rows[7], [0, 0, 6, 13, 10, 0, 0, 0]);
    assert!((0..train.count()).all(|i| train.image(i).iter().all(|&value| value <= 16)));
}
