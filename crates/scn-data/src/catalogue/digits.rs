//! The 1,797 real 8×8 digits embedded in the program: the test part of "Optical Recognition of Handwritten
//! Digits" (Alpaydin & Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0), pixels 0 to 16.
//!
//! The set has no official division. Held out as the test set are 360 images, drawn evenly from the classes by a
//! fixed stream; the other 1,437 are the training set. Both keep the order of the file.

use crate::dataset::DatasetInfo;
use crate::sources::{Dataset, Source, digits};

/// 64 values and the label a line.
static FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");

pub(crate) static DATASET: Dataset = Dataset {
    info: DatasetInfo {
        name: "digits",
        title: "Optical digits",
        shape: [1, 8, 8],
        pixel_max: 16,
        class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        train_images: 1437,
        test_images: 360,
        directory: "",
        homepage: "https://doi.org/10.24432/C50P49",
        fetch: "nothing: the images are part of the program",
        files: &[],
        archives: &[],
    },
    source: Source::Embedded(|info, split| digits::read(FILE, info, split)),
};
