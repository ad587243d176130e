//! CIFAR-10-C from files in the official layout, and files that are not.

use std::fs;

use scn_data::{Noise, find_cifar10_c};

use crate::cifar10_c_files::{
    IMAGES, LABELS, LONG_LABELS, data_dir, expect, image_path, label, label_path, read, start, write_npy,
};
use crate::files::{pattern, write};

#[test]
fn images_become_planes() {
    let folder = data_dir("shot");
    // All of severity 3, channels last.
    let mut values = Vec::new();
    for record in 0..10_000 {
        for place in 0..1024 {
            values.extend((0..3).map(|channel| pattern(record, channel * 1024 + place)));
        }
    }
    let patches: [(u64, &[u8]); 1] = [(20_000 * 3072, &values)];
    write_npy(&image_path(&folder, "shot"), &start(1, IMAGES), 50_000 * 3072, &patches);
    let set = read(&folder, Noise::Shot, 3).unwrap();
    assert_eq!((set.count(), set.shape(), set.pixel_max()), (10_000, [3, 32, 32], 255));
    for record in 0..10_000 {
        assert_eq!(
            (set.label(record), set.record(record)),
            (label(record).into(), record as u32)
        );
    }
    for record in [0, 1, 4567, 9999] {
        let expected = (0..3072).map(|offset| pattern(record, offset));
        assert!(set.image(record).iter().copied().eq(expected), "{record}");
    }
}

#[test]
fn every_noise_and_severity_has_its_place() {
    // Severity 3 is that of `images_become_planes`.
    for (noise, severity) in Noise::ALL.into_iter().zip([1, 2, 4, 5]) {
        let folder = data_dir(noise.name());
        let (first, end) = (
            u64::from(severity - 1) * 10_000 * 3072,
            u64::from(severity) * 10_000 * 3072,
        );
        let mut patches: Vec<(u64, &[u8])> = vec![(first, &[1]), (end - 1, &[2])];
        // The neighbouring severities.
        patches.extend(first.checked_sub(1).map(|before| (before, &[3][..])));
        patches.extend((severity < 5).then_some((end, &[4][..])));
        write_npy(
            &image_path(&folder, noise.name()),
            &start(1, IMAGES),
            50_000 * 3072,
            &patches,
        );
        let set = read(&folder, noise, severity).unwrap();
        assert_eq!((set.image(0)[0], set.image(9999)[3071]), (1, 2), "{noise} {severity}");
        // No other noise is taken for it.
        let other = Noise::ALL.into_iter().find(|&other| other != noise).unwrap();
        assert!(read(&folder, other, severity).unwrap_err().contains("does not exist"));
    }
}

#[test]
fn labels_may_be_long_integers() {
    let folder = data_dir("gaussian");
    let labels: Vec<u8> = (0..50_000)
        .flat_map(|i| i64::from(label(i % 10_000)).to_le_bytes())
        .collect();
    write(&label_path(&folder), &[start(1, LONG_LABELS), labels].concat());
    let set = read(&folder, Noise::Gaussian, 5).unwrap();
    assert!((0..10_000).all(|record| set.label(record) == u16::from(label(record))));
}

#[test]
fn labels_are_those_of_the_severity() {
    let folder = data_dir("gaussian");
    let values: Vec<u8> = (0..50_000).map(|i| (i / 10_000) as u8).collect();
    write(&label_path(&folder), &[start(1, LABELS), values].concat());
    for severity in 1..=5u8 {
        let set = read(&folder, Noise::Gaussian, severity).unwrap();
        assert!((0..10_000).all(|record| set.label(record) == u16::from(severity) - 1));
    }
}

