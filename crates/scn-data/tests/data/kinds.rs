//! Names and facts of the datasets.

use scn_data::{Content, DataError, DatasetKind, Split};

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
    assert!(matches!(&error, DataError::UnknownDataset { name } if name == "cifar-10"));
    assert_eq!(
        error.to_string(),
        "there is no dataset \"cifar-10\": choose one of cifar10, cifar100, mnist, fashion-mnist, stl10, digits"
    );
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
    assert_eq!(DatasetKind::ALL.map(DatasetKind::classes), [10, 100, 10, 10, 10, 10]);
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
