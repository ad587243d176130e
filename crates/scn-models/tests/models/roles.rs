//! The roles of parameters, and that configurations say what networks have.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use scn_models::{Constraint, Group, Model, ModelKind, Network, Role, Roles};

use crate::common::{config, table};

/// Every parameter's role by its name.
fn roles(model: &Model) -> BTreeMap<String, Role> {
    struct Named<'a> {
        roles: &'a Roles,
        path: Vec<String>,
        found: BTreeMap<String, Role>,
    }

    impl ModuleVisitor for Named<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            if !container.starts_with("Enum:") {
                self.path.push(name.to_string());
            }
        }

        fn exit_module(&mut self, _: &str, container: &str) {
            if !container.starts_with("Enum:") {
                self.path.pop();
            }
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.join("."), self.roles.of(param));
        }
    }

    let roles = model.roles();
    let mut named = Named {
        roles: &roles,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut named);
    named.found
}

/// The rule by names that the optimiser had before layers gave roles; runs of that time go on as they were.
fn group_by_name(name: &str) -> Group {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let parent = name.rsplit('.').nth(1).unwrap_or_default();
    match (parent, leaf) {
        (_, "lambda1") => Group::Sparsity,
        ("classifier", "bias") => Group::Bias,
        ("classifier", "weight") => Group::Classifier,
        (norm, "weight" | "bias") if norm.starts_with("bn") => Group::Norm,
        _ => Group::Weight,
    }
}

/// Kinds that came after that time.
const LATER: [&str; 5] = ["ml-csc", "res-csc", "msd-csc", "msdnet", "mdeq-small"];

#[test]
fn groups_are_those_that_names_told() {
    let older = |kind: &ModelKind| !LATER.contains(&kind.name());
    for kind in ModelKind::all().into_iter().filter(older) {
        let model = Model::empty(&config(kind.name()), [3, 8, 8], 10, &Device::flex()).unwrap();
        let roles = roles(&model);
        for (name, role) in &roles {
            assert_eq!((role.rate, role.frozen), (1.0, false), "{kind:?} {name}");
            let dictionary = model
                .coding_layers()
                .iter()
                .any(|layer| *name == format!("{}.weight", layer.name));
            let group = if dictionary {
                Group::Dictionary
            } else {
                group_by_name(name)
            };
            assert_eq!(role.group, group, "{kind:?} {name}");
            let expected = match role.group {
                Group::Sparsity if kind.has("prior") => Constraint::Free,
                Group::Sparsity => Constraint::NON_NEGATIVE,
                Group::Dictionary if kind.has("csc") => Constraint::UnitSphere,
                Group::Dictionary if kind.has("prior") => Constraint::Orthonormal,
                Group::Weight | Group::Dictionary | Group::Classifier | Group::Bias | Group::Norm => Constraint::Free,
            };
            assert_eq!(role.constraint, expected, "{kind:?} {name}");
        }
    }
}

#[test]
fn families_state_the_groups_that_their_parameters_have() {
    for kind in ModelKind::all() {
        let model = Model::empty(&config(kind.name()), [3, 8, 8], 10, &Device::flex()).unwrap();
        let roles = roles(&model);
        // Running statistics are visited too, with the role of a weight; some networks have no other weights.
        let told = |name: &&str| *name != Group::Weight.name();
        let found: BTreeSet<_> = roles.values().map(|role| role.group.name()).filter(told).collect();
        let groups = config(kind.name()).groups();
        let stated: BTreeSet<_> = groups.iter().map(|group| group.name()).filter(told).collect();
        assert_eq!(found, stated, "{kind:?}");
        let dictionaries = roles.values().filter(|role| role.group == Group::Dictionary);
        assert_eq!(dictionaries.count(), model.coding_layers().len(), "{kind:?}");
        let classifier = |name: &str| name == "classifier.weight" || name.ends_with(".classifier.weight");
        for (name, role) in &roles {
            assert_eq!(role.group == Group::Classifier, classifier(name), "{kind:?} {name}");
        }
    }
}

#[test]
fn a_lambda1_that_is_not_learned_is_frozen() {
    let config = table("kind = \"scn\"\nlambda1.learned = false");
    let model = Model::empty(&config, [3, 8, 8], 10, &Device::flex()).unwrap();
    for (name, role) in roles(&model) {
        assert_eq!(role.frozen, name.ends_with("lambda1"), "{name}");
    }
}
