//! SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 ask training to stop; a second SIGINT ends the process at once.

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
        for signal in [SIGINT, SIGTERM].into_iter().chain(others()) {
            signal_hook::flag::register_usize(signal, stop.cell(), signal as usize)?;
        }
        Ok::<_, std::io::Error>(())
    };
    install().context("cannot handle signals")?;
    Ok(stop)
}

/// What a terminal that closes and the queues of clusters send.
#[cfg(unix)]
fn others() -> impl Iterator<Item = i32> {
    use signal_hook::consts::{SIGHUP, SIGUSR1, SIGUSR2};
    // nohup ignores the signal for the programs that it starts, which are to live on.
    [SIGHUP, SIGUSR1, SIGUSR2]
        .into_iter()
        .filter(|&signal| signal != SIGHUP || !is_ignored(signal))
}

#[cfg(not(unix))]
fn others() -> impl Iterator<Item = i32> {
    std::iter::empty()
}

/// Whether a signal was ignored when the process started.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    use nix::libc;
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action the call only writes the old one; zeros are a value of the struct.
    let action = unsafe {
        if libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) != 0 {
            return false;
        }
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Has a file that reaches the limit on its size be an error, which says what was saved, instead of the end of the process.
#[cfg(unix)]
pub(crate) fn survive_file_limits() {
    // A handler that does nothing; that it cannot be installed leaves things as they are.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

#[cfg(not(unix))]
pub(crate) fn survive_file_limits() {}
