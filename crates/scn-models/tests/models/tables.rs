//! The `model` table: what older files say is read, and keys that families share are one.

use scn_keys::Value;
use scn_models::{ModelConfig, ModelError, ModelKind};

use crate::common::{config, table};

/// The description of a network as builds wrote it that had one struct for all kinds.
const OLDER: [(&str, &str); 3] = [
    (
        r#"{
            "kind": "scn", "width": 2, "first_width": 8, "classes": 10, "kernel": 3, "stem": null, "shortcuts": null,
            "solver": {"method": "fista", "tolerance": 0.001, "max_iterations": 50, "lambda2": 0.0,
                "backward_ridge": 1e-6, "backward_tolerance": 0.0001, "backward_max_iterations": 50},
            "lambda1": {"initial": 0.0, "per_atom": false, "learned": true}, "csc": null
        }"#,
        "kind = \"scn\"\nwidth = 2\nfirst_width = 8\nclasses = 10\nsolver = { method = \"fista\", tolerance = 0.001 }",
    ),
    (
        r#"{
            "kind": "sdnet18-all", "width": null, "first_width": null, "classes": 100, "kernel": null,
            "stem": "imagenet", "shortcuts": false, "solver": null, "lambda1": null,
            "csc": {"lambda": 0.2, "steps": 3, "mu": 0.0, "non_negative": true, "implicit": null}
        }"#,
        "kind = \"sdnet18-all\"\nclasses = 100\nstem = \"imagenet\"\nshortcuts = false\ncsc = { lambda = 0.2, steps = 3 }",
    ),
    (
        r#"{
            "kind": "resnet20", "width": null, "first_width": null, "classes": 10, "kernel": null, "stem": null,
            "shortcuts": null, "solver": null, "lambda1": null, "csc": null
        }"#,
        "kind = \"resnet20\"\nclasses = 10",
    ),
];

#[test]
fn descriptions_of_older_builds_are_read() {
    for (json, toml) in OLDER {
        let read: ModelConfig = serde_json::from_str(json).unwrap();
        assert_eq!(read, table(toml));
    }
}

#[test]
fn what_is_written_has_the_keys_of_older_builds_and_is_read_again() {
    for kind in ModelKind::all() {
        let filled = config(kind.name()).with_defaults(10);
        let json = serde_json::to_value(&filled).unwrap();
        let again: ModelConfig = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(again, filled);
        assert_eq!(
            (json["kind"].as_str(), json["classes"].as_u64()),
            (Some(kind.name()), Some(10))
        );
        for (key, older) in serde_json::from_str::<serde_json::Value>(OLDER[0].0)
            .unwrap()
            .as_object()
            .unwrap()
        {
            assert!(
                json.get(key).is_some() == (kind.has(key) || ["kind", "classes"].contains(&&**key)),
                "{key} {older}"
            );
        }
        assert_eq!(filled.check(), Ok(()));
    }
}

#[test]
fn keys_of_other_kinds_are_refused_with_their_owners() {
    let error = config("resnet18").with("csc.lambda", 0.3).unwrap_err();
    let owners = vec!["sdnet18", "sdnet34", "sdnet18-all"];
    let kind = "resnet18";
    let key = "csc".to_owned();
    assert_eq!(error, ModelError::Foreign { key, kind, owners });
    let error = config("resnet20").with("stem", "imagenet").unwrap_err();
    assert!(
        matches!(&error, ModelError::Foreign { key, .. } if key == "stem"),
        "{error}"
    );
    let error = config("scn").with("width", 65).unwrap_err().to_string();
    assert_eq!(error, "`width` is 65: it must be a whole number from 1 to 64");
    let error = config("scn").with("width", "wide").unwrap_err().to_string();
    assert_eq!(error, "`width`: expected a whole number from 1 to 64");
    let error = config("scn").with("widht", 2).unwrap_err().to_string();
    assert_eq!(error, "`widht`: unknown key");
}

#[test]
fn keys_are_listed_in_the_order_of_older_files_with_their_kinds() {
    let fields = ModelConfig::inside().unwrap();
    let place = |name: &str| fields.iter().position(|field| field.name == name).unwrap();
    let older = [
        "kind",
        "width",
        "first_width",
        "classes",
        "kernel",
        "stem",
        "shortcuts",
        "solver",
        "lambda1",
        "csc",
    ];
    assert!(older.is_sorted_by_key(|name| place(name)));
    assert!(place("classes") == place("first_width") + 1);
    let kinds = |name: &str| fields[place(name)].kinds.clone();
    assert_eq!(
        kinds("stem"),
        ["scn18", "resnet18", "resnet34", "sdnet18", "sdnet34", "sdnet18-all"]
    );
    assert_eq!(kinds("shortcuts"), ["sdnet18-all"]);
    assert_eq!(kinds("solver"), ["scn", "scn18", "sc-cnn"]);
}
