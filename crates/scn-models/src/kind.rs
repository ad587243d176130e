//! What can be built.

use std::fmt;
use std::str::FromStr;

use scn_keys::{Value, Wrong, toml};

use crate::{ModelError, registry};

/// A network by its name in experiment files and on the command line: a member of a family of the registry.
#[derive(Clone, Copy)]
pub struct ModelKind {
    name: &'static str,
    doc: &'static str,
}

impl ModelKind {
    pub(crate) const fn of(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc }
    }

    /// Every network, in the order of the registry.
    pub fn all() -> Vec<ModelKind> {
        registry::families()
            .into_iter()
            .flat_map(|family| family.kinds)
            .collect()
    }

    /// Name in experiment files.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What it is and where it comes from.
    pub fn doc(self) -> &'static str {
        self.doc
    }

    /// Whether a key below `model` means something to it.
    pub fn has(self, key: &str) -> bool {
        let families = registry::families();
        let mut fields = families.iter().flat_map(|family| &family.fields);
        fields.any(|field| field.name == key && field.kinds.contains(&self.name))
    }
}

impl PartialEq for ModelKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ModelKind {}

impl fmt::Debug for ModelKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl FromStr for ModelKind {
    type Err = ModelError;

    /// # Errors
    /// [`ModelError::Unknown`].
    fn from_str(name: &str) -> Result<Self, ModelError> {
        let found = Self::all().into_iter().find(|kind| kind.name == name);
        found.ok_or_else(|| ModelError::Unknown {
            name: name.to_owned(),
            expected: Self::expected(),
        })
    }
}

impl Value for ModelKind {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let found = value.as_str().and_then(|name| name.parse().ok());
        found.ok_or_else(|| Wrong::expecting(Self::expected()))
    }

    fn write(&self) -> Option<toml::Value> {
        Some(self.name.into())
    }

    fn expected() -> String {
        let names: Vec<_> = Self::all().into_iter().map(ModelKind::name).collect();
        format!("one of `{}`", names.join("`, `"))
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}
