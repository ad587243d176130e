//! Runs that are killed and resumed end as runs that were not.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Bench, RECIPE, SIGKILL, assert_same, metrics, reference, result, with};
use crate::signals::{SIGINT, SIGTERM, signal, text, wait_for};

/// Uniform numbers from 0 to 1 (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Kills runs at random moments, each run up to `kills` times, and resumes them, until `wanted` kills have struck.
fn torture(seed: u64, kills: usize, wanted: usize) {
    let (expected, duration) = reference();
    let mut random = Random(seed);
    let mut struck = 0;
    for run in 0.. {
        if struck >= wanted {
            return;
        }
        assert!(
            run < 3 * wanted,
            "only {struck} kills struck a run that was not over yet"
        );
        let bench = Bench::new();
        // Files and threads may change from start to start, results not.
        let every = format!("run.checkpoint_every={}", 1 + run % 2);
        let mut context = format!("seed {seed}, run {run}");
        for kill in 0..kills {
            let threads = format!("run.threads={}", 1 + (run + kill) % 2);
            // Half of the runs save after every step, so that most kills strike a save.
            let minutes = format!("run.checkpoint_minutes={}", ["10", "1e-9"][run / 2 % 2]);
            let (number, name) = [(SIGKILL, "KILL"), (SIGTERM, "TERM"), (SIGINT, "INT")][(run + kill) % 3];
            // Resuming before anything was saved begins anew.
            let mut child = bench.start(&[
                "--out", "run", "--resume", "--set", &every, "--set", &threads, "--set", &minutes,
            ]);
            let moment = duration.mul_f64(random.next() * 1.6 / kills as f64);
            std::thread::sleep(moment);
            signal(child.id(), number);
            let status = child.wait().unwrap();
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            context = format!("{context}; {name} after {moment:?}: {status}");
            if status.success() {
                break;
            }
            struck += 1;
            if status.signal() == Some(number) {
                // SIGTERM and SIGINT end the process only before it handles them, which is before it says anything.
                assert!(number == SIGKILL || stderr.is_empty(), "{context}: {stderr}");
                continue;
            }
            assert_eq!(status.code(), Some(128 + number), "{context}: {stderr}");
            let saved = format!("stopped by signal {number}; saved in run");
            assert!(stderr.contains(&saved), "{context}: {stderr}");
            assert!(bench.path("run/checkpoints/last/manifest.json").exists(), "{context}");
        }
        bench.finish(&["--out", "run", "--resume"]);
        assert_same(&result(&bench.path("run")), expected, &context);
    }
}

#[test]
fn killed_at_random_moments() {
    torture(1, 2, 14);
}

#[test]
fn killed_again_and_again() {
    torture(2, 5, 12);
}

#[test]
fn results_do_not_depend_on_threads() {
    // Larger batches and layers than SMALL's, so that there is work to share.
    let wide = [
        "data.batch_size=100",
        "model.width=2",
        "model.first_width=16",
        "train.epochs=1",
    ];
    let bench = Bench::new();
    let run = |threads: usize| {
        let (out, threads) = (format!("run{threads}"), format!("run.threads={threads}"));
        let mut arguments = vec!["--out", &out, "--set", &threads];
        wide.iter().for_each(|set| arguments.extend(["--set", set]));
        bench.finish(&arguments);
        result(&bench.path(&out))
    };
    let one = run(1);
    for threads in [2, 3] {
        assert_same(&run(threads), &one, &format!("{threads} threads"));
    }
    let bench = Bench::new();
    bench.finish(&["--out", "run", "--set", "run.threads=2"]);
    assert_same(&result(&bench.path("run")), &reference().0, "2 threads");
}

