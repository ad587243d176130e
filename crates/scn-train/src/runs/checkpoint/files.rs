//! A checkpoint's folder: its files, and a manifest with the size and SHA-256 of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::CheckpointError;
use crate::runs::atomic::{put_in_place, write_folder_beside};
use crate::tensors::{self, Arrays, TensorsError};

const MANIFEST: &str = "manifest.json";
/// A file more, which older programs pass over, changes no format.
const FORMAT: u32 = 1;
/// Reads of a checkpoint that a running training replaces meanwhile.
const ATTEMPTS: usize = 3;

#[derive(PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, FileRecord>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

/// The bytes of files by name.
pub type Contents = Vec<(&'static str, Vec<u8>)>;

/// Writes files as the checkpoint in folder `path`, whole or not at all; one that is there becomes `previous`, if given.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn write_files(path: &Path, previous: Option<&Path>, mut files: Contents) -> Result<(), CheckpointError> {
    let records = files.iter().map(|(name, bytes)| {
        (
            name.to_string(),
            FileRecord {
                bytes: bytes.len() as u64,
                sha256: digest(bytes),
            },
        )
    });
    let manifest = Manifest {
        format: FORMAT,
        files: records.collect(),
    };
    files.push((MANIFEST, json(&manifest)));
    let io = |(action, source)| CheckpointError::Io {
        path: path.to_path_buf(),
        action,
        source,
    };
    let temporary = write_folder_beside(path, &files).map_err(|error| io(("write the checkpoint", error)))?;
    put_in_place(&temporary, path, previous).map_err(io)
}

/// Whether `path` is the folder of a checkpoint.
pub(super) fn has_manifest(path: &Path) -> bool {
    path.join(MANIFEST).exists()
}

/// Reads the checkpoint in folder `path`, again where a training replaced it on the way.
///
/// # Errors
/// What `read` returns, and [`CheckpointError`] where there is no manifest, or none that can be understood.
pub fn read_files<T>(path: &Path, read: impl Fn(&Files) -> Result<T, CheckpointError>) -> Result<T, CheckpointError> {
    let mut files = Files::open(path)?;
    for _ in 1..ATTEMPTS {
        match read(&files) {
            Ok(found) => return Ok(found),
            Err(error) => match Files::open(path) {
                Ok(now) if now.manifest != files.manifest => files = now,
                _ => return Err(error),
            },
        }
    }
    read(&files)
}

/// The files of a checkpoint, each held against the manifest as it is read.
pub struct Files<'a> {
    path: &'a Path,
    manifest_path: PathBuf,
    manifest: Manifest,
}

impl<'a> Files<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, CheckpointError> {
        let manifest_path = path.join(MANIFEST);
        let manifest: Manifest = parse(&manifest_path, &read(&manifest_path)?)?;
        if manifest.format != FORMAT {
            let reason = format!("format {}, this program reads format {FORMAT}", manifest.format);
            return Err(CheckpointError::Content {
                path: manifest_path,
                reason,
            });
        }
        Ok(Self {
            path,
            manifest_path,
            manifest,
        })
    }

    /// Whether the manifest has a file.
    pub fn has(&self, name: &str) -> bool {
        self.manifest.files.contains_key(name)
    }

    /// SHA-256 of a file in hexadecimal digits, as the manifest says; the file is not read.
    pub(super) fn sha256(&self, name: &str) -> Result<&str, CheckpointError> {
        self.record(name).map(|record| record.sha256.as_str())
    }

    fn record(&self, name: &str) -> Result<&FileRecord, CheckpointError> {
        self.manifest.files.get(name).ok_or_else(|| CheckpointError::Content {
            path: self.manifest_path.clone(),
            reason: format!("no entry for {name}"),
        })
    }

    /// A file that is what the manifest says.
    fn verified(&self, name: &str) -> Result<(PathBuf, Vec<u8>), CheckpointError> {
        let file = self.path.join(name);
        let record = self.record(name)?;
        let bytes = read(&file)?;
        let damaged = |found: String, expected: String| {
            Err(CheckpointError::Damaged {
                path: file.clone(),
                found,
                expected,
            })
        };
        if bytes.len() as u64 != record.bytes {
            return damaged(format!("{} bytes", bytes.len()), format!("{} bytes", record.bytes));
        }
        let found = digest(&bytes);
        if found != record.sha256 {
            return damaged(format!("SHA-256 {found}"), record.sha256.clone());
        }
        Ok((file, bytes))
    }

    /// A file of JSON.
    ///
    /// # Errors
    /// [`CheckpointError`] where it is missing, damaged or not readable, or cannot be understood.
    pub fn parsed<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, CheckpointError> {
        let (path, bytes) = self.verified(name)?;
        parse(&path, &bytes)
    }

    /// A file of tensors.
    ///
    /// # Errors
    /// As [`Files::parsed`].
    pub fn arrays(&self, name: &str) -> Result<Arrays, CheckpointError> {
        let (path, bytes) = self.verified(name)?;
        tensors::from_safetensors(&bytes).map_err(|error: TensorsError| CheckpointError::Content {
            path,
            reason: error.to_string(),
        })
    }

    /// The error of a file that is whole and makes no sense.
    pub fn content(&self, name: &str, reason: String) -> CheckpointError {
        CheckpointError::Content {
            path: self.path.join(name),
            reason,
        }
    }
}

/// A file of JSON.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap_or_else(|error| panic!("plain data serializes: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::of_reading(path, source))
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path, bytes: &[u8]) -> Result<T, CheckpointError> {
    serde_json::from_slice(bytes).map_err(|error| CheckpointError::Content {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
