//! `scn summary`: parameters and arithmetic of the shipped experiments.

use serde_json::json;

use crate::common::{assert_contains, refused, succeed, succeed_json};

#[test]
fn summary_counts() {
    // Those of the residual networks are PyTorch's for the same networks.
    for (config, parameters) in [
        ("scn-1", 173_896),
        ("scn-4", 694_216),
        ("resnet20", 269_722),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet18", 11_173_962),
        ("resnet34", 21_282_122),
    ] {
        let report = succeed_json(&["summary", &format!("configs/cifar10/{config}.toml"), "--json"]);
        assert_eq!(report["parameters"], parameters, "{config}");
        assert_eq!(report["input"], json!([3, 32, 32]));
        assert_eq!(report["classes"], 10);
        let layers = report["layers"].as_array().unwrap();
        assert!(
            layers
                .iter()
                .all(|layer| layer["name"].is_string() && layer["kind"].is_string())
        );
        for (total, part) in [
            ("parameters", "parameters"),
            ("convolution_macs", "convolution"),
            ("solver_iteration_macs", "solver_iteration"),
        ] {
            let sum: u64 = layers.iter().map(|layer| layer[part].as_u64().unwrap()).sum();
            assert_eq!(report[total], sum, "{config}: {total}");
        }
    }
    let report = succeed_json(&["summary", "configs/cifar10/scn-4.toml", "--json"]);
    assert_eq!(report["model"], "scn");
    assert_eq!(report["solver_iteration_macs"], 31_195_136);
    assert_eq!(report["layers"][13]["output"], json!([256, 8, 8]));
    assert_eq!(report["layers"][13]["solver_iteration"], 256 * 256 * 8 * 8);
    let printed = succeed(&["summary", "configs/cifar10/scn-1.toml", "--set", "model.width=4"]);
    assert_contains(&printed, &["694,216", "31,195,136", "256×8×8"]);
}

#[test]
fn summary_counts_lambda1_where_it_is_learned() {
    let summary = |overrides: &[&str]| {
        let set = overrides.iter().flat_map(|value| ["--set", value]);
        succeed_json(
            &["summary", "configs/cifar10/scn-1.toml", "--json"]
                .into_iter()
                .chain(set)
                .collect::<Vec<_>>(),
        )
    };
    let (fixed, per_atom) = ("model.lambda1.learned=false", "model.lambda1.per_atom=true");
    assert_eq!(summary(&[fixed])["parameters"], 173_896 - 14);
    assert_eq!(summary(&[fixed, per_atom])["parameters"], 173_896 - 14);
    // 6 layers of 16 atoms, 4 of 32 and 4 of 64.
    assert_eq!(
        summary(&[per_atom])["parameters"],
        173_896 - 14 + 6 * 16 + 4 * 32 + 4 * 64
    );
    assert_eq!(summary(&["data.augment.crop=28"])["input"], json!([3, 28, 28]));
    refused(
        &["summary", "configs/cifar10/scn-1.toml", "--set", "model.width=0"],
        3,
        &["model.width"],
    );
    refused(&["summary", "absent.toml"], 3, &["absent.toml", "cannot read"]);
}
