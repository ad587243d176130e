//! The labelled part of STL-10 (Coates, Lee & Ng, AISTATS 2011) in the official binary layout.

use crate::dataset::{Archive, Content, DatasetInfo, Split};
use crate::sources::{Dataset, Source, stl10};

const TRAIN_IMAGES: usize = 5_000;
const TEST_IMAGES: usize = 8_000;

pub(crate) static DATASET: Dataset = Dataset {
    info: DatasetInfo {
        name: "stl10",
        title: "STL-10",
        shape: stl10::SHAPE,
        pixel_max: 255,
        class_names: &[
            "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
        ],
        train_images: TRAIN_IMAGES,
        test_images: TEST_IMAGES,
        directory: "stl10_binary",
        homepage: "https://cs.stanford.edu/~acoates/stl10/",
        fetch: "download stl10_binary.tar.gz from https://cs.stanford.edu/~acoates/stl10/ \
            and unpack it in the data directory",
        files: &[
            stl10::file(&["train_X.bin"], Split::Train, Content::Images, TRAIN_IMAGES),
            stl10::file(&["train_y.bin"], Split::Train, Content::Labels, TRAIN_IMAGES),
            stl10::file(&["test_X.bin"], Split::Test, Content::Images, TEST_IMAGES),
            stl10::file(&["test_y.bin"], Split::Test, Content::Labels, TEST_IMAGES),
        ],
        archives: &[Archive {
            name: "stl10_binary.tar.gz",
            bytes: 2_640_397_119,
            md5: "91f7769df0f17e558f3565bffb0c7dfb",
        }],
    },
    source: Source::Files(stl10::decode),
};
