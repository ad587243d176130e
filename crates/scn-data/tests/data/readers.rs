//! Readers against whole files in the official layouts.

use scn_data::{DatasetKind, Split, read};

use crate::files::{
    FASHION_TEST, MNIST_TEST, gzip, idx_test_images, idx_test_labels, pattern, write, write_idx_test, write_sparse,
};

#[test]
fn cifar10_records_are_a_label_and_planes() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for record in 0..10_000 {
        bytes.push((record % 10) as u8);
        bytes.extend((0..3072).map(|offset| pattern(record, offset)));
    }
    write(&folder.path().join("cifar-10-batches-bin/test_batch.bin"), &bytes);
    let set = read(DatasetKind::Cifar10, Split::Test, folder.path()).unwrap();
    assert_eq!((set.count(), set.shape(), set.pixel_max()), (10_000, [3, 32, 32], 255));
    assert_eq!(set.class_counts(), [1000; 10]);
    for record in [0, 1, 4567, 9999] {
        assert_eq!(set.label(record), (record % 10) as u16);
        assert_eq!(set.record(record), record as u32);
        assert!(
            set.image(record)
                .iter()
                .enumerate()
                .all(|(offset, &value)| value == pattern(record, offset))
        );
    }
}

#[test]
fn cifar10_batches_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for batch in 1..=5u8 {
        // Found in the data directory itself as well.
        let path = folder.path().join(format!("data_batch_{batch}.bin"));
        write_sparse(
            &path,
            30_730_000,
            &[
                (0, &[batch, 10 + batch]),
                (30_730_000 - 3073, &[batch]),
                (30_729_999, &[99]),
            ],
        );
    }
    let set = read(DatasetKind::Cifar10, Split::Train, folder.path()).unwrap();
    assert_eq!(set.count(), 50_000);
    for batch in 0..5 {
        let (first, last) = (batch * 10_000, batch * 10_000 + 9_999);
        assert_eq!(
            (set.label(first), set.image(first)[0]),
            (batch as u16 + 1, batch as u8 + 11)
        );
        assert_eq!((set.label(last), set.image(last)[3071]), (batch as u16 + 1, 99));
        assert_eq!(set.label(first + 1), 0);
    }
}

#[test]
fn cifar100_learns_the_fine_label() {
    let folder = tempfile::tempdir().unwrap();
    let record = 3074;
    let patches: [(u64, &[u8]); 3] = [(0, &[19, 99, 5]), (record, &[3, 42]), (2 * record - 1, &[7])];
    write_sparse(&folder.path().join("cifar-100-binary/test.bin"), 30_740_000, &patches);
    let set = read(DatasetKind::Cifar100, Split::Test, folder.path()).unwrap();
    assert_eq!(
        (set.count(), set.label(0), set.label(1), set.label(2)),
        (10_000, 99, 42, 0)
    );
    assert_eq!((set.image(0)[0], set.image(1)[3071]), (5, 7));
}

#[test]
fn stl10_columns_become_rows_and_labels_start_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("stl10_binary");
    // Second image: the upper row bright in red, the left column in blue. Stored column by column, the row is every
    // 96th byte of its plane and the column its first 96 bytes.
    let plane = 96 * 96;
    let mut image = vec![0; 3 * plane];
    for i in 0..96 {
        image[i * 96] = 1 + i as u8;
        image[2 * plane + i] = 101 + i as u8;
    }
    write_sparse(
        &directory.join("train_X.bin"),
        138_240_000,
        &[(3 * plane as u64, &image)],
    );
    let labels: Vec<u8> = (0..5000).map(|i| 1 + (i % 10) as u8).collect();
    write(&directory.join("train_y.bin"), &labels);
    let set = read(DatasetKind::Stl10, Split::Train, folder.path()).unwrap();
    assert_eq!((set.count(), set.shape()), (5000, [3, 96, 96]));
    assert_eq!(set.class_counts(), [500; 10]);
    assert_eq!((set.label(0), set.label(9)), (0, 9));
    for y in 0..96 {
        for x in 0..96 {
            let pixel = |channel: usize| set.image(1)[channel * plane + y * 96 + x];
            let red = if y == 0 { 1 + x as u8 } else { 0 };
            let blue = if x == 0 { 101 + y as u8 } else { 0 };
            assert_eq!((pixel(0), pixel(1), pixel(2)), (red, 0, blue), "row {y}, column {x}");
        }
    }
}

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
