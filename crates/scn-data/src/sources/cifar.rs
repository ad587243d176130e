//! CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009) in the
//! official binary layout: records of one label byte (CIFAR-10) or a coarse and a fine label byte (CIFAR-100)
//! and 3072 pixels, the red, green and blue plane row by row.

use std::path::Path;

use crate::catalogue::{Archive, Content, DataFile, DatasetInfo, DatasetKind, Decoded, Source, Split};
use crate::error::DataError;
use crate::sources::file_reader::FileReader;

const HOMEPAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";
const SHAPE: [usize; 3] = [3, 32, 32];

pub(crate) static CIFAR10: DatasetInfo = DatasetInfo {
    kind: DatasetKind::Cifar10,
    name: "cifar10",
    title: "CIFAR-10",
    shape: SHAPE,
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
    homepage: HOMEPAGE,
    fetch: "download cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html \
            and unpack it in the data directory",
    files: &[
        cifar10_file(&["data_batch_1.bin"], Split::Train),
        cifar10_file(&["data_batch_2.bin"], Split::Train),
        cifar10_file(&["data_batch_3.bin"], Split::Train),
        cifar10_file(&["data_batch_4.bin"], Split::Train),
        cifar10_file(&["data_batch_5.bin"], Split::Train),
        cifar10_file(&["test_batch.bin"], Split::Test),
    ],
    archives: &[Archive {
        name: "cifar-10-binary.tar.gz",
        bytes: 170_052_171,
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
    }],
    source: Source::Files(|info, file, path, decoded| decode([10], info, file, path, decoded)),
};

pub(crate) static CIFAR100: DatasetInfo = DatasetInfo {
    kind: DatasetKind::Cifar100,
    name: "cifar100",
    title: "CIFAR-100",
    shape: SHAPE,
    pixel_max: 255,
    class_names: &[
        "apple",
        "aquarium_fish",
        "baby",
        "bear",
        "beaver",
        "bed",
        "bee",
        "beetle",
        "bicycle",
        "bottle",
        "bowl",
        "boy",
        "bridge",
        "bus",
        "butterfly",
        "camel",
        "can",
        "castle",
        "caterpillar",
        "cattle",
        "chair",
        "chimpanzee",
        "clock",
        "cloud",
        "cockroach",
        "couch",
        "crab",
        "crocodile",
        "cup",
        "dinosaur",
        "dolphin",
        "elephant",
        "flatfish",
        "forest",
        "fox",
        "girl",
        "hamster",
        "house",
        "kangaroo",
        "keyboard",
        "lamp",
        "lawn_mower",
        "leopard",
        "lion",
        "lizard",
        "lobster",
        "man",
        "maple_tree",
        "motorcycle",
        "mountain",
        "mouse",
        "mushroom",
        "oak_tree",
        "orange",
        "orchid",
        "otter",
        "palm_tree",
        "pear",
        "pickup_truck",
        "pine_tree",
        "plain",
        "plate",
        "poppy",
        "porcupine",
        "possum",
        "rabbit",
        "raccoon",
        "ray",
        "road",
        "rocket",
        "rose",
        "sea",
        "seal",
        "shark",
        "shrew",
        "skunk",
        "skyscraper",
        "snail",
        "snake",
        "spider",
        "squirrel",
        "streetcar",
        "sunflower",
        "sweet_pepper",
        "table",
        "tank",
        "telephone",
        "television",
        "tiger",
        "tractor",
        "train",
        "trout",
        "tulip",
        "turtle",
        "wardrobe",
        "whale",
        "willow_tree",
        "wolf",
        "woman",
        "worm",
    ],
    train_images: 50_000,
    test_images: 10_000,
    directory: "cifar-100-binary",
    homepage: HOMEPAGE,
    fetch: "download cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html \
            and unpack it in the data directory",
    files: &[
        cifar_file(&["train.bin"], Split::Train, 50_000, 2),
        cifar_file(&["test.bin"], Split::Test, 10_000, 2),
    ],
    archives: &[Archive {
        name: "cifar-100-binary.tar.gz",
        bytes: 168_513_733,
        md5: "03b5dce01913d631647c71ecec9e9cb8",
    }],
    source: Source::Files(|info, file, path, decoded| decode([20, 100], info, file, path, decoded)),
};

const fn cifar10_file(names: &'static [&'static str], split: Split) -> DataFile {
    cifar_file(names, split, 10_000, 1)
}

const fn cifar_file(names: &'static [&'static str], split: Split, records: usize, label_bytes: usize) -> DataFile {
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
fn decode<const LABELS: usize>(
    classes: [u8; LABELS],
    info: &DatasetInfo,
    file: &DataFile,
    path: &Path,
    decoded: &mut Decoded,
) -> Result<(), DataError> {
    let mut reader = FileReader::open(info, file, path)?;
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
