//! Reading datasets: one file a format, finding files, and reading them front to back.

pub(crate) mod cifar;
pub(crate) mod digits;
pub(crate) mod file_reader;
pub(crate) mod idx;
pub(crate) mod location;
pub(crate) mod npy;
pub(crate) mod stl10;

use std::path::Path;

use self::location::{check_directory, locate};
use crate::dataset::{DataFile, DatasetInfo, Split};
use crate::error::DataError;
use crate::image_set::ImageSet;

/// A dataset and how it is read.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) info: DatasetInfo,
    pub(crate) source: Source,
}

/// Where images come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From files.
    Files(Decode),
    /// From the program itself.
    Embedded(fn(&DatasetInfo, Split) -> ImageSet),
}

/// Append the contents of one file, having checked all of it. Nothing is allocated before the length of the file, or
/// its header where it is compressed, is found to be the official one.
pub(crate) type Decode = fn(&'static DatasetInfo, &DataFile, &Path, &mut Decoded) -> Result<(), DataError>;

/// What has been read of a split so far.
#[derive(Default)]
pub(crate) struct Decoded {
    pub(crate) images: Vec<u8>,
    pub(crate) labels: Vec<u16>,
}

impl Decoded {
    /// Make room for what a file holds, which must be known to have the official length or header.
    pub(crate) fn reserve(&mut self, info: &DatasetInfo, file: &DataFile) {
        if file.content.has_images() {
            self.images.reserve_exact(file.records * info.image_bytes());
        }
        if file.content.has_labels() {
            self.labels.reserve_exact(file.records);
        }
    }
}

impl Dataset {
    /// Read one official split into memory. Embedded data ignores `data_dir`.
    ///
    /// # Errors
    /// Files that are missing, truncated or foreign.
    pub(crate) fn read(&'static self, split: Split, data_dir: &Path) -> Result<ImageSet, DataError> {
        let info = &self.info;
        match self.source {
            Source::Embedded(read) => Ok(read(info, split)),
            Source::Files(decode) => {
                check_directory(info, data_dir)?;
                // Locate every file before reading the first: a missing one is reported at once.
                let mut files = Vec::new();
                for file in info.files.iter().filter(|file| file.split == split) {
                    files.push((file, locate(info, file, data_dir)?));
                }
                let mut decoded = Decoded::default();
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
}
