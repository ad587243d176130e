//! Checkpoints that are missing, damaged, left by an interrupted save, or not readable.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{Bench, assert_same, assert_says, metrics, reference, result};
use crate::signals::text;

/// A finished run.
fn finished() -> Bench {
    let bench = Bench::new();
    bench.finish(&["--out", "run"]);
    bench
}

#[test]
fn the_newest_stands_in_for_a_missing_or_damaged_best_and_that_is_said() {
    let bench = finished();
    let best = bench.path("run/checkpoints/best");
    let damage = || fs::write(best.join("model.safetensors"), "half").unwrap();
    let remove = || fs::remove_dir_all(&best).unwrap();
    let cases: [(&dyn Fn(), &str); 2] = [
        (
            &damage,
            "run/checkpoints/best/model.safetensors: damaged: 4 bytes, expected ",
        ),
        (&remove, "run/checkpoints/best: is missing"),
    ];
    for (break_it, says) in cases {
        break_it();
        let instead = "; using checkpoints/last instead";
        assert_says(&bench.run(&["--out", "run", "--resume"]), 0, &[says, instead]);
        let tested = metrics(&bench.path("run")).pop().unwrap();
        assert_eq!(
            (&tested["split"], &tested["checkpoint"], &tested["epoch"]),
            (&"test".into(), &"last".into(), &3.into())
        );
        let output = bench.other(&["eval", "run", "--device", "cpu"]);
        assert_says(&output, 0, &[says, instead]);
        assert!(text(&output.stdout).contains("run/checkpoints/last (epoch 3)"));
    }
}

#[test]
fn the_newest_good_one_takes_the_place_of_a_damaged_last() {
    let bench = finished();
    let path = |name: &str| bench.path("run/checkpoints").join(name);
    // As if the best epoch had been the last one.
    fs::remove_dir_all(path("best")).unwrap();
    fs::rename(path("last"), path("best")).unwrap();
    fs::create_dir(path("last")).unwrap();
    let output = bench.finish(&["--out", "run", "--resume"]);
    let stderr = text(&output.stderr);
    for part in [
        "run/checkpoints/last/manifest.json: cannot read: No such file or directory (os error 2); using checkpoints/best \
         instead",
        "resuming from checkpoints/best: epoch 4, batch 0",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
    // There are two copies of it again, and no epoch was trained a second time.
    assert!(!stderr.contains("epoch 3/3"), "{stderr}");
    assert!(path("damaged").exists());
    for name in ["last", "best"] {
        assert_eq!(bench.state(&format!("run/checkpoints/{name}"))["epoch"], 3);
    }
}

#[test]
fn what_an_interrupted_exchange_left_is_put_back() {
    // The names of old and new between two renames, where names cannot be exchanged.
    for (from, to) in [("best", ".best.part"), ("best", "best.retired"), ("last", ".last.part")] {
        let bench = finished();
        let path = |name: &str| bench.path("run/checkpoints").join(name);
        fs::rename(path(from), path(to)).unwrap();
        // Reading changes nothing, and finds it.
        let output = bench.other(&["eval", "run", "--device", "cpu"]);
        assert_says(&output, 0, &[]);
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        assert!(path(to).exists());
        let output = bench.finish(&["--out", "run", "--resume"]);
        assert!(!text(&output.stderr).contains("instead"), "{}", text(&output.stderr));
        assert_same(&result(&bench.path("run")), &reference().0, to);
        assert!(!path(to).exists());
    }
}

#[test]
fn what_a_save_left_half_written_counts_for_nothing() {
    let bench = finished();
    for name in [".best.part", ".last.part"] {
        let part = bench.path("run/checkpoints").join(name);
        fs::create_dir(&part).unwrap();
        fs::write(part.join("manifest.json"), "{").unwrap();
    }
    let output = bench.finish(&["--out", "run", "--resume"]);
    assert!(!text(&output.stderr).contains("part"), "{}", text(&output.stderr));
    assert_same(&result(&bench.path("run")), &reference().0, "half written");
    assert!(!bench.path("run/checkpoints/.best.part").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_read_is_not_taken_for_damaged() {
    let bench = finished();
    // Reading the first page of one's own memory is an input/output error.
    for file in ["last/state.json", "last/model.safetensors", "best/manifest.json"] {
        let (path, good) = (bench.path("run/checkpoints").join(file), bench.path("good"));
        fs::rename(&path, &good).unwrap();
        symlink("/proc/self/mem", &path).unwrap();
        let output = bench.run(&["--out", "run", "--resume"]);
        let says =
            format!("error: run/checkpoints/{file}: cannot be read: Input/output error (os error 5); that does not");
        assert_says(&output, 1, &[&says, "permissions or its disk, and try again\n"]);
        assert!(!bench.path("run/checkpoints/damaged").exists());
        if !file.starts_with("last") {
            assert_says(&bench.other(&["eval", "run", "--device", "cpu"]), 1, &[&says]);
        }
        fs::rename(&good, &path).unwrap();
    }
    bench.finish(&["--out", "run", "--resume"]);
    assert_same(&result(&bench.path("run")), &reference().0, "not readable for a while");
}
