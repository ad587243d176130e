//! The folder of a run: whose it is, and what is in it after a crash.

use std::fs;

use scn_train::{RunFolder, RunFolderError, default_path, holds_run, newest_run};
use serde_json::json;
use time::macros::datetime;

use crate::common::{assert_says, message, small};

#[test]
fn a_new_run_writes_its_experiment() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/a");
    let loaded = small(&["train.epochs=9"]);
    let run = RunFolder::create(&path, &loaded).unwrap();
    assert!(holds_run(&path));
    assert_eq!(fs::read_to_string(path.join("experiment.toml")).unwrap(), loaded.source);
    assert_eq!(RunFolder::experiment(&path).unwrap(), loaded.experiment);
    run.add_environment(&json!({"a": 1})).unwrap();
    run.add_environment(&json!({"a": 2})).unwrap();
    let environment = fs::read(path.join("environment.json")).unwrap();
    let starts: serde_json::Value = serde_json::from_slice(&environment).unwrap();
    assert_eq!(starts, json!([{"a": 1}, {"a": 2}]));
    assert_eq!(run.checkpoints(), path.join("checkpoints"));
}

#[test]
fn occupied_foreign_and_locked_folders_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    let loaded = small(&[]);
    let run = RunFolder::create(&path, &loaded).unwrap();
    let error = RunFolder::resume(&path, &loaded.experiment).unwrap_err();
    assert_eq!(message(error, root.path()), "a: another process is working on this run");
    let occupied = "a: this folder holds a run; go on with it with --resume, or give another --out";
    assert_eq!(
        message(RunFolder::create(&path, &loaded).unwrap_err(), root.path()),
        occupied
    );
    drop(run);
    assert_eq!(
        message(RunFolder::create(&path, &loaded).unwrap_err(), root.path()),
        occupied
    );
    RunFolder::resume(&path, &loaded.experiment).unwrap();

    let foreign = root.path().join("b");
    for name in ["notes.txt", "experiment.toml", "checkpoints"] {
        fs::create_dir_all(&foreign).unwrap();
        fs::write(foreign.join(name), "mine").unwrap();
        let error = RunFolder::create(&foreign, &loaded).unwrap_err();
        assert_eq!(
            message(error, root.path()),
            "b: this folder is not empty and holds no run; give another --out"
        );
        assert_eq!(fs::read_to_string(foreign.join(name)).unwrap(), "mine");
        fs::remove_dir_all(&foreign).unwrap();
    }
    // Beside a lock too.
    fs::create_dir_all(foreign.join("checkpoints/mine")).unwrap();
    fs::write(foreign.join(".lock"), "").unwrap();
    assert!(matches!(
        RunFolder::create(&foreign, &loaded),
        Err(RunFolderError::Foreign(_))
    ));
    fs::remove_dir_all(&foreign).unwrap();

    let file = root.path().join("file");
    fs::write(&file, "mine").unwrap();
    let error = RunFolder::create(&file, &loaded).unwrap_err();
    assert_says(&message(error, root.path()), &["file: cannot read the folder: "]);
    fs::create_dir(root.path().join("empty")).unwrap();
    RunFolder::create(&root.path().join("empty"), &loaded).unwrap();
}

#[test]
fn what_a_killed_start_left_is_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let loaded = small(&[]);
    // In the order in which they come into being.
    let steps: [&[&str]; 5] = [
        &[".lock"],
        &[".lock", "checkpoints/"],
        &[".lock", "checkpoints/", ".experiment.toml.part"],
        &[".lock", "checkpoints/", "experiment.toml"],
        &[".lock", "checkpoints/", "experiment.toml", ".resolved.toml.part"],
    ];
    for (i, names) in steps.iter().enumerate() {
        let path = root.path().join(i.to_string());
        fs::create_dir(&path).unwrap();
        for name in *names {
            match name.strip_suffix('/') {
                Some(folder) => fs::create_dir(path.join(folder)).unwrap(),
                None => fs::write(path.join(name), "ha").unwrap(),
            }
        }
        assert!(!holds_run(&path));
        RunFolder::create(&path, &loaded).unwrap();
        assert_eq!(RunFolder::experiment(&path).unwrap(), loaded.experiment);
    }
}

