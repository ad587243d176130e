//! What the tests share.

use std::fs;
use std::path::Path;

use scn_train::{Experiment, Loaded};

const SMALL: &str = r#"
name = "small"
[data]
dataset = "digits"
batch_size = 16
validation = 40
train_images = 64
test_images = 60
[model]
kind = "scn"
first_width = 4
[train]
epochs = 3
"#;

/// A small experiment on the digits.
pub fn small(overrides: &[&str]) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    fs::write(&path, SMALL).unwrap();
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    Experiment::load(&path, &overrides).unwrap()
}

/// The message of an error, without the temporary folder.
pub fn message(error: impl std::fmt::Display, folder: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", folder.display()), "")
        .replace(&folder.display().to_string(), ".")
}

/// Asserts that a message has all the parts.
#[track_caller]
pub fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
