//! From a file and overrides to a checked experiment.

use std::fs;
use std::path::Path;

use toml::de::{DeTable, Error as TomlError};
use toml::{Table, Value};

use scn_keys::{Problem, Wrong};

use super::error::ExperimentError;
use super::keys::{Schema, names};
use super::places::{Places, join, position};
use super::{Experiment, suggestion};

/// Longest value quoted in a message, in characters.
const QUOTED: usize = 60;

/// An experiment and the file it was loaded from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<E = Experiment> {
    /// The experiment, checked, overrides applied and every default written out.
    pub experiment: E,
    /// The text of the file, as it is.
    pub source: String,
}

/// A kind of experiment file. Its keys are stated by [`scn_keys`], and this is what they say no more than together.
pub trait ExperimentFile: scn_keys::Table + Clone + PartialEq {
    /// Its keys.
    fn schema() -> &'static Schema;

    /// The key `name`, which is empty where the file's own name is to be taken.
    fn name_mut(&mut self) -> &mut String;

    /// Refuses what no build took.
    ///
    /// # Errors
    /// [`ExperimentError::Value`] and [`ExperimentError::Conflict`] with the key.
    fn check(&self, places: &Places) -> Result<(), ExperimentError>;

    /// Refuses values that change nothing, or that cannot be meant. A default that is written out says no more than one
    /// that is not: experiments that are written in full load.
    ///
    /// # Errors
    /// As [`ExperimentFile::check`].
    fn check_effects(&self, places: &Places) -> Result<(), ExperimentError>;

    /// The experiment with every default written out that depends on other values.
    #[must_use]
    fn with_defaults(self) -> Self;

    /// The experiment without values that change nothing; older builds took them.
    #[must_use]
    fn without_unused(self) -> Self;

    /// Whether a key says where and how long a run is worked on, and not what comes of it.
    fn is_of_the_machine(key: &str) -> bool;

    /// Loads an experiment file. Each override is `key=value` with a dotted key; the value is TOML, or a text that is
    /// not TOML and stands for itself (`run.device=cpu`). Later overrides win.
    ///
    /// # Errors
    /// [`ExperimentError`] with the key and its line and column in the file, or the override.
    fn load(path: &Path, overrides: &[String]) -> Result<Loaded<Self>, ExperimentError> {
        let (loaded, places) = load_any::<Self>(path, overrides)?;
        loaded.experiment.check_effects(&places)?;
        Ok(loaded)
    }

    /// As [`ExperimentFile::load`], for an experiment that a run was started with: what changes nothing, and what older
    /// builds took although it could not be meant, is no reason to lose the run. Values that change nothing become
    /// their defaults.
    ///
    /// # Errors
    /// As [`ExperimentFile::load`].
    fn load_started(path: &Path, overrides: &[String]) -> Result<Loaded<Self>, ExperimentError> {
        let (loaded, _) = load_any::<Self>(path, overrides)?;
        let experiment = loaded.experiment.without_unused();
        Ok(Loaded { experiment, ..loaded })
    }

    /// Checks every value and what goes together; [`ExperimentFile::load`] has done so.
    ///
    /// # Errors
    /// As [`ExperimentFile::check`].
    fn validate(&self) -> Result<(), ExperimentError> {
        self.check(&Places::default())?;
        self.check_effects(&Places::default())
    }
}

