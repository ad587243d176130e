//! Logs: warnings on standard error, and from `info` on in the run's `log.txt`. What cannot be written is lost.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::stderr::Stderr;

/// The run's log, once there is a run.
static FILE: OnceLock<File> = OnceLock::new();

/// Starts logging, and logs to the file too, once there is one; `RUST_LOG` overrides what goes to standard error.
pub(crate) fn start(file: Option<File>) {
    if let Some(file) = file {
        // A second file is not used: a process has one run.
        let _ = FILE.set(file);
    }
    let requested = std::env::var("RUST_LOG")
        .ok()
        .and_then(|value| value.parse::<Targets>().ok());
    let terminal = requested.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let terminal = fmt::layer()
        .with_writer(|| Stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .without_time()
        .with_target(false)
        .with_filter(terminal);
    let ours = ["scn", "scn_dictionary", "scn_train", "scn_ops"].map(|target| (target, LevelFilter::INFO));
    let ours = Targets::new().with_default(LevelFilter::WARN).with_targets(ours);
    let file = fmt::layer()
        .with_writer(|| LogFile)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(ours);
    // A second call keeps the first logger.
    let _ = tracing_subscriber::registry().with(terminal).with(file).try_init();
}

/// Writes to [`FILE`].
struct LogFile;

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(mut file) = FILE.get() {
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
