//! Results on standard output and in files. A reader that goes away, as in `scn data list | head`, is no error.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use scn_study::StudyError;
pub(crate) use scn_study::grouped;
use serde::Serialize;

use crate::exit::Usage;

/// Checks before the work that `--out` can be written, and that it is not the input, which is called `what`.
pub(crate) fn check_target(out: &Path, input: &Path, what: &str) -> Result<(), Usage> {
    if out.is_dir() || out.file_name().is_none() {
        return Err(refused(out, "is a folder: expected the path of a file"));
    }
    check_parent(out)?;
    if let (Ok(found), Ok(input)) = (out.canonicalize(), input.canonicalize())
        && found == input
    {
        return Err(refused(out, &format!("is the {what} itself: choose another file")));
    }
    Ok(())
}

/// Checks before the work that `--out` can become a folder.
pub(crate) fn check_new_folder(out: &Path) -> Result<(), Usage> {
    if out.file_name().is_none() || out.symlink_metadata().is_ok() {
        return Err(refused(out, "is there already: expected the path of a new folder"));
    }
    check_parent(out)
}

fn check_parent(out: &Path) -> Result<(), Usage> {
    let folder = out
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if folder.is_dir() {
        return Ok(());
    }
    let reason = format!("there is no folder {}: make it first", folder.display());
    Err(refused(out, &reason))
}

fn refused(out: &Path, reason: &str) -> Usage {
    Usage(format!("--out {}: {reason}", out.display()))
}

/// Writes `text` as it is.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Writes `value` as JSON on one line.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&json(value)?)
}

/// `value` as JSON on one line.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string(value)?))
}

/// Writes results that may have taken hours, and stores them only then: what cannot be stored is not lost.
pub(crate) fn show_then_store(text: &str, store: impl FnOnce() -> Result<(), StudyError>) -> anyhow::Result<()> {
    match (print(text), store()) {
        (shown, Ok(())) => shown,
        (Ok(()), Err(error)) => {
            let message = "the results were printed and are not stored: keep what is on standard output";
            Err(anyhow::anyhow!("{error}; {message}"))
        }
        (Err(shown), Err(error)) => Err(anyhow::anyhow!("{error}; {shown:#}: the results are lost")),
    }
}

/// `3×32×32`.
pub(crate) fn by(shape: [usize; 3]) -> String {
    shape.map(|length| length.to_string()).join("×")
}
