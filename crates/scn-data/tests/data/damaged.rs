//! Missing, truncated and foreign files: each gets an error that names it, what was found and what to do.

use std::error::Error;
use std::fs;
use std::path::Path;

use scn_data::{DatasetKind, Split, read};

use crate::files::{MNIST_TEST, gzip, idx, idx_test_images, idx_test_labels, write, write_idx_test, write_sparse};

/// Bytes written at offsets.
type Patches = &'static [(u64, &'static [u8])];

/// The error of reading a test split, which must name the file and contain the parts.
fn expect(kind: DatasetKind, data_dir: &Path, file: &str, parts: &[&str]) {
    let error = read(kind, Split::Test, data_dir).expect_err(file);
    let message = error.to_string();
    let named = data_dir.join(file);
    for part in parts.iter().copied().chain([named.to_str().unwrap(), kind.name()]) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(message.contains("download"), "no advice in: {message}");
}

#[test]
fn damaged_cifar_files() {
    const BYTES: u64 = 30_730_000;
    let file = "cifar-10-batches-bin/test_batch.bin";
    let cases: [(&str, u64, Patches, &[&str]); 6] = [
        (
            "empty",
            0,
            &[],
            &["holds 0 bytes, expected 30730000", "truncated or foreign"],
        ),
        (
            "truncated",
            BYTES - 1,
            &[],
            &["holds 30729999 bytes, expected 30730000", "truncated or foreign"],
        ),
        (
            "trailing byte",
            BYTES + 1,
            &[],
            &["holds 30730001 bytes, expected 30730000", "bytes after its end"],
        ),
        (
            "CIFAR-100",
            30_740_000,
            &[],
            &["holds 30740000 bytes, expected 30730000"],
        ),
        (
            "first label",
            BYTES,
            &[(0, &[10])],
            &["record 0: label 10 is not in 0..=9"],
        ),
        (
            "last label",
            BYTES,
            &[(BYTES - 3073, &[255])],
            &["record 9999: label 255 is not in 0..=9"],
        ),
    ];
    for (case, length, patches, parts) in cases {
        println!("{case}");
        let folder = tempfile::tempdir().unwrap();
        write_sparse(&folder.path().join(file), length, patches);
        expect(DatasetKind::Cifar10, folder.path(), file, parts);
    }
}

