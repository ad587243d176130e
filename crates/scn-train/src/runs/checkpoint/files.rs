//! The files of a checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::content::{Checkpoint, Description, State};
use super::error::CheckpointError;
use super::origin::Origin;
use crate::runs::atomic::{put_in_place, write_folder_beside};
use crate::tensors::{self, Arrays, TensorsError};

pub(super) const MODEL: &str = "model.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const DESCRIPTION: &str = "model.json";
const ORIGIN: &str = "origin.json";
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

impl Checkpoint {
    /// Writes it to `path`, whole or not at all; a checkpoint that is there becomes `previous`, if given.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError> {
        let mut files = vec![
            (MODEL, tensors::to_safetensors(&self.model)),
            (OPTIMIZER, tensors::to_safetensors(&self.optimizer)),
            (STATE, json(&self.state)),
            (DESCRIPTION, json(&self.description)),
        ];
        files.extend(self.origin.as_ref().map(|origin| (ORIGIN, json(origin))));
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

    /// Reads and verifies the checkpoint in folder `path`.
    ///
    /// # Errors
    /// [`CheckpointError`] with the file that is missing, damaged, not readable or not understood.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        read_whole(path, |files| {
            let arrays = |name| -> Result<Arrays, CheckpointError> {
                let (path, bytes) = files.verified(name)?;
                tensors::from_safetensors(&bytes).map_err(|error: TensorsError| CheckpointError::Content {
                    path,
                    reason: error.to_string(),
                })
            };
            let description: Description = files.parsed(DESCRIPTION)?;
            description.check().map_err(|reason| CheckpointError::Content {
                path: path.join(DESCRIPTION),
                reason,
            })?;
            let origin = match files.manifest.files.contains_key(ORIGIN) {
                true => Some(files.parsed::<Origin>(ORIGIN)?),
                false => None,
            };
            Ok(Self {
                model: arrays(MODEL)?,
                optimizer: arrays(OPTIMIZER)?,
                state: files.parsed(STATE)?,
                description,
                origin,
            })
        })
    }
}

/// Where training stands in the checkpoint in folder `path`, of which nothing else is read.
pub(super) fn state(path: &Path) -> Result<State, CheckpointError> {
    read_whole(path, |files| files.parsed(STATE))
}

/// SHA-256 of the weights of the checkpoint in folder `path` in hexadecimal digits, as its manifest says; the weights are
/// not read.
///
/// # Errors
/// [`CheckpointError`] where there is no manifest, or none that can be understood.
pub fn weights_sha256(path: &Path) -> Result<String, CheckpointError> {
    let mut files = Files::open(path)?;
    match files.manifest.files.remove(MODEL) {
        Some(record) => Ok(record.sha256),
        None => Err(CheckpointError::Content {
            path: files.manifest_path,
            reason: format!("no entry for {MODEL}"),
        }),
    }
}

/// Whether `path` is the folder of a checkpoint.
pub(super) fn has_manifest(path: &Path) -> bool {
    path.join(MANIFEST).exists()
}

/// Reads of one checkpoint, again where it was replaced on the way.
fn read_whole<T>(path: &Path, read: impl Fn(&Files) -> Result<T, CheckpointError>) -> Result<T, CheckpointError> {
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

/// A checkpoint's folder.
struct Files<'a> {
    path: &'a Path,
    manifest_path: PathBuf,
    manifest: Manifest,
}

impl<'a> Files<'a> {
    fn open(path: &'a Path) -> Result<Self, CheckpointError> {
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

    /// A file that is what the manifest says.
    fn verified(&self, name: &str) -> Result<(PathBuf, Vec<u8>), CheckpointError> {
        let file = self.path.join(name);
        let Some(record) = self.manifest.files.get(name) else {
            return Err(CheckpointError::Content {
                path: self.manifest_path.clone(),
                reason: format!("no entry for {name}"),
            });
        };
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

    fn parsed<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, CheckpointError> {
        let (path, bytes) = self.verified(name)?;
        parse(&path, &bytes)
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
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
