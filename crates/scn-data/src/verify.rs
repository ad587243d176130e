//! Checking the files of a dataset, and its official download where that lies beside them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use serde::Serialize;

use crate::catalogue::DatasetKind;
use crate::dataset::{Archive, DataFile, DatasetInfo};
use crate::error::DataError;
use crate::hex::hex;
use crate::sources::location::{check_directory, directories, locate};
use crate::sources::{Decode, Decoded, Source};

const BUFFER_BYTES: usize = 1 << 18;

/// What was found of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The dataset.
    pub dataset: DatasetKind,
    /// Its files. Empty for embedded data.
    pub files: Vec<FileReport>,
    /// The official downloads found in the data directory or the dataset's own.
    pub archives: Vec<ArchiveReport>,
}

/// What was found of one file; all of it has been read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// The name looked for.
    pub name: &'static str,
    /// Where it lies.
    pub path: Option<PathBuf>,
    /// Its bytes on disk.
    pub bytes: Option<u64>,
    /// What is wrong and what to do; `None` if it is whole.
    pub problem: Option<String>,
}

/// What was found of an official download.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArchiveReport {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its MD5, lower-case hexadecimal.
    pub md5: String,
    /// Whether bytes and MD5 are the official ones.
    pub official: bool,
    /// Whether the download is itself a file of the dataset. One that is whole but not official has been
    /// compressed anew, as in Debian's package of Fashion-MNIST.
    pub is_data_file: bool,
}

impl Verification {
    /// Whether the dataset can be used and no download is damaged.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| file.problem.is_none())
            && self
                .archives
                .iter()
                .all(|archive| archive.official || archive.is_data_file)
    }
}

/// Read every file of a dataset as training would, and compare official downloads with their MD5.
///
/// # Errors
/// Problems of the files are part of the report; errors are a data directory that does not exist and downloads that
/// cannot be read.
pub fn verify(kind: DatasetKind, data_dir: &Path) -> Result<Verification, DataError> {
    let dataset = kind.dataset();
    let info = &dataset.info;
    let mut verification = Verification {
        dataset: kind,
        files: Vec::new(),
        archives: Vec::new(),
    };
    if let Source::Files(decode) = dataset.source {
        check_directory(info, data_dir)?;
        for file in info.files {
            verification.files.push(verify_file(info, file, data_dir, decode));
        }
        for archive in info.archives {
            for path in directories(info, data_dir).map(|directory| directory.join(archive.name)) {
                if path.is_file() {
                    verification.archives.push(verify_archive(info, archive, path)?);
                }
            }
        }
    }
    Ok(verification)
}

fn verify_file(info: &'static DatasetInfo, file: &DataFile, data_dir: &Path, decode: Decode) -> FileReport {
    let mut report = FileReport {
        name: file.names[0],
        path: None,
        bytes: None,
        problem: None,
    };
    let checked = locate(info, file, data_dir).and_then(|path| {
        report.bytes = fs::metadata(&path).ok().map(|metadata| metadata.len());
        let path = report.path.insert(path);
        decode(info, file, path, &mut Decoded::default())
    });
    report.problem = checked.err().map(|error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    });
    report
}

fn verify_archive(info: &DatasetInfo, archive: &Archive, path: PathBuf) -> Result<ArchiveReport, DataError> {
    let digested = File::open(&path).and_then(|mut file| {
        let (mut digest, mut bytes, mut buffer) = (Md5::new(), 0, vec![0; BUFFER_BYTES]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok((bytes, digest.finalize())),
                Ok(count) => {
                    digest.update(&buffer[..count]);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    });
    let (bytes, digest) = match digested {
        Ok(digested) => digested,
        Err(source) => {
            return Err(DataError::Io {
                path,
                action: "read",
                source,
            });
        }
    };
    let md5 = hex(&digest);
    let official = bytes == archive.bytes && md5 == archive.md5;
    let is_data_file = info.files.iter().any(|file| file.names.contains(&archive.name));
    Ok(ArchiveReport {
        path,
        bytes,
        md5,
        official,
        is_data_file,
    })
}
