//! CIFAR-10-C (Hendrycks & Dietterich, arXiv:1903.12261), the test set of CIFAR-10 corrupted by its authors: for each
//! corruption a `.npy` file of bytes `[50000, 32, 32, 3]`, the 10,000 images in their official order at severity 1,
//! then at severity 2 and so on, and `labels.npy` of 50,000 labels, which are bytes in the official file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::corruption::Corruption;
use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::sources::cifar::CIFAR10;
use crate::sources::npy::{Dtype, NpyFile};

/// How to get the files, as an imperative clause.
pub(crate) const FETCH: &str =
    "download CIFAR-10-C.tar from https://zenodo.org/records/2535967 and unpack it in the data directory";

const DIRECTORY: &str = "CIFAR-10-C";
const LABELS: &str = "labels.npy";
/// Images and labels of each severity.
const IMAGES: usize = 10_000;
const SEVERITIES: usize = 5;
const CHANNELS: usize = 3;
const SIDE: usize = 32;
const IMAGE_BYTES: usize = CHANNELS * SIDE * SIDE;

/// The folder of CIFAR-10-C in a data directory, where there is one.
pub fn find_cifar10_c(data_dir: &Path) -> Option<PathBuf> {
    let folder = data_dir.join(DIRECTORY);
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
    let folder = find_cifar10_c(data_dir).ok_or_else(|| DataError::MissingCifar10C {
        path: data_dir.join(DIRECTORY),
    })?;
    let first = corruption.index() * IMAGES;
    let image_path = folder.join(format!("{}_noise.npy", corruption.noise));
    let label_path = folder.join(LABELS);
    // Both files are located before the first is read: a missing one is reported at once.
    locate(&image_path)?;
    locate(&label_path)?;
    let labels = read_labels(&label_path, first)?;
    let images = read_images(&image_path, first)?;
    Ok(ImageSet::new(CIFAR10.shape, CIFAR10.pixel_max, images, labels))
}

/// Check that there is a file.
fn locate(path: &Path) -> Result<(), DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(DataError::Npy {
            path: path.to_owned(),
            found: "is not a regular file".to_owned(),
            expected: "a .npy file".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(DataError::MissingCifar10C { path: path.to_owned() })
        }
        Err(source) => Err(DataError::Io {
            path: path.to_owned(),
            action: "open",
            source,
        }),
    }
}

/// The labels from the one of index `first` on.
fn read_labels(path: &Path, first: usize) -> Result<Vec<u16>, DataError> {
    let mut file = NpyFile::open(path, &[Dtype::U8, Dtype::I64], &[(SEVERITIES * IMAGES) as u64])?;
    file.seek(first as u64)?;
    let mut labels = Vec::with_capacity(IMAGES);
    for record in first..first + IMAGES {
        // Bytes a label does not have are zeros.
        let mut label = [0; 8];
        file.fill(&mut label[..file.dtype.bytes() as usize])?;
        let label = i64::from_le_bytes(label);
        match u16::try_from(label) {
            Ok(class) if usize::from(class) < CIFAR10.class_names.len() => labels.push(class),
            _ => {
                return Err(file.error(
                    format!("holds label {label} in record {record}"),
                    format!("0..={}", CIFAR10.class_names.len() - 1),
                ));
            }
        }
    }
    Ok(labels)
}

/// The images `[10000, 3, 32, 32]` from the one of index `first` on; in the file they are `[32, 32, 3]`.
fn read_images(path: &Path, first: usize) -> Result<Vec<u8>, DataError> {
    let shape = [SEVERITIES * IMAGES, SIDE, SIDE, CHANNELS].map(|extent| extent as u64);
    let mut file = NpyFile::open(path, &[Dtype::U8], &shape)?;
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
