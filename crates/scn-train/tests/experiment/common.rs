//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};

use scn_data::DatasetKind;
use scn_models::ModelKind;
use scn_train::{Experiment, ExperimentError, Loaded, keys};

/// The shortest experiment, with more lines before it.
pub fn top(lines: &str) -> String {
    format!("{lines}\n{}", model(""))
}

/// The shortest experiment, with more lines in its table `data`.
pub fn data(lines: &str) -> String {
    format!("[data]\ndataset = \"cifar10\"\n{lines}\n[model]\nkind = \"scn\"\n")
}

/// The shortest experiment, with more lines in its table `model`, which is the last.
pub fn model(lines: &str) -> String {
    format!("[data]\ndataset = \"cifar10\"\n[model]\nkind = \"scn\"\n{lines}\n")
}

pub fn load(text: impl AsRef<[u8]>, overrides: &[&str]) -> Result<Loaded, ExperimentError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.toml");
    fs::write(&path, text).expect("a temporary file");
    let overrides: Vec<String> = overrides.iter().map(|&argument| argument.to_owned()).collect();
    Experiment::load(&path, &overrides)
}

pub fn experiment(text: &str, overrides: &[&str]) -> Experiment {
    load(text, overrides)
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .experiment
}

/// The message of a refusal, the temporary folder taken out.
pub fn message(text: impl AsRef<[u8]>, overrides: &[&str]) -> String {
    let message = load(text, overrides).expect_err("a refusal").to_string();
    match message.find("x.toml") {
        Some(start) => message[start..].to_owned(),
        None => message,
    }
}

/// Asserts the messages of refusals. In an expected one `{kinds}` and `{datasets}` stand for the names that there are,
/// `{below TABLE}` for the keys of a table; docs/keys.md has them all.
pub fn refused(rows: &[(String, &[&str], &str)]) {
    let kinds: Vec<_> = ModelKind::all().into_iter().map(ModelKind::name).collect();
    let quoted = |names: &[&str]| format!("`{}`", names.join("`, `"));
    for (text, overrides, expected) in rows {
        let mut expected = expected
            .replace("{kinds}", &quoted(&kinds))
            .replace("{datasets}", &quoted(&DatasetKind::ALL.map(DatasetKind::name)));
        if let Some((before, rest)) = expected.split_once("{below") {
            let (table, after) = rest.split_once('}').expect("a closing brace");
            expected = format!("{before}{}{after}", quoted(&below(table.trim())));
        }
        assert_eq!(message(text, overrides), expected, "\n{text}{overrides:?}");
    }
}

/// The names right below a table.
fn below(table: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for key in keys() {
        let rest = match table {
            "" => Some(key.path.as_str()),
            table => key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')),
        };
        let name = rest.and_then(|rest| rest.split('.').next());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// Every key with its value.
pub fn leaves(path: &str, table: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match value {
            toml::Value::Table(inner) => found.extend(leaves(&path, inner)),
            value => found.push((path, value.clone())),
        }
    }
    found
}

/// The experiment files of the repository that train networks; `comparisons()` has the comparison files.
pub fn configs() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    let others = ["compare", "dictionary"];
    files.retain(|path| {
        path.parent()
            .is_none_or(|folder| !others.iter().any(|name| folder.ends_with(name)))
    });
    files.sort();
    files
}

/// The comparison files of the repository.
pub fn comparisons() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/compare");
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
