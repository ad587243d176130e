//! A small experiment, runs of it, and what they leave.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::signals::text;

const SCN: &str = env!("CARGO_BIN_EXE_scn");

// Linux and macOS number some differently.
const MAC: bool = cfg!(target_os = "macos");
pub const SIGHUP: i32 = 1;
pub const SIGKILL: i32 = 9;
pub const SIGUSR1: i32 = if MAC { 30 } else { 10 };
pub const SIGUSR2: i32 = if MAC { 31 } else { 12 };
pub const SIGCONT: i32 = if MAC { 19 } else { 18 };
pub const SIGSTOP: i32 = if MAC { 17 } else { 19 };

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

/// Parts of a recipe that [`SMALL`] leaves off.
pub const RECIPE: [&str; 7] = [
    "train.ema.decay=0.9",
    "data.augment.flip=alternating",
    "data.augment.cutout=3",
    "train.schedule.kind=rex",
    "run.test_time=flip-shift",
    "train.shards=2",
    "train.optimizer.factors={ lambda1 = 2, dictionary = 0.5, classifier = 1.5 }",
];

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

    /// `scn train` on the experiment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.in_folder(Command::new(SCN));
        command.args(["train", "small.toml"]).args(arguments);
        command
    }

    /// As [`Bench::command`], from a shell that first runs `preparation`.
    pub fn prepared(&self, preparation: &str, arguments: &[&str]) -> Command {
        self.shell(preparation, &[&["train", "small.toml"], arguments].concat())
    }

    /// Any command, from a shell that first runs `preparation`, such as `ulimit -f 1`.
    pub fn shell(&self, preparation: &str, arguments: &[&str]) -> Command {
        let mut shell = self.in_folder(Command::new("sh"));
        shell.args(["-c", &format!("{preparation} && exec \"$@\""), "sh", SCN]);
        shell.args(arguments);
        shell
    }

    /// Any command, to its end.
    pub fn other(&self, arguments: &[&str]) -> Output {
        let mut command = self.in_folder(Command::new(SCN));
        command.args(arguments).output().unwrap()
    }

    fn in_folder(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env_remove("RUST_LOG");
        // Tests under nohup would hand an ignored hang-up down.
        // SAFETY: setting a signal's default action is safe between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(sigaction(Signal::SIGHUP, &default_action()).map(|_| ())?));
        }
        command
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
        // In training with an average only.
        let path = format!("checkpoints/{checkpoint}/unaveraged.safetensors");
        files.extend(fs::read(run.join(&path)).ok().map(|bytes| (path, bytes)));
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
    let names = |result: &Result| -> Vec<String> { result.files.iter().map(|(name, _)| name.clone()).collect() };
    assert_eq!(names(found), names(expected), "{context}");
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

/// Asserts that a command ended with this code and said all of these.
#[track_caller]
pub fn assert_says(output: &Output, code: i32, parts: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Changes a file of a checkpoint, with what the manifest says of it; `None` takes it away.
pub fn replace(checkpoint: &Path, name: &str, content: Option<&[u8]>) {
    let path = checkpoint.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    match content {
        Some(bytes) => {
            fs::write(checkpoint.join(name), bytes).unwrap();
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            manifest["files"][name] = serde_json::json!({ "bytes": bytes.len(), "sha256": digest });
        }
        None => {
            fs::remove_file(checkpoint.join(name)).unwrap();
            manifest["files"].as_object_mut().unwrap().remove(name).unwrap();
        }
    }
    fs::write(path, manifest.to_string()).unwrap();
}

/// Changes a file of JSON of a checkpoint.
pub fn edit(checkpoint: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(checkpoint.join(name)).unwrap()).unwrap();
    change(&mut value);
    replace(checkpoint, name, Some(value.to_string().as_bytes()));
}

/// Arguments with `--set` in front of each of `sets`.
pub fn with<'a>(arguments: &[&'a str], sets: &[&'a str]) -> Vec<&'a str> {
    let mut all = arguments.to_vec();
    sets.iter().for_each(|set| all.extend(["--set", set]));
    all
}

fn default_action() -> SigAction {
    SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())
}
