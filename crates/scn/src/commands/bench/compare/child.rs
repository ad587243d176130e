//! This program as its own child.
//!
//! Each model is trained by a child, so that its peak memory is its own. That of a process begins at the peak of the
//! process that started it, so models are built in children even to count their parameters.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use scn_train::{StopFlag, holds_run};
use serde::Deserialize;

use super::entry::Entry;
use crate::exit::ChildFailed;

/// Between two looks at a child.
const PAUSE: Duration = Duration::from_millis(50);

/// What `scn summary --json` says of a model.
#[derive(Deserialize)]
pub(super) struct Size {
    pub(super) parameters: usize,
    pub(super) convolution_macs: u64,
    pub(super) solver_iteration_macs: u64,
}

/// The size of a model; `None` where a signal stopped it.
pub(super) fn size(entry: &Entry, stop: &StopFlag) -> anyhow::Result<Option<Size>> {
    let mut command = command("summary", &[OsStr::new("--json")], entry)?;
    let output = command.output().context("cannot start scn summary")?;
    if !succeeded(output.status, "scn summary", entry, stop)? || stop.signal().is_some() {
        return Ok(None);
    }
    let size = serde_json::from_slice(&output.stdout).context("cannot read what scn summary says")?;
    Ok(Some(size))
}

/// Trains a model or goes on with it, and tests it; `false` where a signal stopped it.
pub(super) fn train(entry: &Entry, stop: &StopFlag) -> anyhow::Result<bool> {
    let mut options = vec![OsStr::new("--out"), entry.folder.as_os_str()];
    if holds_run(&entry.folder) {
        options.push(OsStr::new("--resume"));
    }
    let mut command = command("train", &options, entry)?;
    finish(&mut command, "scn train", entry, stop)
}

/// Evaluates a trained model on corrupted images; `false` where a signal stopped it.
pub(super) fn robust(entry: &Entry, stop: &StopFlag) -> anyhow::Result<bool> {
    let run = &entry.experiment.run;
    let mut command = program("robust")?;
    command.args(["--device", run.device.name(), "--threads", &run.threads.to_string()]);
    command.arg("--").arg(&entry.folder);
    finish(&mut command, "scn robust", entry, stop)
}

/// Runs a command to its end; `false` where a signal stopped it.
fn finish(command: &mut Command, what: &str, entry: &Entry, stop: &StopFlag) -> anyhow::Result<bool> {
    // The run's folder says all that standard output would.
    let child = command.stdout(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start {what}"))?;
    let status = wait(&mut child, stop).with_context(|| format!("cannot wait for {what}"))?;
    succeeded(status, what, entry, stop)
}

/// A subcommand on an experiment.
fn command(subcommand: &str, options: &[&OsStr], entry: &Entry) -> anyhow::Result<Command> {
    let mut command = program(subcommand)?;
    command.args(options);
    command.args(entry.overrides.iter().map(|value| format!("--set={value}")));
    command.arg("--").arg(&entry.file);
    Ok(command)
}

/// A subcommand, with the working directory and the standard error of this process.
fn program(subcommand: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(env::current_exe().context("cannot tell where this program lies")?);
    command.arg(subcommand).stdin(Stdio::null()).stderr(Stdio::inherit());
    Ok(command)
}

/// Waits for the end of a child, and passes on a request to stop.
fn wait(child: &mut Child, stop: &StopFlag) -> io::Result<ExitStatus> {
    let mut passed_on = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.signal().is_some() && !passed_on {
            terminate(child);
            passed_on = true;
        }
        thread::sleep(PAUSE);
    }
}

/// Asks a child to save and end. By SIGTERM, also after SIGINT: Ctrl-C on a terminal reaches the child by itself, and a
/// second SIGINT would end it before it has saved.
#[cfg(unix)]
fn terminate(child: &Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    if let Ok(id) = i32::try_from(child.id()) {
        // It may have ended since.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// Ctrl-C reaches the child by itself.
#[cfg(not(unix))]
fn terminate(_: &Child) {}

/// Whether a child did its work, or else was stopped together with this process.
fn succeeded(status: ExitStatus, what: &str, entry: &Entry, stop: &StopFlag) -> anyhow::Result<bool> {
    if status.success() {
        return Ok(true);
    }
    let code = code(status);
    if stop.signal().is_some() && code > 128 {
        return Ok(false);
    }
    let message = format!("{}: {what} failed: {status}", entry.file.display());
    Err(ChildFailed { message, code }.into())
}

/// The exit code that says the same of this process.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
