//! Where the files of a dataset lie: in its own folder of the data directory, or in the data directory itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::{DataFile, DatasetInfo};
use crate::error::DataError;

/// The directories in which the files may lie.
pub(crate) fn directories(info: &DatasetInfo, data_dir: &Path) -> [PathBuf; 2] {
    [data_dir.join(info.directory), data_dir.to_owned()]
}

/// Check that there is a data directory to search at all.
pub(crate) fn check_directory(info: &'static DatasetInfo, data_dir: &Path) -> Result<(), DataError> {
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
        dataset: info,
        path: data_dir.to_owned(),
        problem,
    })
}

/// The path at which a file lies.
pub(crate) fn locate(info: &'static DatasetInfo, file: &DataFile, data_dir: &Path) -> Result<PathBuf, DataError> {
    let directories = directories(info, data_dir);
    for directory in &directories {
        for name in file.names {
            let path = directory.join(name);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => return Ok(path),
                Ok(_) => return Err(DataError::NotAFile { dataset: info, path }),
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
        dataset: info,
        names: file.names,
        directories: directories.into(),
    })
}
