//! `verify`: whole and damaged datasets, official and other downloads.

use scn_data::{DataError, DatasetKind, verify};

use crate::files::{FASHION_TEST, gzip, idx, idx_test_images, idx_test_labels, write, write_sparse};

#[test]
fn whole_files_and_recompressed_downloads_pass() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("fashion-mnist");
    let mut train_labels = vec![0; 60_000];
    train_labels[..10].copy_from_slice(&[9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    write(
        &directory.join("train-images-idx3-ubyte.gz"),
        &gzip(&idx(&[60_000, 28, 28], &vec![0; 60_000 * 784])),
    );
    write(
        &directory.join("train-labels-idx1-ubyte"),
        &idx(&[60_000], &train_labels),
    );
    write(&directory.join("t10k-images-idx3-ubyte"), &idx_test_images());
    write(
        &directory.join("t10k-labels-idx1-ubyte"),
        &idx_test_labels(&FASHION_TEST),
    );
    let report = verify(DatasetKind::FashionMnist, folder.path()).unwrap();
    assert!(report.files.iter().all(|file| file.problem.is_none()), "{report:?}");
    assert_eq!(
        report.files[1].path.as_deref(),
        Some(directory.join("train-labels-idx1-ubyte").as_path())
    );
    assert_eq!(report.files[1].bytes, Some(60_008));
    assert_eq!(report.archives.len(), 1);
    assert!(!report.archives[0].official && report.archives[0].is_data_file);
    assert!(report.is_whole());
}

#[test]
fn every_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("cifar-10-batches-bin");
    write_sparse(&directory.join("data_batch_1.bin"), 30_730_000, &[]);
    write_sparse(&directory.join("data_batch_2.bin"), 1000, &[]);
    write_sparse(&directory.join("data_batch_3.bin"), 30_730_000, &[(3073, &[77])]);
    let report = verify(DatasetKind::Cifar10, folder.path()).unwrap();
    assert_eq!(report.files.len(), 6);
    let problem = |file: usize| report.files[file].problem.as_deref().unwrap();
    assert_eq!(report.files[0].problem, None);
    assert!(problem(1).contains("holds 1000 bytes"));
    assert!(problem(2).contains("record 1: label 77"));
    assert!(problem(3).contains("no file data_batch_4.bin"));
    assert_eq!((report.files[1].bytes, report.files[3].bytes), (Some(1000), None));
    assert!(!report.is_whole());
}

#[test]
fn a_damaged_download_is_told_from_the_official_one() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("cifar-100-binary.tar.gz"), b"abc");
    let directory = folder.path().join("cifar-100-binary");
    write_sparse(&directory.join("train.bin"), 153_700_000, &[]);
    write_sparse(&directory.join("test.bin"), 30_740_000, &[]);
    let report = verify(DatasetKind::Cifar100, folder.path()).unwrap();
    assert!(report.files.iter().all(|file| file.problem.is_none()));
    let [archive] = &report.archives[..] else {
        panic!("{report:?}")
    };
    // MD5 of "abc", RFC 1321.
    assert_eq!(
        (archive.bytes, archive.md5.as_str()),
        (3, "900150983cd24fb0d6963f7d28e17f72")
    );
    assert!(!archive.official && !archive.is_data_file && !report.is_whole());
}

#[test]
fn embedded_data_needs_no_directory() {
    let absent = std::path::Path::new("/nonexistent");
    assert!(verify(DatasetKind::Digits, absent).unwrap().is_whole());
    assert!(matches!(
        verify(DatasetKind::Mnist, absent),
        Err(DataError::NoDirectory { .. })
    ));
}
