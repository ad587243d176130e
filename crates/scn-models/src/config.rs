//! The `model` table of an experiment file.

use scn_keys::{Content, Field, Foreign, Key, OutOfRange, Problem, Value, Wrong, spec, toml};

use crate::registry::{self, NetworkConfig};
use crate::{Group, Misfit, ModelError, ModelKind, Unused};

const KIND: &str = "kind";
const CLASSES: &str = "classes";
/// The key that `classes` stands behind in files that are written in full, as it always has.
const BEFORE_CLASSES: &str = "first_width";

/// The `model` table: `kind` says whose keys the others are.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Classes; `None`: those of the dataset.
    pub classes: Option<usize>,
    /// The network and its keys.
    pub network: NetworkConfig,
}

fn kind() -> Key<ModelKind> {
    spec::required()
}

fn classes() -> Key<Option<usize>> {
    let allowed = |classes: &usize| (2..=100_000).contains(classes);
    spec::unset("those of the dataset").within(spec::range("the number of classes of the dataset", allowed))
}

impl ModelConfig {
    /// A network with its defaults.
    pub fn new(kind: ModelKind) -> Self {
        let network = NetworkConfig::named(kind.name());
        Self {
            classes: None,
            network: network.unwrap_or_else(|| panic!("{kind:?} is of the registry")),
        }
    }

    /// Which network.
    pub fn kind(&self) -> ModelKind {
        self.network.choice().kind()
    }

    /// The same with another value of a key below `model`, as in `solver.tolerance`.
    ///
    /// # Errors
    /// [`ModelError`] where the network has no such key or the value does not suit it.
    pub fn with(&self, key: &str, value: impl Into<toml::Value>) -> Result<Self, ModelError> {
        let mut written = self.written();
        let (tables, last) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut written;
        for name in tables.split('.').filter(|name| !name.is_empty()) {
            let inner = table.entry(name).or_insert_with(|| toml::Table::new().into());
            table = inner.as_table_mut().ok_or_else(|| ModelError::Wrong {
                key: name.to_owned(),
                problem: "it is no table".to_owned(),
            })?;
        }
        table.insert(last.to_owned(), value.into());
        let changed = Self::read(&written.into())?;
        changed.check()?;
        Ok(changed)
    }

    /// Checks ranges and that no key belongs to another kind.
    ///
    /// # Errors
    /// [`ModelError`] with the key.
    pub fn check(&self) -> Result<(), ModelError> {
        if let Some(foreign) = self.foreign() {
            return Err(ModelError::Foreign {
                key: foreign.name.to_owned(),
                kind: self.kind().name(),
                owners: foreign.owners,
            });
        }
        let mut found = Vec::new();
        Value::check(self, "", &mut found);
        match found.into_iter().next() {
            None => Ok(()),
            Some(wrong) => Err(ModelError::Range {
                key: wrong.path,
                value: wrong.found,
                expected: wrong.expected,
            }),
        }
    }

    /// The table with every default written out.
    #[must_use]
    pub fn with_defaults(&self, classes: usize) -> Self {
        let mut filled = self.clone();
        filled.classes.get_or_insert(classes);
        filled.network.choice_mut().fill();
        filled
    }

    /// The first key with a value that belongs to other networks.
    pub fn foreign(&self) -> Option<Foreign> {
        self.network.choice().foreign()
    }

    /// The keys with values that have no effect beside those of others.
    pub fn unused(&self) -> Vec<Unused> {
        self.network.choice().unused()
    }

    /// The first key whose value goes with neither the others nor images `[channels, height, width]`.
    pub fn misfit(&self, image: [usize; 3]) -> Option<Misfit> {
        self.network.choice().misfit(image)
    }

