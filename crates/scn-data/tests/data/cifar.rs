//! The binary layout of CIFAR-10 and CIFAR-100: whole, truncated and foreign files.

use scn_data::{DatasetKind, Split, read};

use crate::files::{Patches, expect_refusal, pattern, write, write_sparse};

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
        expect_refusal(DatasetKind::Cifar10, folder.path(), file, parts);
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
        expect_refusal(DatasetKind::Cifar100, folder.path(), file, &["record 1:", message]);
    }
}
