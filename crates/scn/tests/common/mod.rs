//! scn as a child process.

#[cfg(unix)]
pub mod signals;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// scn with its working directory in a folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
    command.args(args).current_dir(folder).env_remove("RUST_LOG");
    // Autotuning takes minutes on a software adapter.
    command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    command.stdin(Stdio::null());
    command
}

/// scn at the root of the repository.
pub fn scn(args: &[&str]) -> Output {
    command(&root(), args).output().unwrap()
}

/// Standard output of a run that succeeds.
#[track_caller]
pub fn succeed(args: &[&str]) -> String {
    succeed_in(&root(), args)
}

/// As [`succeed`], with the working directory in a folder.
#[track_caller]
pub fn succeed_in(folder: &Path, args: &[&str]) -> String {
    let output = command(folder, args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// The JSON on standard output of a run that succeeds.
#[track_caller]
pub fn succeed_json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

/// Asserts the exit code and parts of the message of a run that fails; returns its standard output.
#[track_caller]
pub fn refused(args: &[&str], code: i32, parts: &[&str]) -> String {
    refused_in(&root(), args, code, parts)
}

/// As [`refused`], with the working directory in a folder.
#[track_caller]
pub fn refused_in(folder: &Path, args: &[&str], code: i32, parts: &[&str]) -> String {
    let output = command(folder, args).output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert_contains(&message, parts);
    assert!(!message.contains("panicked"), "{args:?}: {message}");
    stdout(&output)
}

/// Asserts that a text has all the parts.
#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// What a process printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a process said.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A finite number above 0.
#[track_caller]
pub fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(number > 0.0 && number.is_finite(), "{number}");
    number
}

/// Whether wgpu finds an adapter; without one a test passes, unless `SCN_REQUIRE_WGPU` is set.
pub fn wgpu_is_there() -> bool {
    let found = scn_ops::adapter_available();
    if !found {
        let required = std::env::var_os("SCN_REQUIRE_WGPU").is_some();
        assert!(!required, "SCN_REQUIRE_WGPU is set, but there is no adapter");
        println!("skipped on wgpu: there is no adapter");
    }
    found
}
