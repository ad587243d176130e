//! `scn config`: what it prints it accepts, and the shipped experiments too.

use crate::common::{assert_contains, refused, root, succeed, text};

#[test]
fn config_print_writes_what_config_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.toml");
    for config in [
        "configs/quickstart.toml",
        "configs/cifar10/resnet20.toml",
        "configs/cifar100/scn-2.toml",
    ] {
        let printed = succeed(&["config", "print", config, "--set", "data.batch_size=48"]);
        assert_contains(&printed, &["\nbatch_size = 48\n"]);
        std::fs::write(&path, &printed).unwrap();
        assert_eq!(
            succeed(&["config", "check", text(&path)]),
            format!("{}: ok\n", path.display())
        );
        assert_eq!(succeed(&["config", "print", text(&path)]), printed, "{config}");
    }
}

#[test]
fn config_check_checks_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let [typo, no_toml] = ["typo.toml", "no-toml.toml"].map(|name| folder.path().join(name));
    std::fs::write(
        &typo,
        "[data]\ndataset = \"digits\"\n[model]\nkind = \"scn\"\nwdth = 1\n",
    )
    .unwrap();
    std::fs::write(&no_toml, "no toml").unwrap();
    let args = [
        "config",
        "check",
        text(&typo),
        "configs/quickstart.toml",
        text(&no_toml),
    ];
    let parts = [
        "typo.toml:5:1: model.wdth",
        "did you mean `width`?",
        "no-toml.toml:1:",
        "2 of 3",
    ];
    assert_eq!(refused(&args, 3, &parts), "configs/quickstart.toml: ok\n");
    refused(&["config", "check", text(&typo)], 3, &["typo.toml:5:1: model.wdth"]);
    refused(
        &["config", "check", "configs/quickstart.toml", "--set", "train.epochs=-1"],
        3,
        &["train.epochs"],
    );
    refused(&["config", "print", text(&no_toml)], 3, &["no-toml.toml"]);
    refused(&["config", "check"], 2, &["EXPERIMENT"]);
}

#[test]
fn the_reference_page_is_what_config_keys_prints() {
    let page = std::fs::read_to_string(root().join("docs/keys.md")).unwrap();
    assert!(
        succeed(&["config", "keys"]) == page,
        "run `scn config keys > docs/keys.md`"
    );
    assert_contains(&page, &["## `[dictionary]`", "`fast-ica`", "## `[first_layer]`"]);
}

#[test]
fn every_shipped_experiment_is_accepted() {
    let mut folders = vec![root().join("configs")];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
    }
    let args: Vec<_> = ["config", "check"]
        .into_iter()
        .chain(paths.iter().map(|path| text(path)))
        .collect();
    assert_eq!(succeed(&args).lines().count(), paths.len());
}
