//! The program as a child, for the tests of its subcommands.

use std::path::Path;
use std::process::{Command, Output};

/// scn with its working directory at the root of the repository.
fn scn(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
    command
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.env_remove("RUST_LOG").output().unwrap()
}

/// Standard output of a run that succeeds.
#[track_caller]
pub fn succeed(args: &[&str]) -> String {
    let output = scn(args);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts the exit code and parts of the message of a run that is refused.
#[track_caller]
pub fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let output = scn(args);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: no {part:?} in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}