    /// The same with the default of a key below `model`.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let mut written = self.written();
        let (tables, last) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = Some(&mut written);
        for name in tables.split('.').filter(|name| !name.is_empty()) {
            table = table.and_then(|table| table.get_mut(name)?.as_table_mut());
        }
        if let Some(table) = table {
            table.remove(last);
        }
        // A table that can be read can be read without a key that is not required.
        Self::read(&written.into()).unwrap_or_else(|_| self.clone())
    }

    /// The groups that the network's parameters belong to.
    pub fn groups(&self) -> &'static [Group] {
        self.network.choice().groups()
    }

    fn written(&self) -> toml::Table {
        let mut table = self.network.choice().write();
        for (name, value) in [(KIND, self.kind().write()), (CLASSES, self.classes.write())] {
            if let Some(value) = value {
                table.insert(name.to_owned(), value);
            }
        }
        table
    }
}

/// The keys of all families, values before tables; a key of several families is one, with all their members.
fn fields() -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for field in registry::families().into_iter().flat_map(|family| family.fields) {
        match fields.iter_mut().find(|known| known.name == field.name) {
            Some(known) => known.kinds.extend(field.kinds),
            None => fields.push(field),
        }
    }
    fields.sort_by_key(|field| matches!(field.content, Content::Table(_)));
    let behind = fields.iter().position(|field| field.name == BEFORE_CLASSES);
    let doc = "Classes, as many as the dataset has.";
    fields.insert(
        behind.map_or(0, |before| before + 1),
        scn_keys::parts::describe(CLASSES, doc, classes()),
    );
    fields.insert(0, scn_keys::parts::describe(KIND, "The network.", kind()));
    fields
}

/// A value with the defaults that its owner would give it.
fn as_of(owner: &str, name: &str, value: &toml::Value) -> Option<toml::Value> {
    let mut network = NetworkConfig::named(owner)?;
    let alone = toml::Table::from_iter([(name.to_owned(), value.clone())]);
    network.choice_mut().read(&alone).ok()?;
    network.choice().write().remove(name)
}

impl Value for ModelConfig {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let mut table = value
            .as_table()
            .ok_or_else(|| Wrong::expecting(Self::expected()))?
            .clone();
        let chosen = scn_keys::parts::read(&table, KIND, kind())?;
        for Field { name, kinds, .. } in fields() {
            if let Some(value) = table.get(name)
                && !kinds.is_empty()
                && !kinds.contains(&chosen.name())
            {
                let found = as_of(kinds[0], name, value).unwrap_or_else(|| value.clone());
                return Err(Wrong {
                    path: name.to_owned(),
                    problem: Problem::Foreign {
                        kind: chosen.name(),
                        owners: kinds,
                        found,
                    },
                });
            }
        }
        let mut config = Self::new(chosen);
        config.classes = scn_keys::parts::read(&table, CLASSES, classes())?;
        table.remove(KIND);
        table.remove(CLASSES);
        config.network.choice_mut().read(&table)?;
        Ok(config)
    }

    fn write(&self) -> Option<toml::Value> {
        Some(self.written().into())
    }

    fn expected() -> String {
        "a table".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn inside() -> Option<Vec<Field>> {
        Some(fields())
    }

    fn check(&self, path: &str, found: &mut Vec<OutOfRange>) {
        scn_keys::parts::check(&self.classes, classes(), path, CLASSES, found);
        self.network.choice().check(path, found);
    }
}

scn_keys::serde_as_table!(ModelConfig);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_several_families_means_the_same_in_all() {
        let all = fields();
        let mut shared = 0;
        for family in registry::families() {
            for field in family.fields {
                let listed = all.iter().find(|known| known.name == field.name);
                let known = listed.unwrap_or_else(|| panic!("{} is not listed", field.name));
                let of = &family.kinds;
                assert_eq!(
                    (known.doc, &known.content),
                    (field.doc, &field.content),
                    "{} of {of:?}",
                    field.name
                );
                shared += usize::from(known.kinds.len() > field.kinds.len());
            }
        }
        assert!(shared > 0, "no two families share a key");
    }
}
