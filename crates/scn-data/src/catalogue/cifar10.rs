//! CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009) in the official binary layout.

use crate::dataset::{Archive, DataFile, DatasetInfo, Split};
use crate::sources::{Dataset, Source, cifar};

pub(crate) static DATASET: Dataset = Dataset {
    info: DatasetInfo {
        name: "cifar10",
        title: "CIFAR-10",
        shape: cifar::SHAPE,
        pixel_max: 255,
        class_names: &[
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ],
        train_images: 50_000,
        test_images: 10_000,
        directory: "cifar-10-batches-bin",
        homepage: cifar::HOMEPAGE,
        fetch: "download cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html \
            and unpack it in the data directory",
        files: &[
            file(&["data_batch_1.bin"], Split::Train),
            file(&["data_batch_2.bin"], Split::Train),
            file(&["data_batch_3.bin"], Split::Train),
            file(&["data_batch_4.bin"], Split::Train),
            file(&["data_batch_5.bin"], Split::Train),
            file(&["test_batch.bin"], Split::Test),
        ],
        archives: &[Archive {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
        }],
    },
    source: Source::Files(|info, file, path, decoded| cifar::decode([10], info, file, path, decoded)),
};

/// A file of 10,000 records of one label byte.
const fn file(names: &'static [&'static str], split: Split) -> DataFile {
    cifar::file(names, split, 10_000, 1)
}