#[test]
fn a_fixed_lambda1_stays_fixed_after_resuming() {
    let bench = Bench::new();
    let set = [
        "--set",
        "model.lambda1.learned=false",
        "--set",
        "model.lambda1.initial=0.01",
        "--set",
        "train.epochs=2",
    ];
    let arguments = |out: &'static str| [&["--out", out, "--resume"][..], &set].concat();
    bench.finish(&arguments("whole"));
    let mut child = bench.start(&arguments("cut"));
    wait_for(&mut child, || bench.path("cut/.lock").exists());
    signal(child.id(), SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    bench.finish(&arguments("cut"));
    assert_same(&result(&bench.path("cut")), &result(&bench.path("whole")), "λ₁ fixed");
    for line in metrics(&bench.path("cut")) {
        assert!((line["layers"][3]["lambda1"].as_f64().unwrap() - 0.01).abs() < 1e-8);
    }
}

#[test]
fn a_run_with_a_recipe_goes_on_bit_for_bit() {
    let bench = Bench::new();
    bench.finish(&with(&["--out", "whole"], &RECIPE));
    let whole = result(&bench.path("whole"));
    let unaveraged = |run: &str| bench.path(run).join("checkpoints/last/unaveraged.safetensors");
    assert!(unaveraged("whole").exists());
    // A checkpoint after every step.
    let sets = [&RECIPE[..], &["run.checkpoint_minutes=1e-9"]].concat();
    for (run, number, reached) in [
        ("killed", SIGKILL, (0, 3)),
        ("killed later", SIGKILL, (1, 5)),
        ("stopped", SIGTERM, (1, 1)),
    ] {
        let arguments = with(&["--out", run, "--resume"], &sets);
        let mut child = bench.start(&arguments);
        let state = bench.path(run).join("checkpoints/last/state.json");
        wait_for(&mut child, || {
            let state: Value = serde_json::from_slice(&fs::read(&state).unwrap_or_default()).unwrap_or_default();
            (state["epoch"].as_u64(), state["batch"].as_u64()) >= (Some(reached.0), Some(reached.1))
        });
        signal(child.id(), number);
        assert!(!child.wait().unwrap().success(), "{run}: it was over before");
        let step = bench.state(&format!("{run}/checkpoints/last"))["step"].as_u64();
        assert!(step < Some(39), "{run}: {step:?}");
        bench.finish(&arguments);
        assert_same(&result(&bench.path(run)), &whole, run);
    }
}

#[test]
fn the_average_is_what_is_tested_and_evaluated() {
    let bench = Bench::new();
    bench.finish(&with(&["--out", "run"], &["train.ema.decay=0.9"]));
    let evaluated = |run: &str| {
        let output = bench.other(&["eval", run, "--device", "cpu", "--json"]);
        let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
        (evaluation["loss"].clone(), evaluation["top1"].clone())
    };
    let tested = metrics(&bench.path("run")).pop().unwrap();
    assert_eq!(tested["split"], "test");
    assert_eq!(evaluated("run"), (tested["loss"].clone(), tested["top1"].clone()));
    // Its steps are those of a run without an average, and so are the weights beside it.
    let (reference, _) = reference();
    for (averaged, plain) in metrics(&bench.path("run")).iter().zip(&reference.metrics) {
        let of_training = averaged["split"] == "train";
        assert_eq!(averaged["loss"] == plain["loss"], of_training, "{averaged}");
    }
    let unaveraged = fs::read(bench.path("run/checkpoints/last/unaveraged.safetensors")).unwrap();
    let weights = reference
        .files
        .iter()
        .find(|(name, _)| name == "checkpoints/last/model.safetensors");
    assert!(weights.unwrap().1 == unaveraged);
}

#[test]
fn views_are_of_the_test_and_of_eval_alone() {
    let bench = Bench::new();
    let sets = ["run.test_time=flip"];
    bench.finish(&with(&["--out", "run"], &sets));
    let (reference, _) = reference();
    let found = metrics(&bench.path("run"));
    for (line, plain) in found.iter().zip(&reference.metrics) {
        let tested = line["split"] == "test";
        assert_eq!(line["loss"] == plain["loss"], !tested, "{line}");
    }
    let output = bench.other(&["eval", "run", "--device", "cpu", "--json"]);
    let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(evaluation["test_time"], "flip");
    assert_eq!(evaluation["loss"], found.last().unwrap()["loss"]);
    let output = bench.other(&["eval", "run", "--device", "cpu"]);
    assert!(text(&output.stdout).contains("views       flip\n"));
    // A run that was tested one way does not go on another way.
    let output = bench.run(&with(&["--out", "run", "--resume"], &["run.test_time=none"]));
    assert_ne!(output.status.code(), Some(0));
    let says = text(&output.stderr);
    assert!(says.contains("run.test_time was \"flip\", is \"none\""), "{says}");
}

#[test]
fn without_validation_the_last_weights_are_tested() {
    let bench = Bench::new();
    let arguments = |out: &'static str| {
        [
            "--out",
            out,
            "--resume",
            "--set",
            "data.validation=0",
            "--set",
            "train.epochs=2",
            "--json",
        ]
    };
    let whole: Value = serde_json::from_slice(&bench.finish(&arguments("whole")).stdout).unwrap();
    let mut child = bench.start(&arguments("cut"));
    wait_for(&mut child, || {
        bench
            .path("cut/metrics.jsonl")
            .metadata()
            .is_ok_and(|file| file.len() > 0)
    });
    signal(child.id(), SIGTERM);
    let _ = child.wait().unwrap();
    let cut: Value = serde_json::from_slice(&bench.finish(&arguments("cut")).stdout).unwrap();
    let weights = |run: &str| fs::read(bench.path(run).join("checkpoints/last/model.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"));
    assert_eq!(metrics(&bench.path("whole")), metrics(&bench.path("cut")));
    assert!(!bench.path("whole/checkpoints/best").exists());
    assert_eq!(
        (&whole["validation_top1"], &whole["test_top1"]),
        (&Value::Null, &cut["test_top1"])
    );
    // The checkpoint holds what was tested, running statistics included.
    let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
    command
        .current_dir(bench.folder.path())
        .args(["eval", "whole", "--device", "cpu", "--json"]);
    let output = command.output().unwrap();
    let mut evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
    // A test in training has no backward pass.
    for layer in evaluation["layers"].as_array_mut().unwrap() {
        assert!(layer.as_object_mut().unwrap().remove("backward").is_some());
    }
    let tested = metrics(&bench.path("whole")).pop().unwrap();
    assert_eq!(tested["split"], "test");
    for key in ["loss", "top1", "top5", "layers", "images"] {
        assert_eq!(evaluation[key], tested[key], "{key}");
    }
}

