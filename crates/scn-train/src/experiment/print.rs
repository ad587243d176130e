//! An experiment written out in full.

use scn_keys::{KeyInfo, REQUIRED};
use toml::{Table, Value};

use super::load::{ExperimentFile, lookup};

/// The experiment file that says everything: every key with its value, its meaning and its default. Keys that are not set
/// are comments; keys of other kinds of tables are left out. It loads to the same experiment.
///
/// # Panics
/// If a value is too large for TOML, a seed beyond 2⁶³ − 1 for one: [`ExperimentFile::validate`] refuses those.
pub fn resolved_toml<E: ExperimentFile>(experiment: &E) -> String {
    let values = values(experiment);
    let mut text = String::new();
    let mut table = "";
    for key in E::schema().keys() {
        let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        let value = lookup(&values, &key.path);
        if value.is_none() && !(key.unset && belongs(key, &values)) {
            continue;
        }
        if parent != table {
            text.push_str(&format!("\n[{parent}]\n"));
            table = parent;
        }
        let default = match key.default.as_str() {
            REQUIRED => "Required.".to_owned(),
            default => format!("Default: {}.", default.trim_matches(['(', ')'])),
        };
        text.push_str(&format!("# {} {default}\n", key.doc));
        match value {
            Some(value) => text.push_str(&format!("{name} = {value}\n")),
            None => text.push_str(&format!("# {name} is not set\n")),
        }
    }
    text
}

/// Every value with its key.
pub(super) fn values<E: ExperimentFile>(experiment: &E) -> Table {
    experiment.clone().with_defaults().write_table()
}

/// Whether the kind that the table of kinds around a key says has it.
fn belongs(key: &KeyInfo, values: &Table) -> bool {
    let around = key
        .path
        .match_indices('.')
        .map(|(end, _)| format!("{}.kind", &key.path[..end]));
    let kind = around.filter_map(|kind| lookup(values, &kind)).next_back();
    key.kinds.is_empty()
        || kind
            .and_then(Value::as_str)
            .is_some_and(|kind| key.kinds.contains(&kind))
}
