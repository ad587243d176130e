//! Structs that are tables, and the macro that declares them.

use crate::field::{Content, Field, REQUIRED};
use crate::key::Key;
use crate::value::Value;
use crate::wrong::{Problem, Wrong};

/// Numbers from here on, and below its inverse, are written with an exponent.
const LARGE: f64 = 1e4;
const SMALL: f64 = 1e-3;

/// A struct that is a table; [`table!`](crate::table!) implements it.
pub trait Table: Sized {
    /// What is in it, in order.
    fn fields() -> Vec<Field>;

    /// Reads it; what is absent takes its default, and values may be out of range.
    ///
    /// # Errors
    /// [`Wrong`] for unknown and missing keys and values of another type.
    fn read_table(table: &toml::Table) -> Result<Self, Wrong>;

    /// Writes it.
    fn write_table(&self) -> toml::Table;

    /// Adds the keys whose values are out of their ranges, dotted behind `path`.
    fn check_table(&self, path: &str, found: &mut Vec<OutOfRange>);

    /// Gives the keys that belong to this kind of table only their defaults.
    fn fill(&mut self, kind: &str);

    /// The first key that has a value and belongs to other kinds of table.
    fn foreign(&self, kind: &str) -> Option<Foreign>;

    /// The keys whose values are out of their ranges.
    fn out_of_range(&self) -> Vec<OutOfRange> {
        let mut found = Vec::new();
        self.check_table("", &mut found);
        found
    }
}

/// A key whose value is out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The dotted key.
    pub path: String,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: String,
}

/// A key of other kinds of table.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// The key.
    pub name: &'static str,
    /// Its value.
    pub found: toml::Value,
    /// The kinds that have it.
    pub owners: Vec<&'static str>,
}

/// The dotted key of `name` in a table.
pub fn join(table: &str, name: &str) -> String {
    if table.is_empty() {
        name.to_owned()
    } else {
        format!("{table}.{name}")
    }
}

/// A key, described.
pub fn describe<T: Value>(name: &'static str, doc: &'static str, key: Key<T>) -> Field {
    let content = match T::inside() {
        Some(fields) => Content::Table(fields),
        None => Content::Value {
            expected: match &key.range {
                Some(range) => range.expected().to_owned(),
                None => T::expected(),
            },
            default: match (key.words, key.filled.or(key.initial).as_ref().and_then(T::write)) {
                (Some(words), _) => format!("({words})"),
                (None, Some(value)) => written(&value),
                (None, None) => REQUIRED.to_owned(),
            },
            unset: key.words.is_some() && T::is_optional(),
        },
    };
    Field {
        name,
        doc,
        kinds: key.kinds,
        content,
    }
}

/// A default as people write it.
fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(number) if *number != 0.0 && !(SMALL..LARGE).contains(&number.abs()) => {
            format!("{number:e}")
        }
        value => value.to_string(),
    }
}

/// Refuses the first key that is none of `names`.
pub fn refuse_unknown(table: &toml::Table, names: &[&str]) -> Result<(), Wrong> {
    match table.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(Wrong {
            path: key.clone(),
            problem: Problem::Unknown,
        }),
        None => Ok(()),
    }
}

/// The value of a key, or its default.
pub fn read<T: Value>(table: &toml::Table, name: &str, key: Key<T>) -> Result<T, Wrong> {
    match table.get(name) {
        Some(value) => T::read(value).map_err(|wrong| {
            // The range says more than the type.
            let problem = match (wrong.problem, &key.range) {
                (Problem::Type { .. }, Some(range)) => Problem::Type {
                    expected: range.expected().to_owned(),
                },
                (problem, _) => problem,
            };
            Wrong { problem, ..wrong }.below(name)
        }),
        None => key.initial.ok_or_else(|| Wrong {
            path: name.to_owned(),
            problem: Problem::Missing,
        }),
    }
}

/// Adds a key to a table unless it stays away.
pub fn write<T: Value>(table: &mut toml::Table, name: &str, value: &T) {
    if let Some(value) = value.write() {
        table.insert(name.to_owned(), value);
    }
}

/// Adds a key that is out of its range, and those below it.
pub fn check<T: Value>(value: &T, key: Key<T>, table: &str, name: &str, found: &mut Vec<OutOfRange>) {
    let path = join(table, name);
    if let (Some(range), Some(item)) = (&key.range, value.item())
        && !range.allows(item)
    {
        found.push(OutOfRange {
            path,
            found: value.shown(),
            expected: range.expected().to_owned(),
        });
        return;
    }
    value.check(&path, found);
}