#[test]
fn stopped_before_the_first_step() {
    for number in [SIGTERM, SIGINT] {
        let bench = Bench::new();
        let mut child = bench.start(&["--out", "run"]);
        wait_for(&mut child, || bench.path("run/.lock").exists());
        signal(child.id(), number);
        assert_eq!(child.wait().unwrap().code(), Some(128 + number));
        let state = bench.state("run/checkpoints/last");
        // The step that it was in, or the first.
        assert_eq!(state["epoch"], 0);
        assert!((1..=3).contains(&state["step"].as_u64().unwrap()), "{state}");
        bench.finish(&["--out", "run", "--resume"]);
        assert_same(&result(&bench.path("run")), &reference().0, &format!("signal {number}"));
    }
}

#[test]
fn killed_before_anything_is_saved() {
    let bench = Bench::new();
    // The folder is there before its files are.
    for reached in ["run", "run/.lock", "run/resolved.toml"] {
        let mut child = bench.start(&["--out", "run", "--resume"]);
        wait_for(&mut child, || bench.path(reached).exists());
        signal(child.id(), SIGKILL);
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
        assert!(!bench.path("run/checkpoints/last").exists());
    }
    bench.finish(&["--out", "run", "--resume"]);
    assert_same(&result(&bench.path("run")), &reference().0, "killed at the start");
}

#[test]
fn stopped_during_an_evaluation() {
    // One step an epoch, and sixty batches of validation.
    let sets = [
        "data.train_images=16",
        "data.validation=1000",
        "data.test_images=16",
        "train.epochs=2",
    ];
    let arguments = |out: &'static str| {
        let mut arguments = vec!["--out", out, "--resume"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments
    };
    let bench = Bench::new();
    let started = Instant::now();
    bench.finish(&arguments("whole"));
    let duration = started.elapsed();
    let whole = result(&bench.path("whole"));
    let mut observed = 0;
    for moment in [0.3, 0.4, 0.5, 0.6, 0.7, 0.8] {
        let mut child = bench.start(&arguments("cut"));
        std::thread::sleep(duration.mul_f64(moment));
        wait_for(&mut child, || bench.path("cut/.lock").exists());
        signal(child.id(), SIGTERM);
        if child.wait().unwrap().code() == Some(143) {
            // All of the epoch's one batch is done, the epoch is not.
            observed += usize::from(bench.state("cut/checkpoints/last")["batch"] == 1);
        }
        bench.finish(&arguments("cut"));
        assert_same(&result(&bench.path("cut")), &whole, &format!("stopped at {moment}"));
        if observed >= 2 {
            return;
        }
        fs::remove_dir_all(bench.path("cut")).unwrap();
    }
    assert!(observed > 0, "no signal met an evaluation");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let bench = Bench::new();
    // A step of many seconds.
    let slow = [
        "data.batch_size=1000",
        "data.train_images=1000",
        "model.width=4",
        "model.solver.method=fista",
        "model.solver.tolerance=0",
        "model.solver.max_iterations=100000",
    ];
    let mut arguments = vec!["--out", "run"];
    slow.iter().for_each(|set| arguments.extend(["--set", set]));
    let mut child = bench.start(&arguments);
    wait_for(&mut child, || bench.path("run/environment.json").exists());
    std::thread::sleep(Duration::from_millis(300));
    signal(child.id(), SIGINT);
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the first interrupt ends the step early"
    );
    signal(child.id(), SIGINT);
    let second = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(second.elapsed() < Duration::from_secs(3), "{:?}", second.elapsed());
    assert!(!bench.path("run/checkpoints/last").exists());
}
