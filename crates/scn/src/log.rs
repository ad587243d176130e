//! Logs: warnings on standard error, and from `info` on in the run's `log.txt`.

use std::fs::File;
use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Starts logging; `RUST_LOG` overrides what goes to standard error.
pub(crate) fn start(file: Option<File>) {
    let requested = std::env::var("RUST_LOG")
        .ok()
        .and_then(|value| value.parse::<Targets>().ok());
    let terminal = requested.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let terminal = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .with_filter(terminal);
    let ours = ["scn", "scn_train", "scn_ops"].map(|target| (target, LevelFilter::INFO));
    let ours = Targets::new().with_default(LevelFilter::WARN).with_targets(ours);
    let file = file.map(|file| fmt::layer().with_writer(file).with_ansi(false).with_filter(ours));
    // A second call keeps the first logger.
    let _ = tracing_subscriber::registry().with(terminal).with(file).try_init();
}
