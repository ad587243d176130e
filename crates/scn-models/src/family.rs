//! A family of networks: the keys of its configuration, its members and how they are built.

use std::fmt;

use scn_keys::{Field, Foreign, OutOfRange, Table, Wrong};

use crate::initialization::Initializer;
use crate::{Group, ModelKind, Network};

/// A network with what its family says of it. One line in `registry.rs` makes it known.
pub trait Family: Network {
    /// What tells members apart.
    type Plan: fmt::Debug + Sync + 'static;
    /// The keys of the family below `model`, besides `kind` and `classes`.
    type Keys: Table + Default + Clone + fmt::Debug + PartialEq;

    /// Its members, at least one.
    const MEMBERS: &'static [Member<Self::Plan>];
    /// The groups that its parameters belong to.
    const GROUPS: &'static [Group];

    /// Keys with values that have no effect beside those of others.
    fn unused(_keys: &Self::Keys) -> Vec<Unused> {
        Vec::new()
    }

    /// The first key whose value goes with neither the others nor images `[channels, height, width]`: a plan that is not
    /// feasible, say.
    fn misfit(_plan: &Self::Plan, _keys: &Self::Keys, _image: [usize; 3]) -> Option<Misfit> {
        None
    }

    /// Builds a member for images `[channels, height, width]`; `init` draws the initial values in a fixed order.
    fn build(plan: &Self::Plan, keys: &Self::Keys, image: [usize; 3], classes: usize, init: &mut Initializer) -> Self;
}

/// A key below `model` whose value has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub found: String,
    /// Why it has no effect: a clause.
    pub because: &'static str,
    /// What to do: what is expected instead.
    pub expected: &'static str,
}

/// A key below `model` whose value does not go with others or with the images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key, with the place in a list, as in `layers[2]`.
    pub key: String,
    /// Its value.
    pub found: String,
    /// What it does not go with: a clause.
    pub with: String,
    /// What would.
    pub expected: String,
}

scn_keys::table! {
    /// The keys of a family that has none of its own.
    #[derive(Copy)]
    pub struct NoKeys {}
}

/// A member of a family.
#[derive(Debug)]
pub struct Member<P: 'static> {
    /// Its name in experiment files.
    pub name: &'static str,
    /// What it is and where it comes from.
    pub doc: &'static str,
    /// What tells it from the others.
    pub plan: P,
}

impl<P> Member<P> {
    /// Its kind.
    pub(crate) const fn kind(&self) -> ModelKind {
        ModelKind::of(self.name, self.doc)
    }
}

/// A member with the values of its keys.
pub struct Chosen<F: Family> {
    member: &'static Member<F::Plan>,
    /// The keys.
    pub keys: F::Keys,
}

impl<F: Family> Chosen<F> {
    /// The member of that name with its defaults.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let member = F::MEMBERS.iter().find(|member| member.name == name)?;
        let keys = F::Keys::default();
        Some(Self { member, keys })
    }

    pub(crate) fn build(&self, image: [usize; 3], classes: usize, init: &mut Initializer) -> F {
        F::build(&self.member.plan, &self.keys, image, classes, init)
    }
}

/// What can be said of a [`Chosen`] of any family.
pub(crate) trait Choice {
    fn kind(&self) -> ModelKind;
    fn groups(&self) -> &'static [Group];
    fn read(&mut self, table: &scn_keys::toml::Table) -> Result<(), Wrong>;
    fn write(&self) -> scn_keys::toml::Table;
    fn check(&self, path: &str, found: &mut Vec<OutOfRange>);
    fn fill(&mut self);
    fn foreign(&self) -> Option<Foreign>;
    fn unused(&self) -> Vec<Unused>;
    fn misfit(&self, image: [usize; 3]) -> Option<Misfit>;
}

impl<F: Family> Choice for Chosen<F> {
    fn kind(&self) -> ModelKind {
        self.member.kind()
    }

    fn groups(&self) -> &'static [Group] {
        F::GROUPS
    }

    fn read(&mut self, table: &scn_keys::toml::Table) -> Result<(), Wrong> {
        self.keys = F::Keys::read_table(table)?;
        Ok(())
    }

    fn write(&self) -> scn_keys::toml::Table {
        self.keys.write_table()
    }

    fn check(&self, path: &str, found: &mut Vec<OutOfRange>) {
        self.keys.check_table(path, found);
    }

    fn fill(&mut self) {
        self.keys.fill(self.member.name);
    }

    fn foreign(&self) -> Option<Foreign> {
        self.keys.foreign(self.member.name)
    }

    fn unused(&self) -> Vec<Unused> {
        F::unused(&self.keys)
    }

    fn misfit(&self, image: [usize; 3]) -> Option<Misfit> {
        F::misfit(&self.member.plan, &self.keys, image)
    }
}

impl<F: Family> Clone for Chosen<F> {
    fn clone(&self) -> Self {
        Self {
            member: self.member,
            keys: self.keys.clone(),
        }
    }
}

impl<F: Family> fmt::Debug for Chosen<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct(self.member.name);
        shown.field("keys", &self.keys).finish()
    }
}

impl<F: Family> PartialEq for Chosen<F> {
    fn eq(&self, other: &Self) -> bool {
        self.member.name == other.member.name && self.keys == other.keys
    }
}

/// What a family says of all its members.
pub(crate) struct FamilyInfo {
    pub kinds: Vec<ModelKind>,
    /// Keys of all members have their names.
    pub fields: Vec<Field>,
}

impl FamilyInfo {
    pub fn of<F: Family>() -> Self {
        let kinds: Vec<_> = F::MEMBERS.iter().map(Member::kind).collect();
        let mut fields = F::Keys::fields();
        for field in &mut fields {
            if field.kinds.is_empty() {
                field.kinds = kinds.iter().map(|kind| kind.name()).collect();
            }
        }
        Self { kinds, fields }
    }
}
