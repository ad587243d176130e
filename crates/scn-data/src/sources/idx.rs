//! IDX files, in which MNIST comes, gzipped or not: a magic number (0, 0, type, number of dimensions), the dimensions
//! as big-endian 32-bit numbers, then the bytes. The dimensions must be the official ones, so nothing is ever
//! allocated by a header's word.

use std::path::Path;

use super::Decoded;
use super::file_reader::FileReader;
use crate::dataset::{Content, DataFile, DatasetInfo, Split};
use crate::error::DataError;

/// Image shape `[c, h, w]` of MNIST.
pub(crate) const MNIST_SHAPE: [usize; 3] = [1, 28, 28];
/// Training images of MNIST.
pub(crate) const MNIST_TRAIN_IMAGES: usize = 60_000;
/// Test images of MNIST.
pub(crate) const MNIST_TEST_IMAGES: usize = 10_000;

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

/// The four files of MNIST; their first labels tell datasets with its names and layout apart.
pub(crate) const fn mnist_files(first_train_labels: &'static [u8], first_test_labels: &'static [u8]) -> [DataFile; 4] {
    [
        images(names!("train-images", "idx3"), Split::Train, MNIST_TRAIN_IMAGES),
        labels(
            names!("train-labels", "idx1"),
            Split::Train,
            MNIST_TRAIN_IMAGES,
            first_train_labels,
        ),
        images(names!("t10k-images", "idx3"), Split::Test, MNIST_TEST_IMAGES),
        labels(
            names!("t10k-labels", "idx1"),
            Split::Test,
            MNIST_TEST_IMAGES,
            first_test_labels,
        ),
    ]
}

const fn images(names: &'static [&'static str], split: Split, records: usize) -> DataFile {
    let bytes = (header_bytes(3) + records * MNIST_SHAPE[1] * MNIST_SHAPE[2]) as u64;
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

/// Read images or labels.
pub(crate) fn decode(
    info: &'static DatasetInfo,
    file: &DataFile,
    path: &Path,
    decoded: &mut Decoded,
) -> Result<(), DataError> {
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
    decoded.reserve(info, file);

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
