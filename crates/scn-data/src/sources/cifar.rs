//! The binary layout of CIFAR-10 and CIFAR-100: records of one label byte (CIFAR-10) or a coarse and a fine label
//! byte (CIFAR-100) and 3072 pixels, the red, green and blue plane row by row.

use std::path::Path;

use super::Decoded;
use super::file_reader::FileReader;
use crate::dataset::{Content, DataFile, DatasetInfo, Split};
use crate::error::DataError;

/// The page of both datasets.
pub(crate) const HOMEPAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";
/// Image shape `[c, h, w]` of both.
pub(crate) const SHAPE: [usize; 3] = [3, 32, 32];

/// A file of `records` records that start with `label_bytes` labels.
pub(crate) const fn file(names: &'static [&'static str], split: Split, records: usize, label_bytes: usize) -> DataFile {
    let bytes = (records * (label_bytes + SHAPE[0] * SHAPE[1] * SHAPE[2])) as u64;
    DataFile {
        names,
        split,
        content: Content::LabelledImages,
        records,
        bytes,
        first_labels: &[],
    }
}

/// Read records that start with one label byte for each of `classes`, the last of which is the label to learn.
pub(crate) fn decode<const LABELS: usize>(
    classes: [u8; LABELS],
    info: &'static DatasetInfo,
    file: &DataFile,
    path: &Path,
    decoded: &mut Decoded,
) -> Result<(), DataError> {
    let mut reader = FileReader::open(info, file, path)?;
    decoded.reserve(info, file);
    for record in 0..file.records {
        let mut labels = [0; LABELS];
        reader.fill(&mut labels)?;
        for (label, classes) in labels.into_iter().zip(classes) {
            if label >= classes {
                return Err(reader.label(record, label, 0, classes - 1));
            }
        }
        decoded.labels.push(u16::from(labels[LABELS - 1]));
        reader.append(info.image_bytes(), &mut decoded.images)?;
    }
    reader.finish()
}
