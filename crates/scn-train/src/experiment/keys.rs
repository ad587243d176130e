//! Every key of an experiment file, in the order in which files are written. What is told of them stands at the fields
//! of the structs.

use std::sync::LazyLock;

use scn_keys::{Content, Field, KeyInfo, Table};

use super::Experiment;

static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(Experiment::fields);
static KEYS: LazyLock<Vec<KeyInfo>> = LazyLock::new(|| scn_keys::keys(&FIELDS));

/// Every key there is.
pub fn keys() -> &'static [KeyInfo] {
    &KEYS
}

/// What is known of a key, or of the list around an element such as `train.schedule.milestones[1]`.
pub(super) fn info(path: &str) -> Option<&'static KeyInfo> {
    let path = path.split('[').next().unwrap_or(path);
    KEYS.iter().find(|key| key.path == path)
}

/// What a key's value may be; what is no key is a table.
pub(super) fn expected(path: &str) -> &'static str {
    info(path).map_or("a table", |key| &key.expected)
}

/// The names in backticks among what is expected.
pub(super) fn names(expected: &str) -> impl Iterator<Item = &str> {
    expected.split('`').skip(1).step_by(2)
}

/// What lies right below a table, in order; empty where there is no such table.
pub(super) fn below(table: &str) -> &'static [Field] {
    let mut fields: &[Field] = &FIELDS;
    for name in table.split('.').filter(|name| !name.is_empty()) {
        let field = fields.iter().find(|field| field.name == name);
        let Some(Content::Table(inner)) = field.map(|field| &field.content) else {
            return &[];
        };
        fields = inner;
    }
    fields
}

/// The names right below a table, in order; empty where there is no such table.
pub(super) fn children(table: &str) -> Vec<&'static str> {
    below(table).iter().map(|field| field.name).collect()
}
