//! The datasets there are, what their official files look like, and reading them.
//!
//! A new dataset is one file with a [`DatasetInfo`] and one arm of [`DatasetKind`].

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::{cifar, digits, idx, stl10};

/// A dataset, named in experiment files and on the command line as by [`DatasetKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetKind {
    /// CIFAR-10, 32×32 colour.
    Cifar10,
    /// CIFAR-100 with its fine labels, 32×32 colour.
    Cifar100,
    /// MNIST, 28×28 grey.
    Mnist,
    /// Fashion-MNIST, 28×28 grey.
    FashionMnist,
    /// The labelled part of STL-10, 96×96 colour.
    Stl10,
    /// Optical digits, 8×8 grey, embedded in the program.
    Digits,
}

impl DatasetKind {
    /// Every dataset.
    pub const ALL: [DatasetKind; 6] = [
        DatasetKind::Cifar10,
        DatasetKind::Cifar100,
        DatasetKind::Mnist,
        DatasetKind::FashionMnist,
        DatasetKind::Stl10,
        DatasetKind::Digits,
    ];

    /// What is known about the dataset.
    pub fn info(self) -> &'static DatasetInfo {
        match self {
            DatasetKind::Cifar10 => &cifar::CIFAR10,
            DatasetKind::Cifar100 => &cifar::CIFAR100,
            DatasetKind::Mnist => &idx::MNIST,
            DatasetKind::FashionMnist => &idx::FASHION_MNIST,
            DatasetKind::Stl10 => &stl10::STL10,
            DatasetKind::Digits => &digits::DIGITS,
        }
    }

    /// The name in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        self.info().class_names.len()
    }

    /// Every name, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl scn_keys::Named for DatasetKind {
    const ALL: &'static [Self] = &DatasetKind::ALL;

    fn name(self) -> &'static str {
        DatasetKind::name(self)
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for DatasetKind {
    type Err = DataError;

    /// # Errors
    /// [`DataError::UnknownDataset`].
    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| DataError::UnknownDataset { name: name.to_owned() })
    }
}

/// The official division of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Training images; a validation set is taken from these by [`crate::split_validation`].
    Train,
    /// Test images.
    Test,
}

/// What is known about a dataset.
#[derive(Debug)]
pub struct DatasetInfo {
    pub(crate) kind: DatasetKind,
    /// The name in experiment files and on the command line.
    pub name: &'static str,
    /// The name in print.
    pub title: &'static str,
    /// Image shape `[c, h, w]`.
    pub shape: [usize; 3],
    /// Largest pixel value of the format: pixels are divided by it.
    pub pixel_max: u8,
    /// Names of the classes, in the order of the labels.
    pub class_names: &'static [&'static str],
    /// Images of the official training set.
    pub train_images: usize,
    /// Images of the official test set.
    pub test_images: usize,
    /// The directory below the data directory; files right in the data directory are found as well. Empty for
    /// embedded data.
    pub directory: &'static str,
    /// The dataset's own page.
    pub homepage: &'static str,
    /// How to get the files, as an imperative clause.
    pub fetch: &'static str,
    /// The files, those of one split in the order in which they are read. Empty for embedded data.
    pub files: &'static [DataFile],
    /// The official downloads.
    pub archives: &'static [Archive],
    pub(crate) source: Source,
}

impl DatasetInfo {
    /// Images of the official split.
    pub fn images(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train_images,
            Split::Test => self.test_images,
        }
    }

    /// Bytes of one image, `c · h · w`.
    pub(crate) fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// The directories in which the files may lie.
    pub(crate) fn directories(&self, data_dir: &Path) -> [PathBuf; 2] {
        [data_dir.join(self.directory), data_dir.to_owned()]
    }

    /// Check that there is a data directory to search at all.
    pub(crate) fn check_directory(&self, data_dir: &Path) -> Result<(), DataError> {
        let problem = match fs::metadata(data_dir) {
            Ok(metadata) if metadata.is_dir() => return Ok(()),
            Ok(_) => "is not a directory",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist",
            Err(source) => {
                return Err(DataError::Io {
                    path: data_dir.to_owned(),
                    action: "open",
                    source,
                });
            }
        };
        Err(DataError::NoDirectory {
            dataset: self.kind,
            path: data_dir.to_owned(),
            problem,
        })
    }

    /// The path at which a file lies.
    pub(crate) fn locate(&self, file: &DataFile, data_dir: &Path) -> Result<PathBuf, DataError> {
        let directories = self.directories(data_dir);
        for directory in &directories {
            for name in file.names {
                let path = directory.join(name);
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => return Ok(path),
                    Ok(_) => {
                        return Err(DataError::NotAFile {
                            dataset: self.kind,
                            path,
                        });
                    }
                    Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                    Err(source) => {
                        return Err(DataError::Io {
                            path,
                            action: "open",
                            source,
                        });
                    }
                }
            }
        }
        Err(DataError::Missing {
            dataset: self.kind,
            names: file.names,
            directories: directories.into(),
        })
    }
}

/// One file of a dataset.
#[derive(Debug)]
pub struct DataFile {
    /// The names it may have, tried in this order.
    pub names: &'static [&'static str],
    /// The split it belongs to.
    pub split: Split,
    /// What it holds.
    pub content: Content,
    /// Number of images or labels or both.
    pub records: usize,
    /// Its bytes, decompressed.
    pub bytes: u64,
    /// Its first labels, where datasets share file names and layout; otherwise empty.
    pub first_labels: &'static [u8],
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images only.
    Images,
    /// Labels only.
    Labels,
    /// Records of label and image.
    LabelledImages,
}

/// An official download.
#[derive(Debug)]
pub struct Archive {
    /// File name.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Its MD5, lower-case hexadecimal.
    pub md5: &'static str,
}

/// Where images come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From files: append the contents of one file, having checked all of it.
    Files(fn(&DatasetInfo, &DataFile, &Path, &mut Decoded) -> Result<(), DataError>),
    /// From the program itself.
    Embedded(fn(Split) -> ImageSet),
}

/// What has been read of a split so far.
#[derive(Default)]
pub(crate) struct Decoded {
    pub(crate) images: Vec<u8>,
    pub(crate) labels: Vec<u16>,
}

/// Read one official split of a dataset into memory. Embedded data ignores `data_dir`.
///
/// # Errors
/// Files that are missing, truncated or foreign, each with its path, what was found and what to do.
pub fn read(kind: DatasetKind, split: Split, data_dir: &Path) -> Result<ImageSet, DataError> {
    let info = kind.info();
    match info.source {
        Source::Embedded(read) => Ok(read(split)),
        Source::Files(decode) => {
            info.check_directory(data_dir)?;
            // Locate every file before reading the first: a missing one is reported at once.
            let mut files = Vec::new();
            for file in info.files.iter().filter(|file| file.split == split) {
                files.push((file, info.locate(file, data_dir)?));
            }
            let mut decoded = Decoded {
                images: Vec::with_capacity(info.images(split) * info.image_bytes()),
                labels: Vec::with_capacity(info.images(split)),
            };
            for (file, path) in files {
                decode(info, file, &path, &mut decoded)?;
            }
            Ok(ImageSet::new(
                info.shape,
                info.pixel_max,
                decoded.images,
                decoded.labels,
            ))
        }
    }
}
