//! Every key of an experiment file of one kind, in the order in which files are written. What is told of them stands at the fields
//! of the structs.

use std::sync::LazyLock;

use scn_keys::{Content, Field, KeyInfo, Table};

use super::Experiment;

/// The keys of a kind of experiment file.
#[derive(Debug)]
pub struct Schema {
    fields: Vec<Field>,
    keys: Vec<KeyInfo>,
}

/// Those of [`Experiment`].
pub(super) static EXPERIMENT: LazyLock<Schema> = LazyLock::new(Schema::of::<Experiment>);

/// Every key of an [`Experiment`].
pub fn keys() -> &'static [KeyInfo] {
    &EXPERIMENT.keys
}

impl Schema {
    /// Of a table.
    pub fn of<T: Table>() -> Self {
        let fields = T::fields();
        let keys = scn_keys::keys(&fields);
        Self { fields, keys }
    }

    /// Every key there is.
    pub fn keys(&self) -> &[KeyInfo] {
        &self.keys
    }

    /// What is known of a key, or of the list around an element such as `train.schedule.milestones[1]`.
    pub(super) fn info(&self, path: &str) -> Option<&KeyInfo> {
        let path = path.split('[').next().unwrap_or(path);
        self.keys.iter().find(|key| key.path == path)
    }

    /// What a key's value may be; what is no key is a table.
    pub fn expected(&self, path: &str) -> &str {
        self.info(path).map_or("a table", |key| &key.expected)
    }

    /// What lies right below a table, in order; empty where there is no such table.
    pub(super) fn below(&self, table: &str) -> &[Field] {
        let mut fields: &[Field] = &self.fields;
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
    pub(super) fn children(&self, table: &str) -> Vec<&'static str> {
        self.below(table).iter().map(|field| field.name).collect()
    }
}

/// The names in backticks among what is expected.
pub(super) fn names(expected: &str) -> impl Iterator<Item = &str> {
    expected.split('`').skip(1).step_by(2)
}
