//! A small experiment, runs of it, and what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::signals::text;

/// Seconds of training on a slow machine; the 40 validation images choose the best of three epochs.
pub const SMALL: &str = r#"
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
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(SMALL)
    }

    pub fn with(experiment: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), experiment).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
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

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs to the end.
    #[track_caller]
    pub fn finish(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        output
    }

    pub fn state(&self, checkpoint: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(checkpoint).join("state.json")).unwrap()).unwrap()
    }
}

/// What a run must leave in the same way however often it was stopped.
#[derive(Debug, PartialEq)]
pub struct Result {
    pub files: Vec<(String, Vec<u8>)>,
    pub metrics: Vec<Value>,
}

pub fn result(run: &Path) -> Result {
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
pub fn metrics(run: &Path) -> Vec<Value> {
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
pub fn assert_same(found: &Result, expected: &Result, context: &str) {
    for ((name, found), (_, expected)) in found.files.iter().zip(&expected.files) {
        assert!(found == expected, "{context}: {name} differs");
    }
    assert_eq!(found.metrics.len(), expected.metrics.len(), "{context}");
    for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
        assert_eq!(found, expected, "{context}");
    }
}

/// The run of [`SMALL`] that nothing interrupts, and how long it took.
pub fn reference() -> &'static (Result, Duration) {
    static REFERENCE: OnceLock<(Result, Duration)> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let bench = Bench::new();
        let started = Instant::now();
        bench.finish(&["--out", "run"]);
        (result(&bench.path("run")), started.elapsed())
    })
}
