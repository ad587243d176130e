//! SIGINT and SIGTERM ask training to stop; a second SIGINT ends the process at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use scn_train::StopFlag;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Installs the handlers.
pub(crate) fn stop_flag() -> anyhow::Result<StopFlag> {
    let stop = StopFlag::default();
    let interrupted = Arc::new(AtomicBool::new(false));
    let install = || {
        // In this order: the first SIGINT finds the switch off, and turns it on.
        signal_hook::flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, Arc::clone(&interrupted))?;
        signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(signal, stop.cell(), signal as usize)?;
        }
        Ok::<_, std::io::Error>(())
    };
    install().context("cannot handle signals")?;
    Ok(stop)
}
