//! `scn robust` and `scn attack` as their users run them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{assert_contains, command, refused, root, stderr, stdout, succeed, succeed_json, text};

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
    let robust = |run: &str, more: &[&str]| succeed_json(&[&["robust", run, "--json"], &choices[..], more].concat());
    let report = robust(&coded, &["--lambdas", "2,0.5,1"]);
    let evaluation = succeed_json(&["eval", &coded, "--device", "cpu", "--json"]);
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
        succeed_json(
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

/// A short run, `scn robust` of few images on it, and its report.
fn fitted(folder: &Path) -> (String, Vec<String>, Value) {
    let run = text(&folder.join("run")).to_owned();
    train(&run, "model={kind=\"scn\"}");
    let args = [
        "robust",
        &run,
        "--noise",
        "gaussian",
        "--severities",
        "3",
        "--lambdas",
        "0.5,1",
    ];
    let more = ["--fit-images", "20", "--test-images", "20", "--device", "cpu", "--json"];
    let args: Vec<String> = args.into_iter().chain(more).map(str::to_owned).collect();
    let report = succeed_json(&args.iter().map(String::as_str).collect::<Vec<_>>());
    (run, args, report)
}

#[test]
fn what_is_found_is_printed_before_it_is_stored_and_stored_only_where_nobody_else_works() {
    let folder = tempfile::tempdir().unwrap();
    let (run, args, report) = fitted(folder.path());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let stored = Path::new(&run).join("robust.json");
    let lost = "the results were printed and are not stored: keep what is on standard output";
    let printed = |output: &str| assert_eq!(serde_json::from_str::<Value>(output).unwrap(), report);

    // Another process trains the run; reading it needs no lock.
    fs::remove_file(&stored).unwrap();
    let lock = fs::File::create(Path::new(&run).join(".lock")).unwrap();
    lock.lock().unwrap();
    let parts = [": another process is working on this run; ", lost];
    printed(&refused(&args, 1, &parts));
    assert!(!stored.exists());
    let of_checkpoint = format!("{run}/checkpoints/last");
    let attack = [
        "attack",
        &of_checkpoint,
        "--steps",
        "1",
        "--test-images",
        "4",
        "--device",
        "cpu",
    ];
    assert_contains(&refused(&attack, 1, &parts), &["attacked as trained"]);
    drop(lock);

    // Something lies in the place of the file.
    fs::create_dir_all(stored.join("folder")).unwrap();
    printed(&refused(&args, 1, &["cannot write ", "robust.json: ", lost]));
    fs::remove_dir_all(&stored).unwrap();
    printed(&succeed(&args));
    let names = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name());
    let parts: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let (run, args, report) = fitted(folder.path());
    // No file may grow: what is stored before stays as it was. The signal that says so is ignored, as where a disk is full.
    let mut limited = std::process::Command::new("sh");
    limited.args([
        "-c",
        "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_scn"),
    ]);
    let output = limited.args(&args).current_dir(root()).output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_contains(
        &message,
        &[
            "cannot write ",
            "robust.json: ",
            "(os error 27)",
            "printed and are not stored",
        ],
    );
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), report);
    let stored = fs::read_to_string(Path::new(&run).join("robust.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), report);
}

#[test]
fn an_attack_takes_only_a_fit_of_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _, report) = fitted(folder.path());
    let stored = Path::new(&run).join("robust.json");
    let attack = [
        "attack",
        &run,
        "--steps",
        "1",
        "--test-images",
        "4",
        "--device",
        "cpu",
        "--json",
    ];
    let fitted = |output: &str| {
        let report: Value = serde_json::from_str(output).unwrap();
        report["rows"][0]["fitted"].is_number()
    };
    let silent = command(&root(), &attack).output().unwrap();
    assert!(silent.status.success() && fitted(&stdout(&silent)) && !stderr(&silent).contains("warning"));

    let change = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut changed = report.clone();
        change(changed.as_object_mut().unwrap());
        fs::write(&stored, changed.to_string()).unwrap();
    };
    let other = "0".repeat(64);
    change(&|report| {
        report["weights_sha256"] = other.clone().into();
    });
    let parts = [
        "robust.json: its sparsity was fitted to other weights (SHA-256 0000",
        report["weights_sha256"].as_str().unwrap(),
        "run `scn robust` again, or move the file away",
    ];
    assert!(refused(&attack, 3, &parts).is_empty());
    change(&|report| {
        report.remove("weights_sha256");
    });
    let older = command(&root(), &attack).output().unwrap();
    assert!(older.status.success() && fitted(&stdout(&older)));
    assert_contains(
        &stderr(&older),
        &["warning: ", "these are taken to be them", "scn robust"],
    );
}
