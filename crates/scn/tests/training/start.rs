//! Starts that fail before the first step.

use std::fs;

use crate::common::{Bench, assert_says, with};

#[test]
fn missing_data_leaves_no_folder() {
    let bench = Bench::new();
    let missing = ["data.dataset=cifar10", "data.dir=nowhere"];
    // The second try is told the same as the first.
    for _ in 0..2 {
        let output = bench.run(&with(&["--out", "deep/run"], &missing));
        assert_says(&output, 3, &["nowhere does not exist"]);
        assert!(!bench.path("deep").exists());
        assert_says(&bench.run(&with(&[], &missing)), 3, &["nowhere does not exist"]);
        assert!(!bench.path("runs").exists());
    }
    bench.finish(&with(&["--out", "deep/run"], &["train.epochs=1"]));
}

#[test]
fn a_folder_that_was_there_stays_as_it_was() {
    let bench = Bench::new();
    fs::create_dir(bench.path("run")).unwrap();
    let missing = ["data.dataset=cifar10", "data.dir=nowhere"];
    assert_says(&bench.run(&with(&["--out", "run"], &missing)), 3, &["nowhere"]);
    // As far as its first file, the experiment's.
    let output = bench.prepared("ulimit -f 0", &["--out", "run"]).output().unwrap();
    assert_says(&output, 1, &["run/experiment.toml: cannot write: File too large"]);
    assert_eq!(fs::read_dir(bench.path("run")).unwrap().count(), 0);
    bench.finish(&with(&["--out", "run"], &["train.epochs=1"]));
}

#[test]
fn a_missing_device_leaves_no_folder() {
    let bench = Bench::new();
    let mut command = bench.command(&["--out", "run", "--set", "run.device=wgpu"]);
    let output = command
        .env("CUBECL_WGPU_DEFAULT_DEVICE", "DiscreteGpu(99)")
        .output()
        .unwrap();
    assert_says(&output, 1, &["error: "]);
    assert!(!bench.path("run").exists());
}

#[test]
fn a_folder_that_cannot_be_filled_is_removed() {
    let bench = Bench::new();
    for limit in ["ulimit -f 0", "ulimit -f 1"] {
        let output = bench.prepared(limit, &["--out", "deep/run"]).output().unwrap();
        assert_says(&output, 1, &["deep/run/", ".toml: cannot write: File too large"]);
        // Said once.
        assert_eq!(
            crate::signals::text(&output.stderr).matches("File too large").count(),
            1
        );
        assert!(!bench.path("deep").exists());
    }
}
