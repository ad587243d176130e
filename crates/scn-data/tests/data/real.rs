//! Real datasets, where this machine has them.

use std::path::Path;

use scn_data::{DatasetKind, MeanSubtraction, Normalization, Split, read, verify};

#[test]
fn fashion_mnist_of_the_debian_package() {
    let data_dir = Path::new("/usr/share/datasets");
    if !data_dir.join("fashion-mnist").exists() {
        println!("skipped: the Debian package dataset-fashion-mnist is not installed");
        return;
    }
    let train = read(DatasetKind::FashionMnist, Split::Train, data_dir).unwrap();
    let test = read(DatasetKind::FashionMnist, Split::Test, data_dir).unwrap();
    assert_eq!((train.count(), test.count()), (60_000, 10_000));
    assert_eq!(
        (train.class_counts(), test.class_counts()),
        (vec![6000; 10], vec![1000; 10])
    );
    // The published mean and deviation of the training set are 0.2860 and 0.3530.
    let normalization = Normalization::fit(&train, MeanSubtraction::PerChannel, true);
    assert!((normalization.mean()[0] - 0.2860).abs() < 1e-4);
    assert!((normalization.deviation()[0] - 0.3530).abs() < 1e-4);
    assert!(verify(DatasetKind::FashionMnist, data_dir).unwrap().is_whole());
}

#[test]
fn cifar10() {
    let Some(data_dir) = std::env::var_os("SCN_CIFAR10_DIR") else {
        println!("skipped: SCN_CIFAR10_DIR names no data directory");
        return;
    };
    let data_dir = Path::new(&data_dir);
    let train = read(DatasetKind::Cifar10, Split::Train, data_dir).unwrap();
    let test = read(DatasetKind::Cifar10, Split::Test, data_dir).unwrap();
    assert_eq!(
        (train.class_counts(), test.class_counts()),
        (vec![5000; 10], vec![1000; 10])
    );
    // The published channel means are 0.4914, 0.4822, 0.4465 and the deviations 0.2470, 0.2435, 0.2616.
    let normalization = Normalization::fit(&train, MeanSubtraction::PerChannel, true);
    for (found, published) in normalization.mean().iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((found - published).abs() < 2e-3, "mean {found}, published {published}");
    }
    for (found, published) in normalization.deviation().iter().zip([0.2470, 0.2435, 0.2616]) {
        assert!(
            (found - published).abs() < 2e-3,
            "deviation {found}, published {published}"
        );
    }
}
