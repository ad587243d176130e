//! Optical digits as gzipped text inside the program, a line the pixels and the label of an image, and their division
//! into a training and a test set, which the original has not.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::dataset::{DatasetInfo, Split};
use crate::image_set::ImageSet;
use crate::random::{Purpose, stream};
use crate::split::draw_evenly;

/// The seed of the division.
const SPLIT_SEED: u64 = 0;

/// One split; the test images are drawn evenly from the classes.
pub(crate) fn read(file: &[u8], info: &DatasetInfo, split: Split) -> ImageSet {
    let mut text = String::new();
    GzDecoder::new(file)
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
    let all = ImageSet::new(info.shape, info.pixel_max, images, labels);
    let (test, train) = draw_evenly(&all, info.test_images, stream(SPLIT_SEED, Purpose::DigitsTest, 0, 0));
    all.select(match split {
        Split::Train => &train,
        Split::Test => &test,
    })
}
