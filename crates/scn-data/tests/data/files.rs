//! Files in the official layouts, written by the tests, and small image sets.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use scn_data::{DatasetKind, ImageSet, Split, read};

/// First test labels of the real files.
pub const MNIST_TEST: [u8; 10] = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9];
pub const FASHION_TEST: [u8; 10] = [9, 2, 1, 1, 6, 1, 4, 6, 5, 7];

/// Bytes written at offsets.
pub type Patches = &'static [(u64, &'static [u8])];

/// Check that a message contains all of these.
pub fn expect_parts<'a>(message: &str, parts: impl IntoIterator<Item = &'a str>) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Check that reading a test split fails with a message that names the dataset and the file, gives advice and contains
/// the parts.
pub fn expect_refusal(kind: DatasetKind, data_dir: &Path, file: &str, parts: &[&str]) {
    let message = read(kind, Split::Test, data_dir).expect_err(file).to_string();
    let named = data_dir.join(file);
    expect_parts(
        &message,
        parts.iter().copied().chain([named.to_str().unwrap(), kind.name()]),
    );
    assert!(message.contains("download"), "no advice in: {message}");
}

/// A file of zeros, which takes no room on disk, with bytes written over it at offsets.
pub fn write_sparse(path: &Path, length: u64, patches: &[(u64, &[u8])]) {
    use std::io::{Seek, SeekFrom};
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.set_len(length).unwrap();
    for (offset, bytes) in patches {
        file.seek(SeekFrom::Start(*offset)).unwrap();
        file.write_all(bytes).unwrap();
    }
}

pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of unsigned bytes.
pub fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    for dimension in dimensions {
        bytes.extend(dimension.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// Pixels that differ between records, rows, columns and planes.
pub fn pattern(record: usize, offset: usize) -> u8 {
    ((record * 131 + offset * 7 + offset / 251) % 251) as u8
}

/// The test images of MNIST's size, as an IDX file.
pub fn idx_test_images() -> Vec<u8> {
    let data: Vec<u8> = (0..10_000 * 784).map(|i| pattern(i / 784, i % 784)).collect();
    idx(&[10_000, 28, 28], &data)
}

/// Test labels that start as given and go on counting, as an IDX file.
pub fn idx_test_labels(first: &[u8; 10]) -> Vec<u8> {
    let data: Vec<u8> = (0..10_000)
        .map(|i| if i < 10 { first[i] } else { (i % 10) as u8 })
        .collect();
    idx(&[10_000], &data)
}

/// A whole MNIST or Fashion-MNIST test split below `data_dir`, plain; returns the paths of images and labels.
pub fn write_idx_test(data_dir: &Path, directory: &str, first: &[u8; 10]) -> [PathBuf; 2] {
    let images = data_dir.join(directory).join("t10k-images-idx3-ubyte");
    let labels = data_dir.join(directory).join("t10k-labels-idx1-ubyte");
    write(&images, &idx_test_images());
    write(&labels, &idx_test_labels(first));
    [images, labels]
}

/// A set of patterned images with labels `i % classes`.
pub fn small_set(images: usize, shape: [usize; 3], classes: u16) -> ImageSet {
    let length = shape.iter().product::<usize>();
    let pixels = (0..images * length).map(|i| pattern(i / length, i % length)).collect();
    ImageSet::new(
        shape,
        255,
        pixels,
        (0..images).map(|i| (i % classes as usize) as u16).collect(),
    )
}
