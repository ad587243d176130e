//! The 1,797 real 8×8 digits embedded in the program: the test part of "Optical Recognition of Handwritten
//! Digits" (Alpaydin & Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0), pixels 0 to 16.
//!
//! The set has no official division. Held out as the test set are 360 images, drawn evenly from the classes by a
//! fixed stream; the other 1,437 are the training set. Both keep the order of the file.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::catalogue::{DatasetInfo, DatasetKind, Source, Split};
use crate::image_set::ImageSet;
use crate::random::{Purpose, stream};
use crate::split::draw_evenly;

static FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");

const TRAIN_IMAGES: usize = 1437;
const TEST_IMAGES: usize = 360;
const SPLIT_SEED: u64 = 0;

pub(crate) static DIGITS: DatasetInfo = DatasetInfo {
    kind: DatasetKind::Digits,
    name: "digits",
    title: "Optical digits",
    shape: [1, 8, 8],
    pixel_max: 16,
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    train_images: TRAIN_IMAGES,
    test_images: TEST_IMAGES,
    directory: "",
    homepage: "https://doi.org/10.24432/C50P49",
    fetch: "nothing: the images are part of the program",
    files: &[],
    archives: &[],
    source: Source::Embedded(read),
};

fn read(split: Split) -> ImageSet {
    let mut text = String::new();
    GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .expect("the embedded digits decompress");
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for line in text.lines() {
        let (pixels, label) = line
            .rsplit_once(',')
            .expect("an embedded digit is 64 values and a label");
        images.extend(
            pixels
                .split(',')
                .map(|value| value.parse::<u8>().expect("an embedded value is a number")),
        );
        labels.push(label.parse().expect("an embedded label is a number"));
    }
    let all = ImageSet::new(DIGITS.shape, DIGITS.pixel_max, images, labels);
    let (test, train) = draw_evenly(&all, TEST_IMAGES, stream(SPLIT_SEED, Purpose::DigitsTest, 0, 0));
    all.select(match split {
        Split::Train => &train,
        Split::Test => &test,
    })
}
