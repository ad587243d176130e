//! `scn data`: every dataset is listed, and every file is checked.

use serde_json::{Value, json};

use crate::common::{assert_contains, refused, succeed, succeed_json, text};

#[test]
fn data_list_knows_every_dataset() {
    let printed = succeed(&["data", "list"]);
    let report = succeed_json(&["data", "list", "--json"]);
    let datasets = report["datasets"].as_array().unwrap();
    let names: Vec<_> = datasets
        .iter()
        .map(|dataset| dataset["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["cifar10", "cifar100", "mnist", "fashion-mnist", "stl10", "digits"]
    );
    assert_contains(&printed, &names);
    assert_contains(&printed, &["50,000", "3×96×96", "stl10_binary", "part of the program"]);
    for dataset in datasets {
        assert_eq!(dataset["classes"], dataset["class_names"].as_array().unwrap().len());
        assert_eq!(dataset["directory"].is_null(), dataset["name"] == "digits");
        if let Some(directory) = dataset["directory"].as_str() {
            assert_contains(&printed, &[directory, dataset["fetch"].as_str().unwrap()]);
        }
    }
}

#[test]
fn data_verify_reports_every_file() {
    assert_contains(&succeed(&["data", "verify", "digits"]), &["digits: whole"]);
    let absent = ["data", "verify", "digits", "mnist", "--dir", "absent"];
    let printed = refused(&absent, 3, &["absent does not exist", "not whole: mnist"]);
    assert_eq!(printed, "digits: whole, part of the program\nmnist: not whole\n");
    refused(&["data", "verify", "imagenet"], 2, &["choose one of cifar10"]);
    refused(&["data", "verify"], 2, &["DATASET"]);

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("cifar-10-batches-bin")).unwrap();
    std::fs::write(folder.path().join("cifar-10-batches-bin/data_batch_1.bin"), [0; 1000]).unwrap();
    std::fs::write(folder.path().join("cifar-10-binary.tar.gz"), "abc").unwrap();
    let args = ["data", "verify", "cifar10", "digits", "--dir", text(folder.path())];
    let printed = refused(&args, 3, &["not whole: cifar10"]);
    assert_contains(
        &printed,
        &["cifar10: not whole", "holds 1000 bytes", "no file data_batch_5.bin"],
    );
    assert_contains(&printed, &["damaged or not the official download", "digits: whole"]);
    let report: Value = serde_json::from_str(&refused(&[&args[..], &["--json"]].concat(), 3, &[])).unwrap();
    assert_eq!(report["whole"], false);
    let [cifar10, digits] = &report["datasets"].as_array().unwrap()[..] else {
        panic!("{report}")
    };
    assert_eq!((&cifar10["whole"], &digits["whole"]), (&json!(false), &json!(true)));
    assert_eq!(cifar10["files"].as_array().unwrap().len(), 6);
    assert_contains(cifar10["files"][0]["problem"].as_str().unwrap(), &["holds 1000 bytes"]);
    assert_eq!(cifar10["archives"][0]["official"], false);
}