/// Gives a key of this kind of table only its default.
pub fn fill<T: Value>(value: &mut T, key: Key<T>, kind: &str) {
    if key.kinds.contains(&kind)
        && value.item().is_none()
        && let Some(filled) = key.filled
    {
        *value = filled;
    }
}

/// A key that has a value and belongs to other kinds of table.
pub fn foreign<T: Value>(name: &'static str, value: &T, key: Key<T>, kind: &str) -> Option<Foreign> {
    if key.kinds.is_empty() || key.kinds.contains(&kind) {
        return None;
    }
    Some(Foreign {
        name,
        found: value.write()?,
        owners: key.kinds,
    })
}

/// Declares a struct that is a table, each of its keys stated at its field: see the [crate]'s page. Every key has a
/// default, and so has the struct.
#[macro_export]
macro_rules! table {
    ($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* }) => {
        $crate::required_table! { $(#[$meta])* pub struct $name { $($body)* } }
        $crate::__table_default! { $name { $($body)* } }
    };
}

/// As [`table!`](crate::table!), with keys that are required, so that there is no default.
#[macro_export]
macro_rules! required_table {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:expr])+ pub $field:ident: $type:ty = $key:expr),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        const _: () = {
            use $crate::parts;
            #[allow(unused_imports)]
            use $crate::spec::*;

            // A table without keys uses nothing that it is given.
            #[allow(unused_variables, unused_mut)]
            impl $crate::Table for $name {
                fn fields() -> Vec<$crate::Field> {
                    vec![$(parts::describe::<$type>(
                        stringify!($field),
                        concat!($($doc),+).trim_ascii(),
                        $key,
                    )),*]
                }

                fn read_table(table: &$crate::toml::Table) -> Result<Self, $crate::Wrong> {
                    parts::refuse_unknown(table, &[$(stringify!($field)),*])?;
                    Ok(Self {
                        $($field: parts::read::<$type>(table, stringify!($field), $key)?,)*
                    })
                }

                fn write_table(&self) -> $crate::toml::Table {
                    let mut table = $crate::toml::Table::new();
                    $(parts::write(&mut table, stringify!($field), &self.$field);)*
                    table
                }

                fn check_table(&self, path: &str, found: &mut Vec<$crate::OutOfRange>) {
                    $(parts::check::<$type>(&self.$field, $key, path, stringify!($field), found);)*
                }

                fn fill(&mut self, kind: &str) {
                    $(parts::fill::<$type>(&mut self.$field, $key, kind);)*
                }

                fn foreign(&self, kind: &str) -> Option<$crate::Foreign> {
                    None$(.or_else(|| parts::foreign::<$type>(stringify!($field), &self.$field, $key, kind)))*
                }
            }

            impl $crate::Value for $name {
                type Item = Self;

                fn read(value: &$crate::toml::Value) -> Result<Self, $crate::Wrong> {
                    let table = value.as_table().ok_or_else(|| $crate::Wrong::expecting(Self::expected()))?;
                    $crate::Table::read_table(table)
                }

                fn write(&self) -> Option<$crate::toml::Value> {
                    Some($crate::toml::Value::Table($crate::Table::write_table(self)))
                }

                fn expected() -> String {
                    "a table".into()
                }

                fn item(&self) -> Option<&Self> {
                    Some(self)
                }

                fn inside() -> Option<Vec<$crate::Field>> {
                    Some(<Self as $crate::Table>::fields())
                }

                fn check(&self, path: &str, found: &mut Vec<$crate::OutOfRange>) {
                    $crate::Table::check_table(self, path, found);
                }
            }
        };

        $crate::serde_as_table!($name);
    };
}

/// Implements serde's traits for a type that reads and writes a table.
#[macro_export]
macro_rules! serde_as_table {
    ($name:ident) => {
        const _: () = {
            use $crate::serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match $crate::Value::write(self) {
                        Some(value) => value.serialize(serializer),
                        None => Err(<S::Error as ser::Error>::custom("nothing to write")),
                    }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let table = $crate::buffer(deserializer)?;
                    $crate::Value::read(&table).map_err(<D::Error as de::Error>::custom)
                }
            }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __table_default {
    ($name:ident {
        $($(#[doc = $doc:expr])+ pub $field:ident: $type:ty = $key:expr),* $(,)?
    }) => {
        impl Default for $name {
            fn default() -> Self {
                #[allow(unused_imports)]
                use $crate::spec::*;
                Self {
                    $($field: {
                        let key: $crate::Key<$type> = $key;
                        key.of_default()
                    },)*
                }
            }
        }
    };
}
