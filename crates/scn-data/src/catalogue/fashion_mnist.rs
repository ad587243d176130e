//! Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv:1708.07747) as IDX files with the names and the layout of MNIST.

use crate::dataset::{Archive, DatasetInfo};
use crate::sources::{Dataset, Source, idx};

pub(crate) static DATASET: Dataset = Dataset {
    info: DatasetInfo {
        name: "fashion-mnist",
        title: "Fashion-MNIST",
        shape: idx::MNIST_SHAPE,
        pixel_max: 255,
        class_names: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        train_images: idx::MNIST_TRAIN_IMAGES,
        test_images: idx::MNIST_TEST_IMAGES,
        directory: "fashion-mnist",
        homepage: "https://github.com/zalandoresearch/fashion-mnist",
        fetch: "download the four .gz files of https://github.com/zalandoresearch/fashion-mnist into the folder \
            fashion-mnist of the data directory (on Debian: install dataset-fashion-mnist, the data directory is \
            /usr/share/datasets)",
        files: &idx::mnist_files(&[9, 0, 0, 3, 0, 2, 7, 2, 5, 5], &[9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
        archives: &[
            Archive {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            },
            Archive {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                md5: "25c81989df183df01b3e8a0aad5dffbe",
            },
            Archive {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                md5: "bef4ecab320f06d8554ea6380940ec79",
            },
            Archive {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                md5: "bb300cfdad3c16e7a12a480ee83cd310",
            },
        ],
    },
    source: Source::Files(idx::decode),
};
