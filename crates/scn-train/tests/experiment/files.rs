//! Files that are no experiments, and where errors point.

use std::path::Path;

use scn_train::{Experiment, ExperimentError, Place};

use crate::common::{data, experiment, load, message, model, refused, top};

#[test]
fn files_that_are_not_toml_and_numbers_too_large() {
    refused(&[
        (
            top("seed = "),
            &[],
            "x.toml:1:8: string values must be quoted, expected literal string",
        ),
        (top("seed = 1\nseed = 2"), &[], "x.toml:2:1: duplicate key"),
        (model("[data]\nbatch_size = 3"), &[], "x.toml:5:2: duplicate key"),
        (
            "[data\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:6: unclosed table, expected `]`",
        ),
        (
            "name = \"ü\", seed = 1\n".to_owned(),
            &[],
            "x.toml:1:11: unexpected key or value, expected newline, `#`",
        ),
        (
            top("seed = 9223372036854775808"),
            &[],
            "x.toml:1:8: seed: found 9223372036854775808; expected a whole number from 0 to 9223372036854775807",
        ),
        (
            data("batch_size = 99999999999999999999"),
            &[],
            "x.toml:3:14: data.batch_size: found 99999999999999999999; expected a whole number from 2 to 1000000",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, 99999999999999999999]"),
            &[],
            "x.toml:7:19: train.schedule.milestones[1]: found 99999999999999999999; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
    ]);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = |path: &Path| Experiment::load(path, &[]).expect_err("a refusal").to_string();
    let absent = folder.path().join("absent.toml");
    let expected = format!("{}: cannot read the experiment file: No such file", absent.display());
    assert!(refusal(&absent).starts_with(&expected), "{}", refusal(&absent));
    let expected = format!(
        "{}: cannot read the experiment file: Is a directory",
        folder.path().display()
    );
    assert!(
        refusal(folder.path()).starts_with(&expected),
        "{}",
        refusal(folder.path())
    );
    assert_eq!(
        message(b"seed = 1\nname = \"\xff\"\n", &[]),
        "x.toml:2:9: the experiment file is not UTF-8 text"
    );
}

#[test]
fn errors_carry_their_place_and_values() {
    let error = load(model("[train]\nepochs = 0"), &[]).expect_err("a refusal");
    let ExperimentError::Value { place, key, found, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(
            *place,
            Place::File {
                line: 6,
                column: 10,
                ..
            }
        ),
        "{place:?}"
    );
    assert_eq!((key.as_str(), found.as_str()), ("train.epochs", "0"));

    let mut made = experiment(&model(""), &[]);
    assert!(made.validate().is_ok());
    made.train.optimizer.momentum = f64::NAN;
    let refusal = made.validate().expect_err("a refusal").to_string();
    assert_eq!(
        refusal,
        "train.optimizer.momentum: found NaN; expected a number from 0 to below 1"
    );
    made.seed = u64::MAX;
    let refusal = made.validate().expect_err("a refusal").to_string();
    assert!(
        refusal.starts_with("seed: found 18446744073709551615; expected"),
        "{refusal}"
    );
}
