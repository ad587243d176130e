//! Disks that are full, read-only or gone.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};

use crate::common::{Bench, SIGCONT, SIGSTOP, assert_same, assert_says, reference, result, with};
use crate::signals::{signal, text, wait_for};

/// Something mounted, until it is dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// Mounts at `path` where the user may.
fn mount<'a>(options: &[&str], path: &'a Path) -> Option<Mounted<'a>> {
    let mounted = Command::new("mount").args(options).arg(path).output().ok()?;
    mounted.status.success().then(|| Mounted(path))
}

/// A disk of its own, small enough to be filled at once.
fn small_disk(path: &Path) -> Option<Mounted<'_>> {
    fs::create_dir(path).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=32m", "tmpfs"], path)
}

/// Writes until nothing more fits.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("filler")).unwrap();
    for length in [4096, 1] {
        while file.write_all(&vec![1; length]).is_ok() {}
    }
}

/// Fills the last page of a file on a full disk, which would take another line.
fn pad(file: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
    while file.write_all(b"\n").is_ok() {}
}

/// Does something while the program stands still, at a point that `reached` tells.
#[track_caller]
fn paused(child: &mut Child, reached: impl Fn() -> bool, act: impl FnOnce()) {
    wait_for(child, reached);
    signal(child.id(), SIGSTOP);
    act();
    signal(child.id(), SIGCONT);
}

/// A run that is stopped by `harm` after its first checkpoint, and goes on after `repair`.
#[track_caller]
fn survives(bench: &Bench, out: &str, harm: impl FnOnce(), says: &[&str], repair: impl FnOnce(), then: &str) {
    let mut child = bench.start(&["--out", out]);
    let first = bench.path(out).join("checkpoints/last/manifest.json");
    paused(&mut child, || first.exists(), harm);
    let output = child.wait_with_output().unwrap();
    assert_says(&output, 1, says);
    assert!(text(&output.stdout).is_empty());
    // One cause, said once.
    assert_eq!(
        text(&output.stderr).matches("(os error").count(),
        1,
        "{}",
        text(&output.stderr)
    );
    repair();
    bench.finish(&["--out", then, "--resume"]);
    assert_same(&result(&bench.path(then)), &reference().0, out);
}

#[test]
fn a_full_disk_stops_training_and_says_what_is_saved() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    let Some(_mounted) = small_disk(&disk) else { return };
    let says = [
        "No space left on device (os error 28); what was saved last is checkpoints/",
        ": make room on its disk, and go on with --out disk/run --resume\n",
    ];
    let empty = || fs::remove_file(disk.join("filler")).unwrap();
    survives(&bench, "disk/run", || fill(&disk), &says, empty, "disk/run");
}

#[test]
fn a_limit_on_files_stops_training_and_says_that_nothing_is_saved() {
    let bench = Bench::new();
    // Metrics fit, weights do not.
    let output = bench.prepared("ulimit -f 64", &["--out", "run"]).output().unwrap();
    let says = [
        "error: run/checkpoints/",
        ": cannot write the checkpoint: File too large (os error 27); nothing was saved yet: raise the limit on the size \
         of files, and go on with --out run --resume\n",
    ];
    assert_says(&output, 1, &says);
    assert_eq!(fs::read_dir(bench.path("run/checkpoints")).unwrap().count(), 0);
    bench.finish(&["--out", "run", "--resume"]);
    assert_same(&result(&bench.path("run")), &reference().0, "a limit on files");
}

#[test]
fn a_read_only_folder_stops_training_and_says_what_is_saved() {
    let bench = Bench::new();
    let checkpoints = bench.path("run/checkpoints");
    let mut mounted = None;
    let harm = || {
        // For root permissions are no obstacle, mounts are.
        mounted = mount(&["--bind", checkpoints.to_str().unwrap()], &checkpoints);
        if mounted.is_some() {
            mount(&["-o", "remount,bind,ro"], &checkpoints)
                .map(std::mem::forget)
                .unwrap();
        } else {
            set_mode(&checkpoints, 0o555);
        }
    };
    let says = [
        "what was saved last is checkpoints/",
        ": make the folder writable, and go on with --out run --resume\n",
    ];
    let mut child = bench.start(&["--out", "run"]);
    paused(&mut child, || checkpoints.join("last/manifest.json").exists(), harm);
    let output = child.wait_with_output().unwrap();
    assert_says(&output, 1, &says);
    drop(mounted);
    set_mode(&checkpoints, 0o755);
    bench.finish(&["--out", "run", "--resume"]);
    assert_same(&result(&bench.path("run")), &reference().0, "read-only for a while");
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_vanishes_stops_training_and_is_not_made_anew() {
    let bench = Bench::new();
    let (run, moved) = (bench.path("run"), bench.path("moved"));
    let says = [
        "cannot write the checkpoint: No such file or directory (os error 2); what was saved last, checkpoints/",
        " is gone from there: put the run's folder back, or mount its disk again, and go on with --out run --resume\n",
    ];
    survives(
        &bench,
        "run",
        || fs::rename(&run, &moved).unwrap(),
        &says,
        || assert!(!run.exists()),
        "moved",
    );
}

#[test]
fn what_a_test_found_is_told_where_it_cannot_be_stored() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    let Some(_mounted) = small_disk(&disk) else { return };
    // A test that takes long, after one step without validation.
    let sets = [
        "data.train_images=16",
        "data.validation=0",
        "data.test_images=360",
        "train.epochs=1",
        "model.solver.method=fista",
        "model.solver.tolerance=0",
        "model.solver.max_iterations=300",
        "model.width=4",
    ];
    let mut child = bench.start(&with(&["--out", "disk/run"], &sets));
    paused(
        &mut child,
        || disk.join("run/checkpoints/last").exists(),
        || {
            fill(&disk);
            pad(&disk.join("run/metrics.jsonl"));
        },
    );
    let output = child.wait_with_output().unwrap();
    let says = [
        "error: the test found top-1 ",
        " %, which cannot be stored: disk/run/metrics.jsonl: cannot append: No space left on device (os error 28); what \
         was saved last is checkpoints/last after 1 epoch: make room on its disk, and go on with --out disk/run --resume, \
         which tests again\n",
    ];
    assert_says(&output, 1, &says);
    fs::remove_file(disk.join("filler")).unwrap();
    let output = bench.finish(&with(&["--out", "disk/run", "--resume"], &sets));
    let found = text(&output.stdout);
    assert!(found.contains("test        top-1 "), "{found}");
}
