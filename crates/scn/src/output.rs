//! Results on standard output and in files. A reader that goes away, as in `scn data list | head`, is no error.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
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
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3×32×32`.
pub(crate) fn by(shape: [usize; 3]) -> String {
    shape.map(|length| length.to_string()).join("×")
}
