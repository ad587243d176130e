//! IDX files: whole, truncated and foreign ones, compressed or not.

use std::error::Error;

use scn_data::{DatasetKind, Split, read};

use crate::files::{
    FASHION_TEST, MNIST_TEST, expect_refusal, gzip, idx, idx_test_images, idx_test_labels, pattern, write,
    write_idx_test,
};

#[test]
fn idx_files_are_found_under_every_name_compressed_or_not() {
    let (images, labels) = (idx_test_images(), idx_test_labels(&MNIST_TEST));
    let (packed_images, packed_labels) = (gzip(&images), gzip(&labels));
    let cases: [(&str, &[u8], &str, &[u8]); 5] = [
        (
            "mnist/t10k-images-idx3-ubyte",
            &images,
            "mnist/t10k-labels-idx1-ubyte",
            &labels,
        ),
        (
            "mnist/t10k-images-idx3-ubyte.gz",
            &packed_images,
            "mnist/t10k-labels-idx1-ubyte.gz",
            &packed_labels,
        ),
        (
            "mnist/t10k-images.idx3-ubyte",
            &images,
            "mnist/t10k-labels-idx1-ubyte.gz",
            &packed_labels,
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            &packed_images,
            "t10k-labels.idx1-ubyte",
            &labels,
        ),
        // Browsers unpack or keep compression without telling: the contents decide.
        (
            "mnist/t10k-images-idx3-ubyte",
            &packed_images,
            "mnist/t10k-labels-idx1-ubyte.gz",
            &labels,
        ),
    ];
    for (images_name, images, labels_name, labels) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(images_name), images);
        write(&folder.path().join(labels_name), labels);
        let set = read(DatasetKind::Mnist, Split::Test, folder.path()).unwrap();
        assert_eq!((set.count(), set.shape()), (10_000, [1, 28, 28]), "{images_name}");
        for record in [0, 3, 9, 5432, 9999] {
            let label = if record < 10 {
                MNIST_TEST[record]
            } else {
                (record % 10) as u8
            };
            assert_eq!(set.label(record), u16::from(label), "{labels_name}");
            assert!(
                set.image(record)
                    .iter()
                    .enumerate()
                    .all(|(offset, &value)| value == pattern(record, offset))
            );
        }
    }
}

#[test]
fn datasets_with_the_same_file_names_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    write_idx_test(folder.path(), "", &MNIST_TEST);
    assert!(read(DatasetKind::Mnist, Split::Test, folder.path()).is_ok());
    let message = read(DatasetKind::FashionMnist, Split::Test, folder.path())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("starts with the labels [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]"),
        "{message}"
    );
    assert!(message.contains("belongs to another dataset"), "{message}");
    // The dataset's own folder comes first.
    write_idx_test(folder.path(), "fashion-mnist", &FASHION_TEST);
    assert!(read(DatasetKind::FashionMnist, Split::Test, folder.path()).is_ok());
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
        expect_refusal(DatasetKind::Mnist, folder.path(), &format!("mnist/{file}"), parts);
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
