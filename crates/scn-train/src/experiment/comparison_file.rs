//! The comparison file: a list of experiment files.

use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::error::ExperimentError;
use super::load::{quote, read, syntax};
use super::places::{Places, join};

const KEY: &str = "experiments";
const EXPECTED: &str = "a list of at least one experiment file, each a path relative to this file";

/// The experiment files that the comparison file in `path` lists, or `None` for another file: a comparison file has
/// the key `experiments`, and no other.
///
/// # Errors
/// [`ExperimentError`] with line and column in the file; the files that it lists are not looked at.
pub fn compared_experiments(path: &Path) -> Result<Option<Vec<PathBuf>>, ExperimentError> {
    let source = read(path)?;
    let syntax = |error| syntax(path, &source, &error);
    let parsed = DeTable::parse(&source).map_err(syntax)?;
    if !parsed.get_ref().contains_key(KEY) {
        return Ok(None);
    }
    let places = Places::new(path, &source, parsed.get_ref());
    let table: Table = toml::from_str(&source).map_err(syntax)?;
    let others = table.keys().filter(|name| *name != KEY).map(|name| join("", name));
    if let Some(key) = others.min_by_key(|key| places.order(key)) {
        return Err(ExperimentError::UnknownKey {
            place: places.key(&key),
            expected: format!("`{KEY}` alone, which makes this a comparison file"),
            suggestion: None,
            key,
        });
    }
    let wrong = |key: &str, value: &Value| ExperimentError::Value {
        place: places.value(key),
        key: key.to_owned(),
        found: quote(value),
        expected: EXPECTED,
        suggestion: None,
    };
    let list = &table[KEY];
    let Some(files) = list.as_array().filter(|files| !files.is_empty()) else {
        return Err(wrong(KEY, list));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = |(index, value): (usize, &Value)| match value.as_str() {
        Some(file) if !file.is_empty() => Ok(folder.join(file)),
        _ => Err(wrong(&format!("{KEY}[{index}]"), value)),
    };
    let files: Result<_, _> = files.iter().enumerate().map(file).collect();
    files.map(Some)
}
