//! `scn robust` and `scn attack` as their users run them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;

use common::{refused, succeed};

#[track_caller]
fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

/// A short run of a model on digits.
fn train(out: &str, model: &str) {
    succeed(&[
        "train",
        "configs/quickstart.toml",
        "--out",
        out,
        "--set",
        model,
        "--set",
        "train.epochs=4",
        "--set",
        "data.test_images=60",
        "--set",
        "data.batch_size=32",
        "--set",
        "run.device=cpu",
    ]);
}

#[test]
fn robust_inference_and_attacks() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (coded, plain) = (place("scn"), place("resnet"));
    train(&coded, "model={kind=\"scn\"}");
    train(&plain, "model={kind=\"resnet20\"}");

    let choices = [
        "--noise",
        "gaussian,impulse",
        "--severities",
        "1,3",
        "--fit-images",
        "40",
        "--device",
        "cpu",
    ];
    let robust = |run: &str, more: &[&str]| json(&[&["robust", run, "--json"], &choices[..], more].concat());
    let report = robust(&coded, &["--lambdas", "2,0.5,1"]);
    let evaluation = json(&["eval", &coded, "--device", "cpu", "--json"]);
    let rows = report["rows"].as_array().unwrap();
    let kinds: Vec<_> = rows
        .iter()
        .map(|row| (row["noise"].as_str().unwrap(), row["severity"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("none", 0),
        ("gaussian", 1),
        ("gaussian", 3),
        ("impulse", 1),
        ("impulse", 3),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(rows[0]["fixed"], evaluation["top1"]);
    assert!(
        rows[0]["fixed"].as_f64().unwrap() > 50.0,
        "the network has learned nothing: {report}"
    );
    assert_eq!(report["tried"], serde_json::json!([0.5, 1.0, 2.0]));
    assert_eq!(report["trained"], 1.0);
    assert_eq!(report["fit_points"].as_array().unwrap().len(), 5);
    for row in rows {
        let value = |name: &str| row[name].as_f64().unwrap();
        // 1 is among the values that were tried.
        assert!(value("best") >= value("fixed"), "{row}");
        assert!(
            [0.5, 1.0, 2.0].contains(&value("best_value")) && value("residual") > 0.0,
            "{row}"
        );
        assert!((0.0..=100.0).contains(&value("fitted")), "{row}");
    }
    assert!(
        rows[1..].iter().all(|row| row["residual"] != rows[0]["residual"]),
        "{report}"
    );
    let stored: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&coded).join("robust.json")).unwrap()).unwrap();
    assert_eq!(stored, report);
    let table = fs::read_to_string(Path::new(&coded).join("robust.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + rows.len());
    assert!(
        table.starts_with("noise,severity,residual,fixed,fitted,best,best_value\nnone,0,"),
        "{table}"
    );
    assert_eq!(robust(&coded, &["--lambdas", "2,0.5,1"]), report);

    let without = robust(&plain, &[]);
    assert_eq!(without["rows"].as_array().unwrap().len(), 5);
    assert!(without["rows"][1].get("fitted").is_none() && without.get("fit").is_none());

    let attack = |run: &str, more: &[&str]| {
        json(
            &[
                &[
                    "attack",
                    run,
                    "--json",
                    "--steps",
                    "4",
                    "--test-images",
                    "30",
                    "--device",
                    "cpu",
                ],
                more,
            ]
            .concat(),
        )
    };
    let report = attack(&coded, &["--eps", "2/16", "--transfer", &plain]);
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["images"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["as they are", "attacked as trained"]);
    assert!(names[2].contains("choice") && names[3].contains("resnet"), "{names:?}");
    let top1 = |row: usize, inference: &str| rows[row][inference].as_f64().unwrap();
    assert!(
        top1(1, "fixed") < top1(0, "fixed") && top1(2, "fitted") < top1(0, "fitted"),
        "{report}"
    );
    assert_eq!(rows[0]["mean_linf"], 0.0);
    for row in &rows[1..] {
        let linf = row["mean_linf"].as_f64().unwrap();
        assert!(linf > 0.0 && linf <= 0.125 + 1e-6, "{row}");
    }
    assert_eq!(attack(&coded, &["--eps", "2/16", "--transfer", &plain]), report);
    let euclidean = attack(&plain, &["--norm", "l2"]);
    let l2 = euclidean["rows"][1]["mean_l2"].as_f64().unwrap();
    assert!(l2 > 0.0 && l2 <= 0.5 + 1e-5, "{euclidean}");
    assert!(euclidean["rows"][1].get("fitted").is_none());

    refused(
        &["robust", &coded, "--noise", "fog"],
        2,
        &["fog", "gaussian", "impulse"],
    );
    refused(&["robust", &coded, "--severities", "0-3"], 2, &["0-3", "1 to 5"]);
    refused(&["robust", &coded, "--severities", "1,6"], 2, &["1,6", "1 to 5"]);
    refused(
        &["robust", &coded, "--lambdas", "0"],
        2,
        &["--lambdas", "found 0", "above 0"],
    );
    refused(&["robust", &coded, "--lambdas", "inf"], 2, &["--lambdas", "finite"]);
    refused(&["robust", &plain, "--lambdas", "1"], 2, &["no sparse codes"]);
    refused(&["robust", &plain, "--test-images", "361"], 2, &["361", "360"]);
    refused(&["robust", &place("nothing")], 3, &["neither the folder of a run"]);
    for eps in ["0", "-1", "8/0", "x", "nan"] {
        refused(&["attack", &plain, &format!("--eps={eps}")], 2, &["--eps", "above 0"]);
    }
    refused(&["attack", &plain, "--eps", "8"], 2, &["--eps 8", "8/255"]);
    refused(&["attack", &plain, "--steps", "0"], 2, &["--steps"]);
    fs::write(Path::new(&coded).join("robust.json"), "{\"fit\": {\"slope\": 1}}").unwrap();
    refused(&["attack", &coded], 3, &["robust.json", "scn robust"]);
}
