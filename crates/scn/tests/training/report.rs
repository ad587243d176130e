//! What `scn train` says and returns.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{Bench, assert_same, metrics, reference, result};
use crate::signals::{SIGTERM, signal, text, wait_for};

#[test]
fn diverging_training_keeps_the_last_good_checkpoint() {
    let bench = Bench::new();
    // A good checkpoint, then a learning rate that no weights survive.
    let mut child = bench.start(&["--out", "run"]);
    wait_for(&mut child, || bench.path("run/checkpoints/last/manifest.json").exists());
    signal(child.id(), SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let resolved = bench.path("run/resolved.toml");
    let changed = fs::read_to_string(&resolved)
        .unwrap()
        .replace("learning_rate = 0.05", "learning_rate = 1e300");
    fs::write(resolved, changed).unwrap();
    let checkpoint = || -> Vec<_> {
        let files = [
            "model.safetensors",
            "optimizer.safetensors",
            "state.json",
            "manifest.json",
        ];
        files
            .iter()
            .map(|file| fs::read(bench.path("run/checkpoints/last").join(file)).unwrap())
            .collect()
    };
    let before = checkpoint();
    let output = bench.run(&[
        "--out",
        "run",
        "--resume",
        "--set",
        "train.optimizer.learning_rate=1e300",
    ]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    let message = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    let epoch = bench.state("run/checkpoints/last")["epoch"].as_u64().unwrap() + 1;
    assert!(
        message.contains(&format!("training diverged in epoch {epoch}, batch ")),
        "{message}"
    );
    assert!(
        message.contains("layers.") && message.contains("train.optimizer.learning_rate"),
        "{message}"
    );
    assert_eq!(stderr.matches("training diverged").count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(checkpoint() == before);
    assert!(
        fs::read_to_string(bench.path("run/log.txt"))
            .unwrap()
            .contains("training diverged")
    );
}

#[test]
fn broken_weights_are_not_saved_where_the_loss_does_not_show_them_yet() {
    let bench = Bench::new();
    // The only step of the epoch breaks the weights, after its loss was found.
    let sets = [
        "train.optimizer.learning_rate=1e300",
        "data.train_images=16",
        "train.epochs=1",
    ];
    let mut arguments = vec!["--out", "run"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let output = bench.run(&arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("training diverged in epoch 1, batch 1: "), "{stderr}");
    assert!(stderr.contains("holds values that are not finite"), "{stderr}");
    assert_eq!(fs::read_dir(bench.path("run/checkpoints")).unwrap().count(), 0);
}

#[test]
fn a_minimum_that_leaves_no_code_ends_training_after_the_first_batch() {
    let bench = Bench::new();
    let model = "model={ kind = \"ml-csc\", threshold.minimum = 50.0 }";
    let output = bench.run(&["--out", "run", "--set", model]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("no code of layers.0 is other than 0 in the first batch")
            && stderr.contains("5.000e1")
            && stderr.contains("model.threshold.minimum"),
        "{stderr}"
    );
    assert_eq!(fs::read_dir(bench.path("run/checkpoints")).unwrap().count(), 0);
}

#[test]
fn exit_codes_of_what_cannot_start() {
    let bench = Bench::new();
    let code = |arguments: &[&str], code, says: &str| {
        let output = bench.run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains(says) && output.stdout.is_empty(),
            "{arguments:?}: {stderr}"
        );
        assert!(
            !bench.path("run").exists() && !bench.path("runs").exists(),
            "{arguments:?} leaves files"
        );
    };
    code(&["--frobnicate"], 2, "--frobnicate");
    code(&["--set"], 2, "--set");
    code(&["--set", "train.epoch=3", "--out", "run"], 3, "did you mean");
    code(&["--set", "train.epochs=many", "--out", "run"], 3, "train.epochs");
    code(&["--resume"], 1, "no run to resume");
    let output = Command::new(env!("CARGO_BIN_EXE_scn"))
        .args(["train", "missing.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("missing.toml: cannot read the experiment file"));
    let missing = [
        "--set",
        "data.dataset=cifar10",
        "--set",
        "data.dir=nowhere",
        "--out",
        "run",
    ];
    let output = bench.run(&missing);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("nowhere"));

    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/notes.txt"), "mine").unwrap();
    for arguments in [&["--out", "full"][..], &["--out", "full", "--resume"]] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("full: this folder is not empty and holds no run"));
    }
    assert_eq!(fs::read_dir(bench.path("full")).unwrap().count(), 1);
}

#[test]
fn output_of_a_run_and_of_resuming_a_finished_one() {
    let bench = Bench::new();
    let output = bench.finish(&["--out", "run", "--json", "--set", "train.epochs=2"]);
    let check = |output: &Output| -> Value {
        let stdout = text(&output.stdout);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        assert!(
            !stdout.contains('\x1b') && !text(&output.stderr).contains('\x1b'),
            "{}",
            text(&output.stderr)
        );
        serde_json::from_str(&stdout).unwrap()
    };
    let report = check(&output);
    let mut keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "epochs",
        "images_per_second",
        "run_dir",
        "seconds",
        "test_top1",
        "test_top5",
        "train_loss",
        "validation_top1",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&report["run_dir"], &report["epochs"]), (&"run".into(), &2.into()));
    assert!(report["seconds"].as_f64().unwrap() > 0.0 && report["images_per_second"].as_f64().unwrap() > 0.0);
    let stderr = text(&output.stderr);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    assert!(
        lines[0].starts_with("small on cpu: ") && lines[0].ends_with(", in run"),
        "{stderr}"
    );
    assert!(
        lines[1].starts_with("epoch 1/2: loss ") && lines[2].starts_with("epoch 2/2: loss "),
        "{stderr}"
    );

    let lines = metrics(&bench.path("run"));
    let split = |line: &Value| {
        (
            line["epoch"].as_u64().unwrap(),
            line["split"].as_str().unwrap().to_owned(),
        )
    };
    let splits: Vec<_> = lines.iter().map(split).collect();
    let test = splits[4].0;
    let expected = [
        (1, "train"),
        (1, "validation"),
        (2, "train"),
        (2, "validation"),
        (test, "test"),
    ];
    assert_eq!(splits, expected.map(|(epoch, split)| (epoch, split.to_owned())));
    for line in &lines {
        for key in ["loss", "top1", "top5"] {
            assert!(line[key].is_f64(), "{key} in {line}");
        }
        assert_eq!(line["learning_rate"].is_f64(), line["split"] == "train", "{line}");
        let layers = line["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 14);
        for layer in layers {
            for key in ["iterations", "kkt_mean", "kkt_max", "active", "lambda1"] {
                assert!(layer[key].is_f64(), "{key} in {layer}");
            }
            assert!(layer["unused_atoms"].is_u64() && layer["name"].is_string(), "{layer}");
        }
    }
    assert_eq!(lines[4]["top1"], report["test_top1"]);
    assert_eq!(lines[4]["top5"], report["test_top5"]);
    assert_eq!(lines[2]["loss"], report["train_loss"]);
    let best = if lines[3]["top1"].as_f64() > lines[1]["top1"].as_f64() {
        3
    } else {
        1
    };
    assert_eq!(
        (&lines[best]["top1"], &lines[best]["epoch"]),
        (&report["validation_top1"], &lines[4]["epoch"])
    );

    // A finished run is tested again, and nothing else.
    let before = result(&bench.path("run"));
    let output = bench.finish(&["--out", "run", "--json", "--set", "train.epochs=2", "--resume"]);
    assert_eq!(check(&output), report);
    assert!(!text(&output.stderr).contains("epoch 1/2"), "{}", text(&output.stderr));
    assert_same(&result(&bench.path("run")), &before, "tested again");

    // For people.
    let output = bench.finish(&["--out", "run", "--set", "train.epochs=2", "--resume"]);
    let stdout = text(&output.stdout);
    assert!(
        stdout.starts_with("run ") && stdout.contains("\ntest        top-1 ") && !stdout.contains('\x1b'),
        "{stdout}"
    );
    let again = bench.run(&["--out", "run", "--set", "train.epochs=2"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("run: this folder holds a run; go on with it with --resume"));
    let changed = bench.run(&["--out", "run", "--resume"]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(text(&changed.stderr).contains("train.epochs was 2, is 3"));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let bench = Bench::new();
    bench.finish(&["--out", "run"]);
    let expected = &reference().0;
    let damage = |name: &str| {
        let path = bench.path("run/checkpoints").join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.pop();
        fs::write(path, bytes).unwrap();
    };
    damage("last/model.safetensors");
    // Its step may be that of `last`; it would be used first.
    fs::remove_dir_all(bench.path("run/checkpoints/best")).unwrap();
    let output = bench.finish(&["--out", "run", "--resume"]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("last/model.safetensors: damaged: "), "{stderr}");
    assert!(
        stderr.contains("using checkpoints/previous instead") && !stderr.contains('\x1b'),
        "{stderr}"
    );
    assert_same(&result(&bench.path("run")), expected, "last was damaged");
    // The damaged one did not take the place of the good one before it.
    assert_eq!(bench.state("run/checkpoints/previous")["epoch"], 2);
    assert!(bench.path("run/checkpoints/damaged").exists());

    for name in [
        "last/state.json",
        "previous/optimizer.safetensors",
        "best/manifest.json",
    ] {
        damage(name);
    }
    let output = bench.run(&["--out", "run", "--resume"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for name in [
        "last/state.json: damaged",
        "previous/optimizer.safetensors: damaged",
        "best/manifest.json: ",
    ] {
        assert!(stderr.contains(name), "{stderr}");
    }
}
