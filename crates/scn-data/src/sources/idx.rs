//! MNIST (LeCun, Cortes & Burges) and Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv:1708.07747) as IDX files,
//! gzipped or not: a magic number (0, 0, type, number of dimensions), the dimensions as big-endian 32-bit numbers,
//! then the bytes. The dimensions must be the official ones, so nothing is ever allocated by a header's word.

use std::path::Path;

use crate::catalogue::{Archive, Content, DataFile, DatasetInfo, DatasetKind, Decoded, Source, Split};
use crate::error::DataError;
use crate::sources::file_reader::FileReader;

const SHAPE: [usize; 3] = [1, 28, 28];
const TRAIN_IMAGES: usize = 60_000;
const TEST_IMAGES: usize = 10_000;
const UNSIGNED_BYTE: u8 = 0x08;
const WORD_BYTES: usize = 4;

/// Every name a file goes by; a decompressed copy reads faster than the official download.
macro_rules! names {
    ($set:literal, $type:literal) => {
        &[
            concat!($set, "-", $type, "-ubyte"),
            concat!($set, ".", $type, "-ubyte"),
            concat!($set, "-", $type, "-ubyte.gz"),
            concat!($set, ".", $type, "-ubyte.gz"),
        ]
    };
}

pub(crate) static MNIST: DatasetInfo = DatasetInfo {
    kind: DatasetKind::Mnist,
    name: "mnist",
    title: "MNIST",
    shape: SHAPE,
    pixel_max: 255,
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    train_images: TRAIN_IMAGES,
    test_images: TEST_IMAGES,
    directory: "mnist",
    homepage: "http://yann.lecun.com/exdb/mnist/",
    fetch: "download the four .gz files of http://yann.lecun.com/exdb/mnist/ \
            (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/) into the folder mnist of the data directory",
    files: &files(&[5, 0, 4, 1, 9, 2, 1, 3, 1, 4], &[7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
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
    source: Source::Files(decode),
};

pub(crate) static FASHION_MNIST: DatasetInfo = DatasetInfo {
    kind: DatasetKind::FashionMnist,
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    shape: SHAPE,
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
    train_images: TRAIN_IMAGES,
    test_images: TEST_IMAGES,
    directory: "fashion-mnist",
    homepage: "https://github.com/zalandoresearch/fashion-mnist",
    fetch: "download the four .gz files of https://github.com/zalandoresearch/fashion-mnist into the folder \
            fashion-mnist of the data directory (on Debian: install dataset-fashion-mnist, the data directory is \
            /usr/share/datasets)",
    files: &files(&[9, 0, 0, 3, 0, 2, 7, 2, 5, 5], &[9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
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
    source: Source::Files(decode),
};

/// The four files; their first labels tell datasets with the names and layout of MNIST apart.
const fn files(first_train_labels: &'static [u8], first_test_labels: &'static [u8]) -> [DataFile; 4] {
    [
        images(names!("train-images", "idx3"), Split::Train, TRAIN_IMAGES),
        labels(
            names!("train-labels", "idx1"),
            Split::Train,
            TRAIN_IMAGES,
            first_train_labels,
        ),
        images(names!("t10k-images", "idx3"), Split::Test, TEST_IMAGES),
        labels(
            names!("t10k-labels", "idx1"),
            Split::Test,
            TEST_IMAGES,
            first_test_labels,
        ),
    ]
}

const fn images(names: &'static [&'static str], split: Split, records: usize) -> DataFile {
    let bytes = (header_bytes(3) + records * SHAPE[1] * SHAPE[2]) as u64;
    DataFile {
        names,
        split,
        content: Content::Images,
        records,
        bytes,
        first_labels: &[],
    }
}

const fn labels(names: &'static [&'static str], split: Split, records: usize, first_labels: &'static [u8]) -> DataFile {
    let bytes = (header_bytes(1) + records) as u64;
    DataFile {
        names,
        split,
        content: Content::Labels,
        records,
        bytes,
        first_labels,
    }
}

const fn header_bytes(dimensions: usize) -> usize {
    WORD_BYTES * (1 + dimensions)
}

fn decode(info: &DatasetInfo, file: &DataFile, path: &Path, decoded: &mut Decoded) -> Result<(), DataError> {
    let mut reader = FileReader::open_maybe_gzip(info, file, path)?;
    let is_images = file.content == Content::Images;
    let dimensions = if is_images {
        vec![file.records, info.shape[1], info.shape[2]]
    } else {
        vec![file.records]
    };
    let mut expected = vec![0, 0, UNSIGNED_BYTE, dimensions.len() as u8];
    for dimension in dimensions {
        expected.extend((dimension as u32).to_be_bytes());
    }
    let mut found = vec![0; expected.len()];
    reader.fill(&mut found)?;
    if found != expected {
        return Err(reader.header(describe_header(&found), describe_header(&expected)));
    }
    reader.check_length()?;

    if is_images {
        reader.append(file.records * info.image_bytes(), &mut decoded.images)?;
    } else {
        let mut labels = Vec::new();
        reader.append(file.records, &mut labels)?;
        let largest = info.class_names.len() as u8 - 1;
        if let Some(record) = labels.iter().position(|&label| label > largest) {
            return Err(reader.label(record, labels[record], 0, largest));
        }
        let first = &labels[..file.first_labels.len()];
        if first != file.first_labels {
            return Err(reader.header(format!("the labels {first:?}"), format!("{:?}", file.first_labels)));
        }
        decoded.labels.extend(labels.into_iter().map(u16::from));
    }
    reader.finish()
}

fn describe_header(header: &[u8]) -> String {
    let (magic, dimensions) = header.split_at(WORD_BYTES);
    let dimensions: Vec<u32> = dimensions
        .chunks_exact(WORD_BYTES)
        .map(|word| word.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
        .collect();
    format!("the bytes {magic:02x?} and the dimensions {dimensions:?}")
}
