//! The labelled part of STL-10 (Coates, Lee & Ng, AISTATS 2011) in the official binary layout: images and labels in
//! files of their own, each image three planes stored column by column, labels 1 to 10.
//!
//! Images are transposed to rows on reading, labels become 0 to 9.

use std::path::Path;

use crate::catalogue::{Archive, Content, DataFile, DatasetInfo, DatasetKind, Decoded, Source, Split};
use crate::error::DataError;
use crate::sources::file_reader::FileReader;

const SHAPE: [usize; 3] = [3, 96, 96];
const TRAIN_IMAGES: usize = 5_000;
const TEST_IMAGES: usize = 8_000;
const FIRST_LABEL: u8 = 1;

pub(crate) static STL10: DatasetInfo = DatasetInfo {
    kind: DatasetKind::Stl10,
    name: "stl10",
    title: "STL-10",
    shape: SHAPE,
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
        file(&["train_X.bin"], Split::Train, Content::Images, TRAIN_IMAGES),
        file(&["train_y.bin"], Split::Train, Content::Labels, TRAIN_IMAGES),
        file(&["test_X.bin"], Split::Test, Content::Images, TEST_IMAGES),
        file(&["test_y.bin"], Split::Test, Content::Labels, TEST_IMAGES),
    ],
    archives: &[Archive {
        name: "stl10_binary.tar.gz",
        bytes: 2_640_397_119,
        md5: "91f7769df0f17e558f3565bffb0c7dfb",
    }],
    source: Source::Files(decode),
};

const fn file(names: &'static [&'static str], split: Split, content: Content, records: usize) -> DataFile {
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

fn decode(info: &DatasetInfo, file: &DataFile, path: &Path, decoded: &mut Decoded) -> Result<(), DataError> {
    let mut reader = FileReader::open(info, file, path)?;
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