fn load_any<E: ExperimentFile>(path: &Path, overrides: &[String]) -> Result<(Loaded<E>, Places), ExperimentError> {
    let schema = E::schema();
    let source = read(path)?;
    let syntax = |error| syntax(path, &source, &error);
    let mut places = Places::new(path, &source, DeTable::parse(&source).map_err(syntax)?.get_ref());
    if let Some((key, digits)) = places.too_large()
        && schema.info(key).is_some()
    {
        return Err(ExperimentError::Value {
            place: places.value(key),
            key: key.to_owned(),
            found: digits.to_owned(),
            expected: schema.expected(key),
            suggestion: None,
        });
    }
    let mut table: Table = toml::from_str(&source).map_err(syntax)?;
    for argument in overrides {
        apply(argument, &mut table, &mut places)?;
    }
    refuse_unknown_keys(schema, &table, &places)?;
    refuse_missing_keys(schema, &table, &places)?;

    let mut experiment = E::read_table(&table).map_err(|wrong| unreadable(schema, wrong, &table, &places))?;
    if !table.contains_key("name") {
        *experiment.name_mut() = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    experiment.check(&places)?;
    let experiment = experiment.with_defaults();
    Ok((Loaded { experiment, source }, places))
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, ExperimentError> {
    let bytes = fs::read(path).map_err(|source| ExperimentError::Read {
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        ExperimentError::NotText {
            place: Box::new(position(path, &text, text.len())),
        }
    })
}

/// The error of a text that is not TOML.
pub(super) fn syntax(path: &Path, source: &str, error: &TomlError) -> ExperimentError {
    let offset = error.span().map_or(source.len(), |span| span.start);
    ExperimentError::Syntax {
        place: Box::new(position(path, source, offset)),
        message: one_line(error.message()),
    }
}

/// Puts an override into the table.
fn apply(argument: &str, table: &mut Table, places: &mut Places) -> Result<(), ExperimentError> {
    let form = || ExperimentError::OverrideForm {
        argument: argument.to_owned(),
    };
    let (key, text) = argument.split_once('=').ok_or_else(form)?;
    let (key, text) = (key.trim(), text.trim());
    let bare = |name: &str| !name.is_empty() && join("", name) == name;
    if text.is_empty() || !key.split('.').all(bare) {
        return Err(form());
    }
    let value = match text.parse::<Value>() {
        Ok(value) => value,
        // What begins like TOML was meant as TOML.
        Err(error) if text.starts_with(['[', '{', '"', '\'']) => {
            let message = one_line(error.message());
            return Err(ExperimentError::OverrideValue {
                argument: argument.to_owned(),
                message,
            });
        }
        Err(_) => Value::String(text.to_owned()),
    };

    places.push_override(key, argument);
    let (tables, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut inner = table;
    let mut path = String::new();
    for name in tables.split('.').filter(|name| !name.is_empty()) {
        path = join(&path, name);
        let entry = inner.entry(name).or_insert_with(|| Value::Table(Table::new()));
        let found = quote(entry);
        inner = entry.as_table_mut().ok_or_else(|| ExperimentError::Conflict {
            place: places.value(key),
            key: path.clone(),
            found,
            with: "a key below it is set".to_owned(),
            expected: "a table".to_owned(),
        })?;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}

/// Refuses the first key of the file that does not exist.
fn refuse_unknown_keys(schema: &Schema, table: &Table, places: &Places) -> Result<(), ExperimentError> {
    let mut unknown = Vec::new();
    collect_unknown_keys(schema, table, "", &mut unknown);
    let Some((table, name)) = unknown
        .into_iter()
        .min_by_key(|(table, name)| places.order(&join(table, name)))
    else {
        return Ok(());
    };
    let key = join(&table, &name);
    Err(ExperimentError::UnknownKey {
        place: places.key(&key),
        expected: format!("one of `{}`", schema.children(&table).join("`, `")),
        suggestion: suggestion::key(schema, &table, &name),
        key,
    })
}

fn collect_unknown_keys(schema: &Schema, table: &Table, path: &str, unknown: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = join(path, name);
        if schema.info(&key).is_some() {
            continue;
        }
        if schema.children(&key).is_empty() {
            unknown.push((path.to_owned(), name.clone()));
        } else if let Value::Table(inner) = value {
            collect_unknown_keys(schema, inner, &key, unknown);
        }
    }
}

fn refuse_missing_keys(schema: &'static Schema, root: &Table, places: &Places) -> Result<(), ExperimentError> {
    let required = schema.keys().iter().filter(|key| key.is_required());
    for (table, key) in required.filter_map(|key| key.path.rsplit_once('.')) {
        let present = root
            .get(table)
            .is_some_and(|value| value.get(key).is_some() || !value.is_table());
        if !present {
            let expected = schema.expected(&format!("{table}.{key}"));
            return Err(ExperimentError::Missing {
                place: places.key(table),
                table,
                key,
                expected,
            });
        }
    }
    Ok(())
}

/// The error of a value that does not fit its field, or of a key that does not belong to the kind of its table.
fn unreadable(
    schema: &'static Schema,
    Wrong { path, problem }: Wrong,
    table: &Table,
    places: &Places,
) -> ExperimentError {
    if let Problem::Foreign { kind, owners, found } = problem {
        let kinds = path
            .rsplit_once('.')
            .map_or_else(|| "kind".to_owned(), |(table, _)| format!("{table}.kind"));
        return foreign(&path, &kinds, kind, &owners, &found, places);
    }
    let found = lookup(table, &path);
    let expected = schema.expected(&path);
    let name = found.and_then(Value::as_str);
    ExperimentError::Value {
        place: places.value(&path),
        found: found.map_or_else(|| "nothing".to_owned(), quote),
        expected,
        suggestion: name
            .and_then(|name| suggestion::value(name, names(expected)))
            .map(str::to_owned),
        key: path,
    }
}

/// The error of a key that belongs to other kinds of its table than the key `kinds` says.
pub(super) fn foreign(
    key: &str,
    kinds: &str,
    kind: &str,
    owners: &[&str],
    found: &Value,
    places: &Places,
) -> ExperimentError {
    let owners: Vec<_> = owners.iter().map(|owner| format!("\"{owner}\"")).collect();
    ExperimentError::Conflict {
        place: places.value(key),
        key: key.to_owned(),
        found: quote(found),
        with: format!("{kinds} is \"{kind}\""),
        expected: format!("it with {kinds} = {} only", owners.join(" or ")),
    }
}

/// The value at a path such as `train.schedule.milestones[1]`.
pub(super) fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut segments = path.split(['.', '[']).map(|segment| segment.trim_end_matches(']'));
    let first = table.get(segments.next()?)?;
    segments.try_fold(first, |value, segment| match value {
        Value::Array(array) => array.get(segment.parse::<usize>().ok()?),
        _ => value.get(segment),
    })
}

/// A value for a message, in short.
pub(super) fn quote(value: &Value) -> String {
    let text = one_line(&value.to_string());
    if text.chars().count() <= QUOTED {
        return text;
    }
    if value.is_table() {
        return "a table".to_owned();
    }
    let head: String = text.chars().take(QUOTED).collect();
    format!("{head}…")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
