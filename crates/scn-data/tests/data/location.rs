//! Files, folders and a data directory that are missing or something else.

use std::fs;

use scn_data::{DatasetKind, Split, read};

use crate::files::{MNIST_TEST, expect_refusal, write, write_idx_test};

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
    expect_refusal(DatasetKind::Cifar10, folder.path(), file, &["is not a regular file"]);
}