#[test]
fn both_labels_of_cifar100_are_checked() {
    let file = "cifar-100-binary/test.bin";
    for (label, message) in [
        ([20, 0], "label 20 is not in 0..=19"),
        ([19, 100], "label 100 is not in 0..=99"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_sparse(&folder.path().join(file), 30_740_000, &[(3074, &label)]);
        expect(DatasetKind::Cifar100, folder.path(), file, &["record 1:", message]);
    }
}

#[test]
fn damaged_stl10_files() {
    let labels = "stl10_binary/test_y.bin";
    let images = "stl10_binary/test_X.bin";
    for (case, label) in [("zero", 0u8), ("eleven", 11)] {
        println!("{case}");
        let folder = tempfile::tempdir().unwrap();
        write_sparse(&folder.path().join(images), 221_184_000, &[]);
        write(&folder.path().join(labels), &[vec![1; 7999], vec![label]].concat());
        expect(
            DatasetKind::Stl10,
            folder.path(),
            labels,
            &["record 7999", &format!("label {label} is not in 1..=10")],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    write_sparse(&folder.path().join(images), 221_183_999, &[]);
    write(&folder.path().join(labels), &[1; 8000]);
    expect(
        DatasetKind::Stl10,
        folder.path(),
        images,
        &["holds 221183999 bytes, expected 221184000"],
    );
}

#[test]
fn damaged_idx_files() {
    let images = idx_test_images();
    let labels = idx_test_labels(&MNIST_TEST);
    let mut bad_label = labels.clone();
    bad_label[8 + 1234] = 10;
    let mut trailing = images.clone();
    trailing.push(0);
    let mut wrong_type = images.clone();
    wrong_type[2] = 0x0d;
    let packed = gzip(&images);
    let mut broken = packed.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0xff);
    let mut bad_checksum = packed.clone();
    let end = bad_checksum.len();
    bad_checksum[end - 8] ^= 1;
    let page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>".to_vec();

    let (image_file, label_file) = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
    let cases: [(&str, &str, Vec<u8>, &[&str]); 17] = [
        ("empty", image_file, vec![], &["holds 0 bytes, expected 7840016"]),
        (
            "half a header",
            image_file,
            images[..9].to_vec(),
            &["holds 9 bytes, expected 7840016"],
        ),
        (
            "a web page",
            image_file,
            page,
            &[
                "starts with the bytes [3c, 21, 44, 4f]",
                "expected the bytes [00, 00, 08, 03]",
            ],
        ),
        (
            "truncated",
            image_file,
            images[..images.len() - 1].to_vec(),
            &["holds 7840015 bytes, expected 7840016"],
        ),
        (
            "trailing byte",
            image_file,
            trailing.clone(),
            &["holds 7840017 bytes, expected 7840016", "after its end"],
        ),
        ("floats", image_file, wrong_type, &["the bytes [00, 00, 0d, 03]"]),
        (
            "labels for images",
            image_file,
            labels.clone(),
            &["the bytes [00, 00, 08, 01]", "dimensions [10000, 28, 28]"],
        ),
        (
            "images for labels",
            label_file,
            images.clone(),
            &["the bytes [00, 00, 08, 03]", "dimensions [10000]"],
        ),
        (
            "training images",
            image_file,
            idx(&[60_000, 28, 28], &[0; 784]),
            &["dimensions [60000, 28, 28], expected"],
        ),
        (
            "absurd dimensions",
            image_file,
            idx(&[u32::MAX; 3], &[1, 2, 3]),
            &["[4294967295, 4294967295, 4294967295]"],
        ),
        (
            "label out of range",
            label_file,
            bad_label,
            &["record 1234: label 10 is not in 0..=9"],
        ),
        (
            "truncated gzip",
            image_file,
            packed[..packed.len() - 1].to_vec(),
            &["does not decompress"],
        ),
        (
            "half a gzip",
            image_file,
            packed[..packed.len() / 2].to_vec(),
            &["does not decompress"],
        ),
        ("broken gzip", image_file, broken, &["does not decompress"]),
        (
            "broken gzip checksum",
            image_file,
            bad_checksum,
            &["does not decompress"],
        ),
        (
            "gzip of too much",
            image_file,
            gzip(&trailing),
            &["7840017 bytes after decompression, expected 7840016"],
        ),
        (
            "gzip of too little",
            image_file,
            gzip(&images[..99]),
            &["99 bytes after decompression, expected 7840016"],
        ),
    ];
    for (case, file, bytes, parts) in cases {
        println!("{case}");
        let folder = tempfile::tempdir().unwrap();
        write_idx_test(folder.path(), "mnist", &MNIST_TEST);
        write(&folder.path().join("mnist").join(file), &bytes);
        expect(DatasetKind::Mnist, folder.path(), &format!("mnist/{file}"), parts);
    }
}

#[test]
fn gzip_errors_keep_their_cause() {
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(&idx_test_images());
    write_idx_test(folder.path(), "mnist", &MNIST_TEST);
    write(&folder.path().join("mnist/t10k-images-idx3-ubyte"), &packed[..100]);
    assert!(
        read(DatasetKind::Mnist, Split::Test, folder.path())
            .unwrap_err()
            .source()
            .is_some()
    );
}

#[test]
fn a_missing_file_names_everything_tried() {
    let folder = tempfile::tempdir().unwrap();
    let [images, _] = write_idx_test(folder.path(), "mnist", &MNIST_TEST);
    fs::remove_file(images).unwrap();
    let directory = folder.path().display();
    assert_eq!(
        read(DatasetKind::Mnist, Split::Test, folder.path())
            .unwrap_err()
            .to_string(),
        format!(
            "mnist: no file t10k-images-idx3-ubyte or t10k-images.idx3-ubyte or t10k-images-idx3-ubyte.gz or \
             t10k-images.idx3-ubyte.gz in {directory}/mnist or {directory}: download the four .gz files of \
             http://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/) into the \
             folder mnist of the data directory, or set data.dir to the directory that holds the datasets"
        )
    );
}

#[test]
fn a_missing_data_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let message = read(DatasetKind::Cifar10, Split::Train, &absent)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        format!(
            "cifar10: the data directory {} does not exist: set data.dir to the directory that holds the datasets, or \
             download cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it in the \
             data directory",
            absent.display()
        )
    );
    write(&absent, b"a file");
    let message = read(DatasetKind::Cifar10, Split::Train, &absent)
        .unwrap_err()
        .to_string();
    assert!(message.contains("is not a directory"), "{message}");
}

#[test]
fn a_directory_in_place_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = "cifar-10-batches-bin/test_batch.bin";
    fs::create_dir_all(folder.path().join(file)).unwrap();
    expect(DatasetKind::Cifar10, folder.path(), file, &["is not a regular file"]);
}
