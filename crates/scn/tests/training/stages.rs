//! Signals at every stage of a run.

use std::io::{BufRead, BufReader};

use crate::common::{
    Bench, SIGHUP, SIGKILL, SIGUSR1, SIGUSR2, assert_same, assert_says, metrics, reference, result, with,
};
use crate::signals::{SIGTERM, signal, text, wait_for};

/// Evaluation takes many times as long as the only step of the only epoch.
const SLOW_EVALUATION: [&str; 6] = [
    "data.train_images=16",
    "train.epochs=1",
    "model.solver.method=fista",
    "model.solver.tolerance=0",
    "model.solver.max_iterations=300",
    "model.width=4",
];

#[test]
fn every_signal_saves_and_exits() {
    for (number, code) in [
        (SIGHUP, 129),
        (SIGUSR1, 128 + SIGUSR1),
        (SIGUSR2, 128 + SIGUSR2),
        (SIGTERM, 143),
    ] {
        let bench = Bench::new();
        let mut child = bench.start(&["--out", "run"]);
        wait_for(&mut child, || bench.path("run/.lock").exists());
        signal(child.id(), number);
        let output = child.wait_with_output().unwrap();
        let saved = format!("stopped by signal {number}; saved in run; go on with --out run --resume");
        assert_says(&output, code, &[&saved]);
        assert!(bench.state("run/checkpoints/last")["step"].as_u64().unwrap() >= 1);
        bench.finish(&["--out", "run", "--resume"]);
        assert_same(&result(&bench.path("run")), &reference().0, &format!("signal {number}"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_numbers_are_those_of_the_manual() {
    assert_eq!([128 + SIGHUP, 128 + SIGUSR1, 128 + SIGUSR2], [129, 138, 140]);
}

#[test]
fn under_nohup_a_hang_up_is_ignored() {
    let bench = Bench::new();
    // What nohup does, without its file for the output.
    let mut child = bench.prepared("trap '' HUP", &["--out", "run"]).spawn().unwrap();
    for reached in ["run/.lock", "run/checkpoints/last"] {
        wait_for(&mut child, || bench.path(reached).exists());
        signal(child.id(), SIGHUP);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_same(&result(&bench.path("run")), &reference().0, "nohup");
}

#[test]
fn before_there_is_a_run_nothing_is_left() {
    let bench = Bench::new();
    // A second of drawing weights.
    let large = ["model.width=32", "model.kernel=9"];
    let mut child = bench.start(&with(&["--out", "run"], &large));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    signal(child.id(), SIGTERM);
    stderr.read_line(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{line}");
    assert!(
        line.ends_with("stopped by signal 15 before the first step; nothing was begun\n"),
        "{line}"
    );
    assert!(!bench.path("run").exists());
}

#[test]
fn a_resumed_run_that_made_no_step_is_as_it_was() {
    let bench = Bench::new();
    let mut child = bench.start(&["--out", "run"]);
    wait_for(&mut child, || bench.path("run/checkpoints/last").exists());
    signal(child.id(), SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    // Several starts, each stopped as soon as it has read the run.
    for _ in 0..3 {
        let mut child = bench.start(&["--out", "run", "--resume"]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        signal(child.id(), SIGTERM);
        assert_eq!(child.wait().unwrap().code(), Some(143), "{line}");
    }
    bench.finish(&["--out", "run", "--resume"]);
    assert_same(&result(&bench.path("run")), &reference().0, "stopped while resuming");
}

#[test]
fn while_validating_the_epochs_steps_are_kept() {
    let sets = [
        &SLOW_EVALUATION[..],
        // A checkpoint after every step: there is one when validation begins.
        &[
            "data.validation=400",
            "data.test_images=16",
            "run.checkpoint_minutes=1e-9",
        ],
    ]
    .concat();
    let bench = Bench::new();
    bench.finish(&with(&["--out", "whole"], &sets));
    let mut child = bench.start(&with(&["--out", "cut"], &sets));
    wait_for(&mut child, || bench.path("cut/checkpoints/last").exists());
    signal(child.id(), SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let state = bench.state("cut/checkpoints/last");
    assert_eq!((&state["epoch"], &state["batch"]), (&0.into(), &1.into()));
    bench.finish(&with(&["--out", "cut", "--resume"], &sets));
    assert_same(&result(&bench.path("cut")), &result(&bench.path("whole")), "validating");
}

#[test]
fn while_testing_nothing_is_lost_but_the_test() {
    let sets = [&SLOW_EVALUATION[..], &["data.validation=16", "data.test_images=360"]].concat();
    let bench = Bench::new();
    bench.finish(&with(&["--out", "whole"], &sets));
    let mut child = bench.start(&with(&["--out", "cut"], &sets));
    wait_for(&mut child, || bench.path("cut/checkpoints/last").exists());
    signal(child.id(), SIGTERM);
    let output = child.wait_with_output().unwrap();
    assert_says(&output, 143, &["stopped by signal 15; saved in cut"]);
    assert!(metrics(&bench.path("cut")).iter().all(|line| line["split"] != "test"));
    let output = bench.finish(&with(&["--out", "cut", "--resume"], &sets));
    assert!(text(&output.stdout).contains("test        top-1 "));
    assert_same(&result(&bench.path("cut")), &result(&bench.path("whole")), "testing");
}

#[test]
fn checkpoints_inside_epochs_change_nothing() {
    let bench = Bench::new();
    // After every step, and while the epoch's sums lie on the device.
    let mut child = bench.start(&["--out", "run", "--set", "run.checkpoint_minutes=1e-9"]);
    let inside = || {
        let state = std::fs::read(bench.path("run/checkpoints/last/state.json")).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap_or_default();
        state["epoch"].as_u64() > Some(0) && state["batch"].as_u64() > Some(0)
    };
    wait_for(&mut child, inside);
    signal(child.id(), SIGKILL);
    child.wait().unwrap();
    let state = bench.state("run/checkpoints/last");
    assert!(state["step"].as_u64() > Some(10), "{state}");
    let output = bench.finish(&["--out", "run", "--resume", "--set", "run.checkpoint_minutes=1e-9"]);
    assert!(!text(&output.stderr).contains("epoch 1/3"), "{}", text(&output.stderr));
    assert_same(&result(&bench.path("run")), &reference().0, "saved after every step");
}
