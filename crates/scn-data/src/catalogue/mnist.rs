//! MNIST (LeCun, Cortes & Burges) as IDX files.

use crate::dataset::{Archive, DatasetInfo};
use crate::sources::{Dataset, Source, idx};

pub(crate) static DATASET: Dataset = Dataset {
    info: DatasetInfo {
        name: "mnist",
        title: "MNIST",
        shape: idx::MNIST_SHAPE,
        pixel_max: 255,
        class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        train_images: idx::MNIST_TRAIN_IMAGES,
        test_images: idx::MNIST_TEST_IMAGES,
        directory: "mnist",
        homepage: "http://yann.lecun.com/exdb/mnist/",
        fetch: "download the four .gz files of http://yann.lecun.com/exdb/mnist/ \
            (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/) into the folder mnist of the data directory",
        files: &idx::mnist_files(&[5, 0, 4, 1, 9, 2, 1, 3, 1, 4], &[7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
        archives: &[
            Archive {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            },
            Archive {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                md5: "d53e105ee54ea40749a09fcbcd1e9432",
            },
            Archive {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                md5: "9fb629c4189551a2d022fa330f9573f3",
            },
            Archive {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                md5: "ec29112dd5afa0611ce80d1b7f02629c",
            },
        ],
    },
    source: Source::Files(idx::decode),
};
