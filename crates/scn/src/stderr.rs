//! The one place that writes to standard error. Nobody may be listening any more, as after `2>&1 | head`, the disk behind
//! it may be full, or a reader may have stopped reading: that is no reason to end or to wait, least of all for training.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Writes a line to standard error, or not.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::stderr::line(format_args!($($argument)*))
    };
}
pub(crate) use say;

/// See [`say`].
pub(crate) fn line(text: Arguments) {
    // In one piece, so that lines of several threads and processes stay whole.
    let _ = Stderr.write_all(format!("{text}\n").as_bytes());
}

/// Standard error whose errors are no errors.
#[derive(Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if io::stderr().is_terminal() {
            // Together with the bar that is drawn there.
            let _ = io::stderr().lock().write_all(bytes);
        } else {
            QUEUE.get_or_init(Queue::new).push(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until everything is written, but not for a reader that has stopped.
pub(crate) fn finish() {
    const PATIENCE: Duration = Duration::from_secs(2);
    if let Some(queue) = QUEUE.get() {
        drop(queue.wait_until_empty(queue.lock(), PATIENCE));
    }
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Pieces that are written by a thread of its own, so that a full pipe keeps nobody else waiting. The first piece is the
/// one being written.
struct Queue {
    pieces: Mutex<VecDeque<Vec<u8>>>,
    changed: Condvar,
}

impl Queue {
    /// Pieces that wait at most; those beyond are lost.
    const LENGTH: usize = 1000;
    /// For a reader that may only be slow.
    const PATIENCE: Duration = Duration::from_millis(100);

    fn new() -> Self {
        // Without a thread nothing is written, which is no reason to end either.
        let _ = thread::Builder::new()
            .name("stderr".into())
            .spawn(|| QUEUE.wait().write_all_pieces());
        Self {
            pieces: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the piece is written, as any other way of writing does, unless the reader has stopped reading.
    fn push(&self, bytes: &[u8]) {
        let mut pieces = self.lock();
        let stopped = !pieces.is_empty();
        if pieces.len() == Self::LENGTH {
            return;
        }
        pieces.push_back(bytes.to_vec());
        self.changed.notify_all();
        if !stopped {
            drop(self.wait_until_empty(pieces, Self::PATIENCE));
        }
    }

    fn wait_until_empty<'a>(
        &'a self,
        pieces: MutexGuard<'a, VecDeque<Vec<u8>>>,
        patience: Duration,
    ) -> MutexGuard<'a, VecDeque<Vec<u8>>> {
        let waited = self
            .changed
            .wait_timeout_while(pieces, patience, |pieces| !pieces.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn write_all_pieces(&self) {
        let mut pieces = self.lock();
        loop {
            match pieces.front().cloned() {
                Some(piece) => {
                    drop(pieces);
                    let _ = io::stderr().lock().write_all(&piece);
                    pieces = self.lock();
                    pieces.pop_front();
                    self.changed.notify_all();
                }
                None => pieces = self.changed.wait(pieces).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
