//! `scn theory` as its users run it.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::common::{assert_contains, refused, refused_in, scn, stderr, succeed, succeed_in, succeed_json, text};

/// Writes tensors of ones and twos in turn.
fn write(path: &Path, tensors: &[(&str, &[usize])]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let values = (0..shape.iter().product::<usize>()).map(|i| 1.0 + (i % 2) as f32);
            values.flat_map(f32::to_le_bytes).collect()
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_run_is_studied_and_the_report_stored_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = ["train.epochs=1", "data.test_images=20", "run.device=cpu"];
    let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    succeed(
        &[
            &["train", "configs/quickstart.toml", "--out", text(&run)],
            &settings[..],
        ]
        .concat(),
    );

    let report = succeed_json(&["theory", text(&run), "--images", "3", "--device", "cpu", "--json"]);
    let stored: Value = serde_json::from_slice(&fs::read(run.join("theory.json")).unwrap()).unwrap();
    assert_eq!(report, stored);
    assert_eq!((&report["model"], &report["images"]), (&json!("scn"), &json!(3)));
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 14);
    for layer in layers {
        for name in ["coherence", "stripe_norm", "patch_norm", "real_error", "largest_code"] {
            assert!(layer[name].as_f64().unwrap() > 0.0, "{name} in {layer}");
        }
    }
    let printed = succeed(&[
        "theory",
        text(&run),
        "--images",
        "3",
        "--device",
        "cpu",
        "--noise",
        "0.01",
    ]);
    assert_contains(
        &printed,
        &[
            "layers.13.coding: ",
            "coherence",
            "basis pursuit",
            "batch norm",
            "noise of norm 0.01",
        ],
    );

    let usage = ["--set", "model.width=2"];
    refused(
        &[&["theory", text(&run)], &usage[..]].concat(),
        2,
        &["--set", "experiment file"],
    );
    refused(
        &["theory", text(&run), "--images", "100000"],
        2,
        &["--images 100000", "test images"],
    );
    refused(&["theory", text(&run), "--noise=-1"], 2, &["--noise"]);
}

#[test]
fn an_experiment_is_studied_without_storing_anything() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = |name: &str, model: &str| {
        let content = format!("name = \"it\"\n[data]\ndataset = \"digits\"\n[model]\n{model}\n");
        fs::write(folder.path().join(name), content).unwrap();
    };
    experiment("sdnet.toml", "kind = \"sdnet18\"");
    experiment("resnet.toml", "kind = \"resnet20\"");
    let arguments = [
        "theory",
        "sdnet.toml",
        "--images",
        "2",
        "--device",
        "cpu",
        "--set",
        "model.csc.lambda=0.5",
        "--json",
    ];
    let report: Value = serde_json::from_str(&succeed_in(folder.path(), &arguments)).unwrap();
    assert_eq!(report["layers"].as_array().unwrap().len(), 1);
    assert_eq!(report["layers"][0]["guarantees"]["unit"], "image");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let message = ["resnet.toml", "no dictionaries to study"];
    refused_in(
        folder.path(),
        &["theory", "resnet.toml", "--device", "cpu"],
        3,
        &message,
    );
    refused_in(
        folder.path(),
        &["theory", "absent.toml"],
        3,
        &["absent.toml", "cannot read"],
    );
    refused_in(folder.path(), &["theory"], 2, &["RUN_OR_EXPERIMENT"]);
}

#[test]
fn a_dictionary_is_studied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let file = text(&path);
    write(&path, &[("weight", &[3, 2, 2, 2]), ("codes", &[1, 3, 4, 5])]);
    let report = succeed_json(&["theory", "dictionary", file, "--stride", "2", "--patch", "2", "--json"]);
    // All atoms are equal; at stride 2 windows of side 2 do not overlap.
    assert_eq!(report["coherence"], 1.0);
    assert_eq!(
        (&report["uniqueness_bound"], &report["stability_bound"]),
        (&json!(1.0), &json!(2.0 / 3.0))
    );
    assert_eq!(report["repeated_atoms"].as_array().unwrap().len(), 2);
    assert_eq!((&report["stripe_norm"], &report["patch_norm"]), (&json!(3), &json!(12)));
    let printed = succeed(&["theory", "dictionary", file]);
    assert_contains(
        &printed,
        &[
            "coherence                  1.000000",
            "repeated atoms",
            "stripe norm                27",
        ],
    );

    refused(&["theory", "dictionary", file, "--stride", "0"], 2, &["--stride"]);
    refused(&["theory", "dictionary", file, "--patch", "0"], 2, &["--patch"]);
    refused(
        &["theory", "dictionary", file, "--patch", "5"],
        3,
        &["[1, 3, 4, 5]", "--patch 5"],
    );
    refused(
        &["theory", "dictionary", "absent.safetensors"],
        3,
        &["absent.safetensors"],
    );
    write(&path, &[("weight", &[3, 2, 2, 2])]);
    let output = scn(&["theory", "dictionary", file, "--patch", "2"]);
    assert_eq!(output.status.code(), Some(0));
    assert_contains(&stderr(&output), &["warning", "--patch changes nothing"]);
    write(&path, &[("codes", &[1, 3, 4, 5])]);
    refused(&["theory", "dictionary", file], 3, &["`weight` is missing"]);
}

#[test]
fn signals_are_simulated() {
    let arguments = ["theory", "simulate", "--signals", "4"];
    let report = succeed_json(&[&arguments[..], &["--json"]].concat());
    for model in report["models"].as_array().unwrap() {
        for theorem in model["theorems"].as_array().unwrap() {
            let inside = &theorem["inside"];
            assert_eq!(inside["signals"], inside["kept"], "{theorem}");
            let count = |name: &str| theorem[name]["signals"].as_u64().unwrap();
            assert_eq!(count("inside") + count("outside"), 4 + 1);
        }
    }
    assert_contains(
        &succeed(&arguments),
        &["blocks: ", "inside", "outside", "layered thresholding"],
    );
    refused(&["theory", "simulate", "--signals", "0"], 2, &["--signals"]);
}
