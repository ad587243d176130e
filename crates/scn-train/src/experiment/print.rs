//! An experiment written out in full.

use scn_keys::REQUIRED;
use toml::Table;

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
        // Any other key without a value belongs to another kind of table.
        if value.is_none() && !key.unset {
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
