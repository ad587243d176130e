//! Standard error and output that are closed, full or not read any more.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, pipe};
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::common::{Bench, assert_same, assert_says, metrics, reference, result};
use crate::signals::text;

fn full() -> Option<File> {
    fs::OpenOptions::new().write(true).open("/dev/full").ok()
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let bench = Bench::new();
    let mut child = bench.start(&["--out", "run", "--json"]);
    // As in 2>&1 | head -1.
    let mut first = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut first).unwrap();
    drop(stderr);
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("small on cpu: "), "{first}");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["epochs"], 3);
    assert_same(&result(&bench.path("run")), &reference().0, "standard error was closed");
}

#[test]
fn an_epoch_is_saved_before_it_is_told() {
    let bench = Bench::new();
    let mut child = bench.start(&["--out", "run"]);
    let mut told = 0;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        if line.unwrap().starts_with("epoch ") {
            told += 1;
            let saved = bench.state("run/checkpoints/last")["epoch"].as_u64().unwrap();
            assert!(saved >= told, "epoch {told} is told, {saved} are saved");
        }
    }
    assert_eq!((told, child.wait().unwrap().code()), (3, Some(0)));
}

#[test]
fn closed_output_and_error_are_no_error() {
    let bench = Bench::new();
    let (reader, writer) = pipe().unwrap();
    let mut command = bench.command(&["--out", "run", "--set", "train.epochs=1"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    // The child has the only writers left.
    drop(command);
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(metrics(&bench.path("run")).last().unwrap()["split"], "test");
}

#[test]
fn a_closed_standard_error_hides_no_error() {
    let bench = Bench::new();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = bench.command(&["--set", "data.dataset=cifar10", "--set", "data.dir=nowhere"]);
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(3));
}

#[test]
fn a_full_disk_behind_standard_error_changes_nothing() {
    let Some(full) = full() else { return };
    let bench = Bench::new();
    let mut command = bench.command(&["--out", "run"]);
    // From the log too.
    let output = command.stderr(full).env("RUST_LOG", "info").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("test        top-1 "));
    assert_same(&result(&bench.path("run")), &reference().0, "standard error was full");
}

#[test]
fn results_that_cannot_be_written_are_an_error_after_everything_is_saved() {
    let Some(full) = full() else { return };
    let bench = Bench::new();
    let mut command = bench.command(&["--out", "run"]);
    let output = command.stdout(full).output().unwrap();
    let says = "error: the results, which are in run/metrics.jsonl too, cannot be shown: cannot write to standard output: \
                No space left on device (os error 28)\n";
    assert_says(&output, 1, &[says]);
    assert_same(&result(&bench.path("run")), &reference().0, "standard output was full");
}

#[test]
fn a_reader_that_stops_reading_does_not_stop_training() {
    let bench = Bench::new();
    let (reader, mut writer) = pipe().unwrap();
    let mut command = bench.command(&["--out", "run"]);
    command.stdout(Stdio::null()).stderr(writer.try_clone().unwrap());
    // Ends when the reader goes.
    let filler = thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
    let mut child = command.spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_same(&result(&bench.path("run")), &reference().0, "nobody reads");
    drop(reader);
    filler.join().unwrap();
}
