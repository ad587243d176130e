//! Where the keys of an experiment stand: in the file, or in which override.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use scn_keys::Foreign;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ExperimentError, Place};
use super::load::{ExperimentFile, foreign};

/// The places of all keys, and refusals that name them. The default knows of no place: an experiment made by a program.
#[derive(Debug, Default)]
pub struct Places {
    source: Option<Source>,
    overrides: Vec<(String, String)>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// Where key and value of each dotted key begin; of a list's elements only the value.
    keys: HashMap<String, [usize; 2]>,
    /// Keys and digits of whole numbers that no value of TOML holds.
    too_large: Vec<(String, String)>,
}

impl Places {
    pub(crate) fn new(path: &Path, text: &str, table: &DeTable<'_>) -> Self {
        let mut source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
            keys: HashMap::new(),
            too_large: Vec::new(),
        };
        source.record_table("", table);
        Self {
            source: Some(source),
            overrides: Vec::new(),
        }
    }

    pub(crate) fn push_override(&mut self, key: &str, argument: &str) {
        self.overrides.push((key.to_owned(), argument.to_owned()));
    }

    /// The place of a key, for unknown keys.
    pub(crate) fn key(&self, key: &str) -> Box<Place> {
        self.find(key, |[key, _]| *key)
    }

    /// The place of a key's value; where the key is absent, that of the innermost table around it.
    pub fn value(&self, key: &str) -> Box<Place> {
        self.find(key, |[_, value]| *value)
    }

    /// Refuses the first value that is out of the range of its key.
    ///
    /// # Errors
    /// [`ExperimentError::Value`].
    pub fn refuse_out_of_range<E: ExperimentFile>(&self, experiment: &E) -> Result<(), ExperimentError> {
        match experiment.out_of_range().into_iter().next() {
            None => Ok(()),
            Some(wrong) => Err(ExperimentError::Value {
                place: self.value(&wrong.path),
                expected: E::schema().expected(&wrong.path),
                key: wrong.path,
                found: wrong.found,
                suggestion: None,
            }),
        }
    }

    /// Refuses a key of other kinds of the table that it lies in, whose kind is the value of the key `kinds`.
    ///
    /// # Errors
    /// [`ExperimentError::Conflict`].
    pub fn refuse_foreign(
        &self,
        table: &str,
        kinds: &str,
        kind: &str,
        key: Option<Foreign>,
    ) -> Result<(), ExperimentError> {
        match key {
            None => Ok(()),
            Some(key) => {
                let path = join(table, key.name);
                Err(foreign(&path, kinds, kind, &key.owners, &key.found, self))
            }
        }
    }

    /// Refuses a value that does not go with another, unless it is `allowed`.
    ///
    /// # Errors
    /// [`ExperimentError::Conflict`].
    pub fn fits(
        &self,
        key: &str,
        found: impl Display,
        allowed: bool,
        with: &str,
        expected: impl FnOnce() -> String,
    ) -> Result<(), ExperimentError> {
        if allowed {
            Ok(())
        } else {
            Err(self.conflict(key, found.to_string(), with, expected()))
        }
    }

    /// The error of a value that does not go with another.
    pub fn conflict(&self, key: &str, found: String, with: &str, expected: String) -> ExperimentError {
        ExperimentError::Conflict {
            place: self.value(key),
            key: key.to_owned(),
            found,
            with: with.to_owned(),
            expected,
        }
    }

    /// Sorts keys as they stand in the file, those of overrides last.
    pub(crate) fn order(&self, key: &str) -> usize {
        let source = self.source.as_ref().and_then(|source| source.keys.get(key));
        source.map_or(usize::MAX, |[key, _]| *key)
    }

    /// The first whole number of the file that is too large, with its key.
    pub(crate) fn too_large(&self) -> Option<(&str, &str)> {
        let numbers = &self.source.as_ref()?.too_large;
        let first = numbers.iter().min_by_key(|(key, _)| self.order(key));
        first.map(|(key, digits)| (key.as_str(), digits.as_str()))
    }

    fn find(&self, key: &str, offset: impl Fn(&[usize; 2]) -> usize) -> Box<Place> {
        // The last override of the key or of a table around it holds; one inside the key, such as
        // `trian.epochs=1` for `trian`, made the key if the file does not have it.
        let outside = self.overrides.iter().rev().find(|(path, _)| is_within(key, path));
        if let Some((_, argument)) = outside {
            return Box::new(Place::Override(argument.clone()));
        }
        let Some(source) = &self.source else {
            return Box::new(Place::Program);
        };
        if let Some(span) = source.keys.get(key) {
            return Box::new(position(&source.path, &source.text, offset(span)));
        }
        let inside = self.overrides.iter().rev().find(|(path, _)| is_within(path, key));
        if let Some((_, argument)) = inside {
            return Box::new(Place::Override(argument.clone()));
        }
        let around = ancestors(key).find_map(|table| source.keys.get(table));
        Box::new(position(&source.path, &source.text, around.map_or(0, |[key, _]| *key)))
    }
}

impl Source {
    fn record_table(&mut self, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            self.record(join(path, name.get_ref()), name.span().start, value);
        }
    }

    fn record(&mut self, path: String, key: usize, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.record_table(&path, table),
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    self.record(format!("{path}[{index}]"), element.span().start, element);
                }
            }
            DeValue::Integer(number) if i64::from_str_radix(number.as_str(), number.radix()).is_err() => {
                self.too_large.push((path.clone(), number.as_str().to_owned()));
            }
            _ => {}
        }
        self.keys.insert(path, [key, value.span().start]);
    }
}

/// The line and column of a byte of the text; the end where it lies outside.
pub(crate) fn position(path: &Path, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::File {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The dotted key of `name` in a table, quoted where TOML asks for it.
pub(crate) fn join(table: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if table.is_empty() {
        name
    } else {
        format!("{table}.{name}")
    }
}

/// Whether `key` is `table` or lies in it.
fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The list or tables around a key, innermost first.
fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    key.rmatch_indices(['.', '[']).map(|(end, _)| &key[..end])
}