#[test]
fn only_the_same_training_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    let missing = RunFolder::resume(&path, &small(&[]).experiment).unwrap_err();
    assert_eq!(
        message(missing, root.path()),
        "a: no run to resume here; start one without --resume"
    );
    drop(RunFolder::create(&path, &small(&[])).unwrap());

    let changed = small(&["train.epochs=4", "model.width=2"]).experiment;
    let error = message(RunFolder::resume(&path, &changed).unwrap_err(), root.path());
    let parts = [
        "a: this run was started with another experiment: ",
        "model.width was 1, is 2",
        "train.epochs was 3, is 4",
        "; start a new run for the changed one",
    ];
    assert_says(&error, &parts);
    RunFolder::resume(&path, &small(&["run.threads=2", "run.checkpoint_every=5"]).experiment).unwrap();

    fs::write(path.join("resolved.toml"), "half a fi").unwrap();
    let error = message(
        RunFolder::resume(&path, &small(&[]).experiment).unwrap_err(),
        root.path(),
    );
    assert_says(&error, &["a/resolved.toml: "]);
}

#[test]
fn metrics_are_cut_to_the_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    let metrics = path.join("metrics.jsonl");
    let line = |epoch: usize, split: &str| json!({"epoch": epoch, "split": split, "loss": 0.1 + 0.2});
    let mut run = RunFolder::create(&path, &small(&[])).unwrap();
    for epoch in 1..=3 {
        run.add_metrics(&line(epoch, "train")).unwrap();
        run.add_metrics(&line(epoch, "validation")).unwrap();
    }
    let whole = fs::read_to_string(&metrics).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6);
    run.truncate_metrics(3).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), whole);

    // The test is done again by every start: one line of it at most.
    run.add_metrics(&line(2, "test")).unwrap();
    run.truncate_metrics(3).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), whole);

    run.truncate_metrics(2).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), lines[..4].concat());
    // What is added next follows.
    run.add_metrics(&line(3, "train")).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), lines[..5].concat());

    // A last line cut off at any byte, in a file of another process.
    drop(run);
    for kept in 1..lines[4].len() {
        fs::write(&metrics, [&lines[..4].concat(), &lines[4][..kept]].concat()).unwrap();
        let mut run = RunFolder::resume(&path, &small(&[]).experiment).unwrap();
        run.truncate_metrics(2).unwrap();
        run.add_metrics(&line(3, "train")).unwrap();
        assert_eq!(
            fs::read_to_string(&metrics).unwrap(),
            lines[..5].concat(),
            "{kept} bytes"
        );
    }
    let mut run = RunFolder::resume(&path, &small(&[]).experiment).unwrap();
    run.truncate_metrics(0).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), "");
}

#[test]
fn runs_are_found_by_their_time() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(newest_run(root.path(), "small").unwrap(), None);
    let times = [
        datetime!(2026-01-02 03:04:05 +2),
        datetime!(2026-01-02 01:04:04 UTC),
        datetime!(2025-12-31 23:59:59 UTC),
    ];
    let paths = times.map(|time| default_path(root.path(), "small", time));
    assert_eq!(paths[0], root.path().join("small/2026-01-02T01-04-05Z"));
    for path in &paths {
        drop(RunFolder::create(path, &small(&[])).unwrap());
    }
    // No run, though later by name.
    fs::create_dir_all(root.path().join("small/2027-01-01T00-00-00Z")).unwrap();
    assert_eq!(newest_run(root.path(), "small").unwrap().as_ref(), Some(&paths[0]));
}

#[test]
fn a_run_that_could_not_start_is_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let loaded = small(&[]);
    let entries = || fs::read_dir(root.path()).unwrap().count();

    let run = RunFolder::create(&root.path().join("a/b/c"), &loaded).unwrap();
    run.add_environment(&json!({})).unwrap();
    drop(run.log().unwrap());
    run.discard();
    assert_eq!(entries(), 0);

    // Folders that were there stay, and what others put into new ones.
    fs::create_dir(root.path().join("a")).unwrap();
    let run = RunFolder::create(&root.path().join("a"), &loaded).unwrap();
    run.discard();
    assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 0);
    let run = RunFolder::create(&root.path().join("b/c"), &loaded).unwrap();
    fs::write(root.path().join("b/notes.txt"), "mine").unwrap();
    run.discard();
    assert!(!root.path().join("b/c").exists() && root.path().join("b/notes.txt").exists());

    // A run that has saved something is none of these.
    let path = root.path().join("d");
    let run = RunFolder::create(&path, &loaded).unwrap();
    fs::create_dir(run.checkpoints().join("last")).unwrap();
    run.discard();
    assert!(holds_run(&path));
}
