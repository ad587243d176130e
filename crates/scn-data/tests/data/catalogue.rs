//! Names and facts of the datasets.

use scn_data::{Content, DataError, DatasetKind, Split};

use crate::files::expect_parts;

#[test]
fn names_are_the_same_everywhere() {
    for kind in DatasetKind::ALL {
        let name = kind.name();
        assert_eq!(name.parse::<DatasetKind>().unwrap(), kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), name);
        assert_eq!(kind.to_string(), name);
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = "cifar-10".parse::<DatasetKind>().unwrap_err();
    assert!(matches!(&error, DataError::UnknownDataset { name, .. } if name == "cifar-10"));
    let message = error.to_string();
    assert!(
        message.starts_with(
            "there is no dataset \"cifar-10\": choose one of cifar10, cifar100, mnist, fashion-mnist, stl10, digits"
        ),
        "{message}"
    );
    expect_parts(&message, DatasetKind::ALL.map(DatasetKind::name));
}

#[test]
fn files_hold_as_many_records_as_the_splits_have_images() {
    for kind in DatasetKind::ALL {
        let info = kind.info();
        for split in [Split::Train, Split::Test] {
            let count = |without: Content| -> usize {
                info.files
                    .iter()
                    .filter(|file| file.split == split && file.content != without)
                    .map(|f| f.records)
                    .sum()
            };
            if !info.files.is_empty() {
                assert_eq!(count(Content::Labels), info.images(split), "{kind} {split:?}");
                assert_eq!(count(Content::Images), info.images(split), "{kind} {split:?}");
            }
        }
        let mut names = info.class_names.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), kind.classes(), "{kind}: class names repeat");
    }
    assert_eq!(
        DatasetKind::ALL.map(DatasetKind::classes)[..6],
        [10, 100, 10, 10, 10, 10]
    );
    // The fine labels are in alphabetical order.
    assert!(DatasetKind::Cifar100.info().class_names.is_sorted());
}

#[test]
fn files_have_the_official_lengths() {
    let bytes = |kind: DatasetKind| kind.info().files.iter().map(|file| file.bytes).collect::<Vec<_>>();
    assert_eq!(bytes(DatasetKind::Cifar10), [30_730_000; 6]);
    assert_eq!(bytes(DatasetKind::Cifar100), [153_700_000, 30_740_000]);
    assert_eq!(bytes(DatasetKind::Mnist), [47_040_016, 60_008, 7_840_016, 10_008]);
    assert_eq!(bytes(DatasetKind::FashionMnist), bytes(DatasetKind::Mnist));
    assert_eq!(bytes(DatasetKind::Stl10), [138_240_000, 5_000, 221_184_000, 8_000]);
}

/// The cells of the table rows of a document that start with a code span, such as a dataset's name.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// `1,437`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(if first == 0 { 3.min(digits.len()) } else { first });
    let tail = tail.as_bytes().chunks(3).map(|group| str::from_utf8(group).unwrap());
    [head].into_iter().chain(tail).collect::<Vec<_>>().join(",")
}

#[test]
fn the_page_of_the_data_directory_says_what_the_catalogue_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/README.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (mut datasets, mut archives) = (0, 0);
    for row in rows(&page) {
        if let [name, images, shape, classes, folder] = row[..] {
            datasets += 1;
            let kind: DatasetKind = name.trim_matches('`').parse().unwrap();
            let info = kind.info();
            let [train, test] = [info.train_images, info.test_images].map(|count| grouped(count as u64));
            assert_eq!(images, format!("{train} / {test}"), "{kind}");
            assert_eq!(shape, info.shape.map(|length| length.to_string()).join("×"), "{kind}");
            assert_eq!(
                classes.split(' ').next(),
                Some(kind.classes().to_string().as_str()),
                "{kind}"
            );
            let expected = match info.directory {
                "" => "none: part of the program".to_owned(),
                directory => format!("`{directory}`"),
            };
            assert_eq!(folder, expected, "{kind}");
        }
        if let [file, bytes, md5] = row[..] {
            archives += 1;
            // Equal names are told apart by the title in front.
            let (title, name) = file.trim_end_matches('`').split_once('`').unwrap();
            let known = |info: &scn_data::DatasetInfo| {
                (title.is_empty() || title.trim() == info.title)
                    && info.archives.iter().any(|archive| {
                        (archive.name, grouped(archive.bytes).as_str(), archive.md5)
                            == (name, bytes, md5.trim_matches('`'))
                    })
            };
            assert!(DatasetKind::ALL.iter().any(|kind| known(kind.info())), "{row:?}");
        }
    }
    assert!(
        datasets >= 6 && archives >= 11,
        "{datasets} datasets and {archives} downloads"
    );
}
