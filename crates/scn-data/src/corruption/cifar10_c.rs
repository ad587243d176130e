//! CIFAR-10-C (Hendrycks & Dietterich, arXiv:1903.12261), the test set of CIFAR-10 corrupted by its authors: for each
//! corruption a `.npy` file of bytes `[50000, 32, 32, 3]`, the 10,000 images in their official order at severity 1,
//! then at severity 2 and so on, and `labels.npy` of 50,000 labels, which are bytes in the official file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Corruption;
use crate::catalogue::cifar10;
use crate::dataset::{Archive, DatasetInfo};
use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::sources::npy::{Dtype, NpyFile};

/// No [`crate::DatasetKind`]: nothing is trained on it, and its files hold five test sets each.
static CIFAR10_C: DatasetInfo = DatasetInfo {
    name: "cifar10-c",
    title: "CIFAR-10-C",
    train_images: 0,
    directory: "CIFAR-10-C",
    homepage: "https://zenodo.org/records/2535967",
    fetch: "download CIFAR-10-C.tar from https://zenodo.org/records/2535967 and unpack it in the data directory",
    files: &[],
    archives: &[Archive {
        name: "CIFAR-10-C.tar",
        bytes: 2_918_471_680,
        md5: "56bf5dcef84df0e2308c6dcbcbbd8499",
    }],
    ..cifar10::DATASET.info
};

const LABELS: &str = "labels.npy";
/// Images and labels of each severity.
const IMAGES: usize = 10_000;
const SEVERITIES: usize = 5;
const CHANNELS: usize = 3;
const SIDE: usize = 32;
const IMAGE_BYTES: usize = CHANNELS * SIDE * SIDE;

/// The folder of CIFAR-10-C in a data directory, where there is one.
pub fn find_cifar10_c(data_dir: &Path) -> Option<PathBuf> {
    let folder = data_dir.join(CIFAR10_C.directory);
    folder.is_dir().then_some(folder)
}

/// Read the test set of CIFAR-10 as its authors corrupted it: 10,000 images `[3, 32, 32]`. Records are those of the
/// test set. Only the images of the severity are read.
///
/// # Errors
/// Files that are missing, truncated or foreign, each with its path, what was found and what to do.
///
/// # Panics
/// If the severity was set to none of the five after [`Corruption::new`] had checked it.
pub fn read_cifar10_c(data_dir: &Path, corruption: Corruption) -> Result<ImageSet, DataError> {
    let folder = find_cifar10_c(data_dir).ok_or_else(|| DataError::Absent {
        dataset: &CIFAR10_C,
        path: data_dir.join(CIFAR10_C.directory),
    })?;
    let first = corruption.index() * IMAGES;
    let image_path = folder.join(format!("{}_noise.npy", corruption.noise));
    let label_path = folder.join(LABELS);
    // Both files are located before the first is read: a missing one is reported at once.
    locate(&image_path)?;
    locate(&label_path)?;
    let labels = read_labels(&label_path, first)?;
    let images = read_images(&image_path, first)?;
    Ok(ImageSet::new(CIFAR10_C.shape, CIFAR10_C.pixel_max, images, labels))
}

/// Check that there is a file.
fn locate(path: &Path) -> Result<(), DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(DataError::Npy {
            dataset: &CIFAR10_C,
            path: path.to_owned(),
            found: "is not a regular file".to_owned(),
            expected: "a .npy file".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DataError::Absent {
            dataset: &CIFAR10_C,
            path: path.to_owned(),
        }),
        Err(source) => Err(DataError::Io {
            path: path.to_owned(),
            action: "open",
            source,
        }),
    }
}

/// The labels from the one of index `first` on.
fn read_labels(path: &Path, first: usize) -> Result<Vec<u16>, DataError> {
    let mut file = NpyFile::open(
        &CIFAR10_C,
        path,
        &[Dtype::U8, Dtype::I64],
        &[(SEVERITIES * IMAGES) as u64],
    )?;
    file.seek(first as u64)?;
    let mut labels = Vec::with_capacity(IMAGES);
    for record in first..first + IMAGES {
        // Bytes a label does not have are zeros.
        let mut label = [0; 8];
        file.fill(&mut label[..file.dtype.bytes() as usize])?;
        let label = i64::from_le_bytes(label);
        match u16::try_from(label) {
            Ok(class) if usize::from(class) < CIFAR10_C.class_names.len() => labels.push(class),
            _ => {
                return Err(file.error(
                    format!("holds label {label} in record {record}"),
                    format!("0..={}", CIFAR10_C.class_names.len() - 1),
                ));
            }
        }
    }
    Ok(labels)
}

/// The images `[10000, 3, 32, 32]` from the one of index `first` on; in the file they are `[32, 32, 3]`.
fn read_images(path: &Path, first: usize) -> Result<Vec<u8>, DataError> {
    let shape = [SEVERITIES * IMAGES, SIDE, SIDE, CHANNELS].map(|extent| extent as u64);
    let mut file = NpyFile::open(&CIFAR10_C, path, &[Dtype::U8], &shape)?;
    file.seek((first * IMAGE_BYTES) as u64)?;
    let mut images = Vec::with_capacity(IMAGES * IMAGE_BYTES);
    let mut image = [0; IMAGE_BYTES];
    for _ in 0..IMAGES {
        file.fill(&mut image)?;
        for channel in 0..CHANNELS {
            images.extend(image[channel..].iter().step_by(CHANNELS));
        }
    }
    Ok(images)
}
