//! The fingerprint of image sets.

use scn_data::{ImageSet, split_validation};

use crate::files::small_set;

/// Two images of two channels of 1×2 pixels.
fn set(pixel_max: u8, pixels: [u8; 8], labels: [u16; 2]) -> ImageSet {
    ImageSet::new([2, 1, 2], pixel_max, pixels.to_vec(), labels.to_vec())
}

const PIXELS: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 200];

#[test]
fn the_fingerprint_is_the_documented_digest() {
    // By Python's hashlib: sha256(struct.pack("<4QB", 2, 2, 1, 2, 255)
    //     + struct.pack("<IH4B", 0, 258, 1, 2, 3, 4) + struct.pack("<IH4B", 1, 0, 5, 6, 7, 200)).
    assert_eq!(
        set(255, PIXELS, [258, 0]).fingerprint(),
        "aa99270453f728a0fe4da60f5f337cb12e804235f05d938e74ab237c979755cb"
    );
}

#[test]
fn the_fingerprint_changes_with_everything_that_a_loader_sees() {
    let whole = set(255, PIXELS, [3, 0]);
    let mut other_pixels = PIXELS;
    other_pixels[7] = 201;
    let others = [
        ("a pixel", set(255, other_pixels, [3, 0])),
        ("a label", set(255, PIXELS, [3, 1])),
        ("the largest pixel value", set(254, PIXELS, [3, 0])),
        ("the shape", ImageSet::new([2, 2, 1], 255, PIXELS.to_vec(), vec![3, 0])),
        ("the order", whole.select(&[1, 0])),
        ("the number of images", whole.select(&[0])),
    ];
    for (what, other) in others {
        assert_ne!(whole.fingerprint(), other.fingerprint(), "{what}");
    }
    // The same pixels and label under another record are augmented differently.
    let twins = set(255, [9; 8], [1, 1]);
    assert_ne!(twins.select(&[0]).fingerprint(), twins.select(&[1]).fingerprint());
}

#[test]
fn the_fingerprint_does_not_depend_on_how_a_set_came_about() {
    let set = small_set(100, [1, 3, 3], 5);
    let (train, validation) = split_validation(&set, 30, 1).unwrap();
    let split = split_validation(&set, 30, 1).unwrap();
    assert_eq!(train.fingerprint(), split.0.fingerprint());
    let all: Vec<usize> = (0..100).collect();
    assert_eq!(set.select(&all).fingerprint(), set.fingerprint());
    let records: Vec<usize> = (0..30)
        .map(|i| validation.as_ref().unwrap().record(i) as usize)
        .collect();
    assert_eq!(set.select(&records).fingerprint(), validation.unwrap().fingerprint());
}
