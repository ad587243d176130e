//! The binary layout of STL-10: whole, truncated and foreign files.

use scn_data::{DatasetKind, Split, read};

use crate::files::{expect_refusal, write, write_sparse};

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
fn damaged_stl10_files() {
    let labels = "stl10_binary/test_y.bin";
    let images = "stl10_binary/test_X.bin";
    for (case, label) in [("zero", 0u8), ("eleven", 11)] {
        println!("{case}");
        let folder = tempfile::tempdir().unwrap();
        write_sparse(&folder.path().join(images), 221_184_000, &[]);
        write(&folder.path().join(labels), &[vec![1; 7999], vec![label]].concat());
        expect_refusal(
            DatasetKind::Stl10,
            folder.path(),
            labels,
            &["record 7999", &format!("label {label} is not in 1..=10")],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    write_sparse(&folder.path().join(images), 221_183_999, &[]);
    write(&folder.path().join(labels), &[1; 8000]);
    expect_refusal(
        DatasetKind::Stl10,
        folder.path(),
        images,
        &["holds 221183999 bytes, expected 221184000"],
    );
}