#[test]
fn foreign_images_are_refused() {
    let folder = data_dir("gaussian");
    let file = image_path(&folder, "gaussian");
    let expected = "expected values of type |u1 and shape [50000, 32, 32, 3] in C order";
    for (from, to, found) in [
        ("|u1", "|i1", "type |i1 and shape [50000, 32, 32, 3] in C order"),
        ("|u1", "<f4", "type <f4 and shape [50000, 32, 32, 3] in C order"),
        (
            "False",
            "True",
            "type |u1 and shape [50000, 32, 32, 3] in Fortran order",
        ),
        ("50000, 32, 32, 3", "50000, 3, 32, 32", "shape [50000, 3, 32, 32]"),
        ("50000, 32, 32, 3", "10000, 32, 32, 3", "shape [10000, 32, 32, 3]"),
        ("50000, 32, 32, 3", "50000, 3072", "shape [50000, 3072]"),
        ("50000, 32, 32, 3", "50000,", "shape [50000]"),
        ("50000, 32, 32, 3", "", "shape []"),
    ] {
        write_npy(&file, &start(1, &IMAGES.replace(from, to)), 50_000 * 3072, &[]);
        expect(&folder, &file, found);
        expect(&folder, &file, expected);
    }
    for (length, found) in [
        (50_000 * 3072 - 1, 153_600_127),
        (50_000 * 3072 + 1, 153_600_129),
        (0, 128),
    ] {
        write_npy(&file, &start(1, IMAGES), length, &[]);
        expect(&folder, &file, &format!("holds {found} bytes, expected 153600128"));
    }
}

#[test]
fn foreign_labels_are_refused() {
    let folder = data_dir("gaussian");
    let file = label_path(&folder);
    let expected = "expected values of type |u1 or <i8 and shape [50000] in C order";
    for (from, to, length) in [
        ("|u1", "<i4", 200_000),
        ("|u1", ">i8", 400_000),
        ("(50000,)", "(10000,)", 10_000),
        ("False", "True", 50_000),
    ] {
        write_npy(&file, &start(1, &LABELS.replace(from, to)), length, &[]);
        expect(&folder, &file, expected);
    }
    write_npy(&file, &start(1, LABELS), 49_999, &[]);
    expect(&folder, &file, "holds 50127 bytes, expected 50128");
    write_npy(&file, &start(1, LONG_LABELS), 50_000, &[]);
    expect(&folder, &file, "holds 50128 bytes, expected 400128");

    write_npy(&file, &start(1, LABELS), 50_000, &[(9999, &[10])]);
    expect(&folder, &file, "holds label 10 in record 9999, expected 0..=9");
    read(&folder, Noise::Gaussian, 2).unwrap();
    // A truncated number would be a label.
    for label in [10, -1, 65_536, 1 << 32, i64::MIN] {
        write_npy(
            &file,
            &start(1, LONG_LABELS),
            400_000,
            &[(8 * 4567, &label.to_le_bytes())],
        );
        expect(
            &folder,
            &file,
            &format!("holds label {label} in record 4567, expected 0..=9"),
        );
    }
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(find_cifar10_c(folder.path()), None);
    let directory = folder.path().join("CIFAR-10-C");
    assert_eq!(
        read(&folder, Noise::Gaussian, 1).unwrap_err(),
        format!(
            "cifar10-c: {} does not exist: download CIFAR-10-C.tar from https://zenodo.org/records/2535967 and unpack \
             it in the data directory, or set data.dir to the directory that holds the datasets",
            directory.display()
        )
    );
    write(&directory, b"a file");
    assert_eq!(find_cifar10_c(folder.path()), None);

    let folder = data_dir("gaussian");
    assert_eq!(find_cifar10_c(folder.path()), Some(folder.path().join("CIFAR-10-C")));
    for file in [image_path(&folder, "gaussian"), label_path(&folder)] {
        let away = file.with_extension("away");
        fs::rename(&file, &away).unwrap();
        expect(&folder, &file, "does not exist");
        fs::create_dir(&file).unwrap();
        expect(&folder, &file, "is not a regular file");
        fs::remove_dir(&file).unwrap();
        fs::rename(&away, &file).unwrap();
    }
    read(&folder, Noise::Gaussian, 1).unwrap();
}
