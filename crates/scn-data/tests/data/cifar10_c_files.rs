//! Files in the layout of CIFAR-10-C, written by the tests.

use std::path::{Path, PathBuf};

use scn_data::{Corruption, ImageSet, Noise, read_cifar10_c};
use tempfile::TempDir;

use crate::files::{expect_parts, write, write_sparse};

pub const IMAGES: &str = "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3), }";
pub const LABELS: &str = "{'descr': '|u1', 'fortran_order': False, 'shape': (50000,), }";
pub const LONG_LABELS: &str = "{'descr': '<i8', 'fortran_order': False, 'shape': (50000,), }";

/// The start of a `.npy` file as numpy writes it: the values start at a multiple of 64 bytes.
pub fn start(version: u8, header: &str) -> Vec<u8> {
    let prefix = if version == 1 { 10 } else { 12 };
    let length = (prefix + header.len() + 1).next_multiple_of(64) - prefix;
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    bytes.extend(&(length as u32).to_le_bytes()[..prefix - 8]);
    bytes.extend(header.bytes());
    bytes.resize(prefix + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// A file of zeros with values written over them, counted in bytes.
pub fn write_npy(path: &Path, start: &[u8], length: u64, patches: &[(u64, &[u8])]) {
    let first = start.len() as u64;
    let mut all: Vec<(u64, &[u8])> = vec![(0, start)];
    all.extend(patches.iter().map(|&(offset, bytes)| (first + offset, bytes)));
    write_sparse(path, first + length, &all);
}

/// The label of a record of the test set.
pub fn label(record: usize) -> u8 {
    (record * 7 % 10) as u8
}

pub fn image_path(data_dir: &TempDir, noise: &str) -> PathBuf {
    data_dir.path().join(format!("CIFAR-10-C/{noise}_noise.npy"))
}

pub fn label_path(data_dir: &TempDir) -> PathBuf {
    data_dir.path().join("CIFAR-10-C/labels.npy")
}

/// A data directory with the labels and the images of one noise, all black.
pub fn data_dir(noise: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let labels: Vec<u8> = (0..50_000).map(|i| label(i % 10_000)).collect();
    write(&label_path(&folder), &[start(1, LABELS), labels].concat());
    write_npy(&image_path(&folder, noise), &start(1, IMAGES), 50_000 * 3072, &[]);
    folder
}

pub fn read(data_dir: &TempDir, noise: Noise, severity: u8) -> Result<ImageSet, String> {
    let corruption = Corruption::new(noise, severity).unwrap();
    read_cifar10_c(data_dir.path(), corruption).map_err(|error| error.to_string())
}

/// The error of reading, which must name the file, contain the part and say what to do.
pub fn expect(data_dir: &TempDir, file: &Path, part: &str) {
    let message = read(data_dir, Noise::Gaussian, 1).unwrap_err();
    let advice = "download CIFAR-10-C.tar from https://zenodo.org";
    expect_parts(&message, [part, file.to_str().unwrap(), advice]);
}
