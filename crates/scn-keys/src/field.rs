//! What is known of the keys of a table.

/// The default of keys that have none.
pub const REQUIRED: &str = "(required)";

/// A key or a table below a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means: the doc comment.
    pub doc: &'static str,
    /// The kinds of its table that have it; empty: all.
    pub kinds: Vec<&'static str>,
    /// What it is.
    pub content: Content,
}

/// A value or a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A value.
    Value {
        /// What it may be, names in backticks.
        expected: String,
        /// Its default: a TOML value, or words in parentheses, [`REQUIRED`] where there is none.
        default: String,
        /// Whether every kind that has the key may leave it without a value.
        unset: bool,
    },
    /// A table, with what is in it.
    Table(Vec<Field>),
}

/// A key with everything that is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The dotted key.
    pub path: String,
    /// What it does.
    pub doc: &'static str,
    /// What its value may be, names in backticks.
    pub expected: String,
    /// Its default: a TOML value, or words in parentheses, [`REQUIRED`] where there is none.
    pub default: String,
    /// Whether it may be without a value.
    pub unset: bool,
    /// The kinds of the table of kinds around it that have it; empty: all.
    pub kinds: Vec<&'static str>,
}

impl KeyInfo {
    /// Whether files have to have it.
    pub fn is_required(&self) -> bool {
        self.default == REQUIRED && self.kinds.is_empty()
    }
}

/// The keys of a table and of those below, in order.
pub fn keys(fields: &[Field]) -> Vec<KeyInfo> {
    let mut found = Vec::new();
    collect(fields, "", &[], &mut found);
    found
}

fn collect(fields: &[Field], table: &str, kinds: &[&'static str], found: &mut Vec<KeyInfo>) {
    for field in fields {
        let path = crate::join(table, field.name);
        let kinds = if field.kinds.is_empty() { kinds } else { &field.kinds };
        match &field.content {
            Content::Table(fields) => collect(fields, &path, kinds, found),
            Content::Value {
                expected,
                default,
                unset,
            } => found.push(KeyInfo {
                path,
                doc: field.doc,
                expected: expected.clone(),
                default: default.clone(),
                unset: *unset,
                kinds: kinds.to_vec(),
            }),
        }
    }
}
