//! Signals to the program, sent when it has come to a certain point.

use std::fmt::Display;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub const SIGINT: i32 = 2;
pub const SIGTERM: i32 = 15;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends a signal to the process of this number, or to a whole group by the group's number with a minus. It may have ended
/// already.
pub fn signal(to: impl Display, signal: i32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), "--", &to.to_string()])
        .output()
        .unwrap();
    assert!(
        sent.status.success() || text(&sent.stderr).contains("No such process"),
        "{sent:?}"
    );
}

/// Waits until `reached`, or until the process ends.
#[track_caller]
pub fn wait_for(child: &mut Child, reached: impl Fn() -> bool) {
    let started = Instant::now();
    while !reached() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "waited too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a process printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
