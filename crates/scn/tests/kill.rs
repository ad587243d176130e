//! Runs that are killed and resumed end as runs that were not; and what `scn train` says and returns.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "common/signals.rs"]
mod signals;

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use signals::{SIGINT, SIGTERM, signal, text, wait_for};

const SIGKILL: i32 = 9;

/// Seconds of training on a slow machine; the 40 validation images choose the best of three epochs.
const SMALL: &str = r#"
name = "small"
[data]
dataset = "digits"
batch_size = 16
validation = 40
train_images = 200
test_images = 60
[model]
kind = "scn"
first_width = 4
[train]
epochs = 3
label_smoothing = 0.1
clip_norm = 5.0
[train.optimizer]
learning_rate = 0.05
nesterov = true
[train.schedule]
kind = "cosine"
[run]
device = "cpu"
threads = 1
"#;

/// A folder with an experiment file.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(SMALL)
    }

    fn with(experiment: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), experiment).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
        command
            .current_dir(self.folder.path())
            .args(["train", "small.toml"])
            .args(arguments);
        command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs to the end.
    #[track_caller]
    fn finish(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        output
    }

    fn state(&self, checkpoint: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(checkpoint).join("state.json")).unwrap()).unwrap()
    }
}

/// What a run must leave in the same way however often it was stopped.
#[derive(Debug, PartialEq)]
struct Result {
    files: Vec<(String, Vec<u8>)>,
    metrics: Vec<Value>,
}

fn result(run: &Path) -> Result {
    let mut files = Vec::new();
    for checkpoint in ["last", "best"] {
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let path = format!("checkpoints/{checkpoint}/{file}");
            files.push((path.clone(), fs::read(run.join(path)).unwrap()));
        }
    }
    Result {
        files,
        metrics: metrics(run),
    }
}

/// The lines of metrics without what depends on the machine.
fn metrics(run: &Path) -> Vec<Value> {
    let parse = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for key in ["images_per_second", "peak_memory_bytes"] {
            assert!(line[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {line}");
            line.as_object_mut().unwrap().remove(key);
        }
        line
    };
    fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(parse)
        .collect()
}

#[track_caller]
fn assert_same(found: &Result, expected: &Result, context: &str) {
    for ((name, found), (_, expected)) in found.files.iter().zip(&expected.files) {
        assert!(found == expected, "{context}: {name} differs");
    }
    assert_eq!(found.metrics.len(), expected.metrics.len(), "{context}");
    for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
        assert_eq!(found, expected, "{context}");
    }
}

/// The run of [`SMALL`] that nothing interrupts, and how long it took.
fn reference() -> &'static (Result, Duration) {
    static REFERENCE: OnceLock<(Result, Duration)> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let bench = Bench::new();
        let started = Instant::now();
        bench.finish(&["--out", "run"]);
        (result(&bench.path("run")), started.elapsed())
    })
}

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
            let (number, name) = [(SIGKILL, "KILL"), (SIGTERM, "TERM"), (SIGINT, "INT")][(run + kill) % 3];
            // Resuming before anything was saved begins anew.
            let mut child = bench.start(&["--out", "run", "--resume", "--set", &every, "--set", &threads]);
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
    let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
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
