//! Resuming compares what a checkpoint was made with.

use std::fs;

use crate::common::{Bench, assert_same, assert_says, edit, reference, replace, result};
use crate::signals::{SIGTERM, signal, text, wait_for};

/// A run that was stopped in its second or third epoch.
fn stopped() -> Bench {
    let bench = Bench::new();
    let mut child = bench.start(&["--out", "run"]);
    wait_for(&mut child, || bench.path("run/checkpoints/last").exists());
    signal(child.id(), SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    bench
}

#[test]
fn another_data_set_or_network_is_refused() {
    let bench = stopped();
    let last = bench.path("run/checkpoints/last");
    let resume = || bench.run(&["--out", "run", "--resume"]);
    let own = fs::read(last.join("origin.json")).unwrap();
    edit(&last, "origin.json", |origin| {
        assert_eq!(origin["training"]["images"], 200);
        origin["training"]["sha256"] = "0123456789abcdef0123".into();
    });
    let says = [
        "error: run/checkpoints/last: made of something else than is here: the training images were 200 \
         (SHA-256 0123456789abcdef…), are 200 (SHA-256 ",
        "; bring the data back that it was trained on, or start a new run with another --out\n",
    ];
    assert_says(&resume(), 1, &says);
    replace(&last, "origin.json", Some(&own));

    let description = fs::read(last.join("model.json")).unwrap();
    edit(&last, "model.json", |description| {
        description["model"]["kernel"] = 5.into()
    });
    let says = "made of something else than is here: model.kernel was 5, is 3; put this run's own checkpoint back";
    assert_says(&resume(), 1, &[says]);
    replace(&last, "model.json", Some(&description));

    assert_says(&resume(), 0, &["resuming from checkpoints/last"]);
    assert_same(&result(&bench.path("run")), &reference().0, "refused for a while");
}

#[test]
fn what_changes_the_last_bits_only_is_said() {
    let bench = stopped();
    let last = bench.path("run/checkpoints/last");
    let mut simd = String::new();
    edit(&last, "origin.json", |origin| {
        simd = origin["simd"].as_str().unwrap().to_owned();
        let device = format!("cpu: flex, {simd}");
        assert_eq!(origin["device"], device.as_str());
        origin["simd"] = "abacus".into();
        origin["device"] = "cpu: flex, abacus".into();
        origin["version"] = "0.0.1".into();
        origin["commit"] = "0123456789abcdef".into();
    });
    let output = bench.run(&["--out", "run", "--resume"]);
    let says = [
        "checkpoints/last was made with something else than is here: program was 0.0.1 (0123456789), is 0.",
        &format!("; SIMD level was abacus, is {simd}; the weights may differ in their last bits"),
    ];
    assert_says(&output, 0, &says);
    assert!(!text(&output.stderr).contains("device was"), "{}", text(&output.stderr));
    assert_same(&result(&bench.path("run")), &reference().0, "told");
}

#[test]
fn checkpoints_of_older_programs_have_nothing_to_compare() {
    let bench = stopped();
    for name in ["last", "best"] {
        replace(&bench.path("run/checkpoints").join(name), "origin.json", None);
    }
    let output = bench.finish(&["--out", "run", "--resume"]);
    assert!(
        !text(&output.stderr).contains("something else"),
        "{}",
        text(&output.stderr)
    );
    assert_same(&result(&bench.path("run")), &reference().0, "no origin");
}
