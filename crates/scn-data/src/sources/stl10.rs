//! The binary layout of STL-10: images and labels in files of their own, each image three planes stored column by
//! column, labels 1 to 10. Images are transposed to rows on reading, labels become 0 to 9.

use std::path::Path;

use super::Decoded;
use super::file_reader::FileReader;
use crate::dataset::{Content, DataFile, DatasetInfo, Split};
use crate::error::DataError;

/// Image shape `[c, h, w]`.
pub(crate) const SHAPE: [usize; 3] = [3, 96, 96];
const FIRST_LABEL: u8 = 1;

/// A file of images or of labels.
pub(crate) const fn file(names: &'static [&'static str], split: Split, content: Content, records: usize) -> DataFile {
    let record_bytes = if matches!(content, Content::Images) {
        SHAPE[0] * SHAPE[1] * SHAPE[2]
    } else {
        1
    };
    DataFile {
        names,
        split,
        content,
        records,
        bytes: (records * record_bytes) as u64,
        first_labels: &[],
    }
}

/// Read images or labels.
pub(crate) fn decode(
    info: &'static DatasetInfo,
    file: &DataFile,
    path: &Path,
    decoded: &mut Decoded,
) -> Result<(), DataError> {
    let mut reader = FileReader::open(info, file, path)?;
    decoded.reserve(info, file);
    let [_, height, width] = info.shape;
    if file.content == Content::Images {
        let mut columns = vec![0; info.image_bytes()];
        for _ in 0..file.records {
            reader.fill(&mut columns)?;
            for plane in columns.chunks_exact(height * width) {
                for y in 0..height {
                    decoded.images.extend((0..width).map(|x| plane[x * height + y]));
                }
            }
        }
    } else {
        let mut labels = Vec::new();
        reader.append(file.records, &mut labels)?;
        let last_label = FIRST_LABEL + info.class_names.len() as u8 - 1;
        for (record, label) in labels.into_iter().enumerate() {
            if !(FIRST_LABEL..=last_label).contains(&label) {
                return Err(reader.label(record, label, FIRST_LABEL, last_label));
            }
            decoded.labels.push(u16::from(label - FIRST_LABEL));
        }
    }
    reader.finish()
}
