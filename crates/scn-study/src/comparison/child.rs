//! scn as a child process.
//!
//! Each model is trained by a child, so that its peak memory is its own. That of a process begins at the peak of the
//! process that started it, so models are built in children even to count their parameters.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use scn_train::{StopFlag, holds_run};
use serde::Deserialize;

use super::entry::Entry;
use crate::StudyError;

/// Between two looks at a child.
const PAUSE: Duration = Duration::from_millis(50);

/// What `scn summary --json` says of a model.
#[derive(Deserialize)]
pub(super) struct Size {
    pub(super) parameters: usize,
    pub(super) convolution_macs: u64,
    pub(super) solver_iteration_macs: u64,
}

/// The program that does the work, and the flag that stops it.
pub(super) struct Program<'a> {
    /// Where it lies.
    pub(super) path: &'a Path,
    pub(super) stop: &'a StopFlag,
}

impl Program<'_> {
    /// The size of a model; `None` where a signal stopped it.
    pub(super) fn size(&self, entry: &Entry) -> Result<Option<Size>, StudyError> {
        const WHAT: &str = "scn summary";
        let mut command = self.experiment("summary", &[OsStr::new("--json")], entry);
        let output = command.output().map_err(failed("start", WHAT))?;
        if !self.succeeded(output.status, WHAT, entry)? || self.stop.signal().is_some() {
            return Ok(None);
        }
        let size = serde_json::from_slice(&output.stdout).map_err(|error| StudyError::Said { what: WHAT, error })?;
        Ok(Some(size))
    }

    /// Trains a model or goes on with it, and tests it; `false` where a signal stopped it.
    pub(super) fn train(&self, entry: &Entry) -> Result<bool, StudyError> {
        let mut options = vec![OsStr::new("--out"), entry.folder.as_os_str()];
        if holds_run(&entry.folder) {
            options.push(OsStr::new("--resume"));
        }
        self.finish(&mut self.experiment("train", &options, entry), "scn train", entry)
    }

    /// Evaluates a trained model on corrupted images; `false` where a signal stopped it.
    pub(super) fn robust(&self, entry: &Entry) -> Result<bool, StudyError> {
        let run = &entry.experiment.run;
        let mut command = self.subcommand("robust");
        command.args(["--device", run.device.name(), "--threads", &run.threads.to_string()]);
        command.arg("--").arg(&entry.folder);
        self.finish(&mut command, "scn robust", entry)
    }

    /// Runs a command to its end; `false` where a signal stopped it.
    fn finish(&self, command: &mut Command, what: &'static str, entry: &Entry) -> Result<bool, StudyError> {
        // The run's folder says all that standard output would.
        let child = command.stdout(Stdio::null()).spawn();
        let mut child = child.map_err(failed("start", what))?;
        let status = wait(&mut child, self.stop).map_err(failed("wait for", what))?;
        self.succeeded(status, what, entry)
    }

    /// A subcommand on an experiment.
    fn experiment(&self, subcommand: &str, options: &[&OsStr], entry: &Entry) -> Command {
        let mut command = self.subcommand(subcommand);
        command.args(options);
        command.args(entry.overrides.iter().map(|value| format!("--set={value}")));
        command.arg("--").arg(&entry.file);
        command
    }

    /// A subcommand, with the working directory and the standard error of this process.
    fn subcommand(&self, name: &str) -> Command {
        let mut command = Command::new(self.path);
        command.arg(name).stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    /// Whether a child did its work, or else was stopped together with this process.
    fn succeeded(&self, status: ExitStatus, what: &'static str, entry: &Entry) -> Result<bool, StudyError> {
        if status.success() {
            return Ok(true);
        }
        let code = code(status);
        if self.stop.signal().is_some() && code > 128 {
            return Ok(false);
        }
        Err(StudyError::Child {
            file: entry.file.clone(),
            what,
            status,
            code,
        })
    }
}

fn failed(action: &'static str, what: &'static str) -> impl FnOnce(io::Error) -> StudyError {
    move |error| StudyError::Process { action, what, error }
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

/// The exit code that says the same of this process.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
