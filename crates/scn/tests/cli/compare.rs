//! `scn bench compare` as its users run it: what it tells of models, how it goes on after it was stopped, and what it
//! refuses.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::signals::{SIGINT, SIGTERM, signal, text, wait_for};
use crate::common::{self, positive, refused_in, succeed, succeed_in};

const SCN: &str = r#"
name = "scn"
[data]
dataset = "digits"
batch_size = 16
validation = 40
train_images = 96
test_images = 60
[model]
kind = "scn"
first_width = 4
[train]
epochs = 2
optimizer = { learning_rate = 0.05 }
schedule = { kind = "cosine" }
[run]
device = "cpu"
threads = 1
"#;

const RESNET: &str = r#"
name = "resnet"
[data]
dataset = "digits"
batch_size = 24
validation = 40
train_images = 96
test_images = 60
[model]
kind = "resnet20"
[train]
epochs = 3
optimizer = { learning_rate = 0.05 }
schedule = { kind = "milestones", milestones = [2] }
[run]
device = "cpu"
threads = 1
"#;

/// A folder with experiment files, and a comparison file in a folder of its own.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("compare")).unwrap();
        let bench = Self { folder };
        bench.write("scn.toml", SCN);
        bench.write("resnet.toml", RESNET);
        bench.write(
            "compare/both.toml",
            "experiments = [\"../scn.toml\", \"../resnet.toml\"]\n",
        );
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn arguments<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        [&["bench", "compare"], arguments].concat()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = common::command(self.folder.path(), &Self::arguments(arguments));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a comparison that comes to its end.
    #[track_caller]
    fn finish(&self, arguments: &[&str]) -> String {
        succeed_in(self.folder.path(), &Self::arguments(arguments))
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.finish(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Asserts the exit code and parts of the message of a comparison that fails.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        let printed = refused_in(self.folder.path(), &Self::arguments(arguments), code, parts);
        assert!(printed.is_empty(), "{arguments:?}: {printed}");
    }

    fn stored(&self, out: &str) -> Value {
        let bytes = fs::read(self.path(out).join("comparison.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn metrics(&self, run: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The weights that the models of a comparison of [`SCN`] and [`RESNET`] end with.
    fn weights(&self, out: &str) -> [Vec<u8>; 2] {
        ["scn", "resnet"].map(|name| {
            let last = self.path(out).join(name).join("checkpoints/last");
            fs::read(last.join("model.safetensors")).unwrap()
        })
    }
}

#[track_caller]
fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs(),
        "{found}, not {expected}"
    );
}

fn names(comparison: &Value) -> Vec<&str> {
    let rows = comparison["rows"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

const BOTH: [&str; 4] = ["scn.toml", "resnet.toml", "--out", "out"];

#[test]
fn a_row_tells_what_a_run_left() {
    let bench = Bench::new();
    let found = bench.json(&[&BOTH[..], &["--target", "0", "--seed", "5", "--threads", "2"]].concat());
    assert_eq!(found, bench.stored("out"));
    assert_eq!(
        (&found["dataset"], &found["seed"], &found["target"]),
        (&json!("digits"), &json!(5), &json!(0.0))
    );
    assert_eq!(found["budget"], json!({ "epochs": null, "steps": null }));
    let [environment] = &found["environment"].as_array().unwrap()[..] else {
        panic!("{found}")
    };
    assert!(environment["device"].is_string() && environment["command"].is_null());
    assert_eq!(environment["threads"], 2);
    assert_eq!(names(&found), ["scn", "resnet"]);

    // Epochs of the experiments: 6 steps each of SCN, 4 of the ResNet.
    for (row, name, epochs, steps) in [(0, "scn", 2, 12), (1, "resnet", 3, 12)] {
        let row = &found["rows"][row];
        assert_eq!((&row["epochs"], &row["steps"]), (&json!(epochs), &json!(steps)));
        assert_eq!(row["experiment"], format!("{name}.toml"));
        assert_eq!(row["run_dir"], format!("out/{name}"));

        let lines = bench.metrics(&format!("out/{name}"));
        let of = |split: &'static str| lines.iter().filter(move |line| line["split"] == split);
        let seconds = |line: &Value| positive(&line["images"]) / positive(&line["images_per_second"]);
        let all: f64 = of("train").map(seconds).sum();
        close(&row["seconds"], all);
        close(&row["train_images_per_second"], 96.0 * epochs as f64 / all);
        close(&row["seconds_to_target"], seconds(of("train").next().unwrap()));
        let test = of("test").next().unwrap();
        close(&row["test_top1"], test["top1"].as_f64().unwrap());
        close(&row["eval_images_per_second"], positive(&test["images_per_second"]));
        let tested = of("validation").find(|line| line["epoch"] == test["epoch"]).unwrap();
        close(&row["validation_top1"], tested["top1"].as_f64().unwrap());
        assert!(positive(&row["peak_rss_bytes"]) > 1e6);

        let summary = succeed(&["summary", "--json", common::text(&bench.path(&format!("{name}.toml")))]);
        let summary: Value = serde_json::from_str(&summary).unwrap();
        for (key, of_summary) in [
            ("parameters", "parameters"),
            ("multiply_adds", "convolution_macs"),
            ("multiply_adds_per_sweep", "solver_iteration_macs"),
        ] {
            assert_eq!(row[key], summary[of_summary], "{name}: {key}");
        }
    }

    // Models that are done are taken as they are, and tell of another target.
    let before = bench.metrics("out/scn");
    let options = ["--target", "100", "--seed", "5", "--threads", "2"];
    let output = bench.run(&[&BOTH[..], &options].concat());
    let (printed, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{progress}");
    assert!(
        progress.contains("scn was trained before, in out/scn") && !progress.contains("epoch"),
        "{progress}"
    );
    assert_eq!(bench.metrics("out/scn"), before);
    assert_eq!(
        printed,
        fs::read_to_string(bench.path("out/comparison.md")).unwrap(),
        "what is printed is what is stored"
    );
    for part in [
        "digits, seed 5",
        "| model ",
        "| scn ",
        "| resnet ",
        "seconds to 100 %",
        "MiB",
    ] {
        assert!(printed.contains(part), "no {part} in: {printed}");
    }
    let table: Vec<&str> = printed.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), 4, "{printed}");
    assert!(table.iter().all(|line| line.len() == table[0].len()), "{printed}");
    let again = bench.stored("out");
    for row in [0, 1] {
        assert!(again["rows"][row]["seconds_to_target"].is_null());
        assert_eq!(again["rows"][row]["test_top1"], found["rows"][row]["test_top1"]);
    }
}

#[test]
fn models_have_the_same_budget() {
    let bench = Bench::new();
    // 96 images: 8 steps of 16 are two epochs of 64 of them, 8 steps of 24 two epochs of all.
    let schedule = "train.schedule={ kind = \"one-cycle\" }";
    let steps = ["compare/both.toml", "--steps", "8", "--set", schedule, "--out", "steps"];
    let found = bench.json(&steps);
    assert_eq!(found["budget"], json!({ "epochs": null, "steps": 8 }));
    for (row, images) in [(0, 64), (1, 96)] {
        let row = &found["rows"][row];
        assert_eq!((&row["epochs"], &row["steps"]), (&json!(2), &json!(8)));
        let lines = bench.metrics(row["run_dir"].as_str().unwrap());
        assert_eq!(lines[0]["images"], images);
    }
    let found = bench.json(&[
        "scn.toml",
        "--epochs",
        "1",
        "--set",
        "data.validation=0",
        "--out",
        "epochs",
    ]);
    assert_eq!(found["budget"], json!({ "epochs": 1, "steps": null }));
    let row = &found["rows"][0];
    assert_eq!((&row["epochs"], &row["steps"]), (&json!(1), &json!(6)));
    assert!(row["validation_top1"].is_null() && row["seconds_to_target"].is_null());
}

#[test]
fn a_comparison_that_was_stopped_goes_on() {
    let bench = Bench::new();
    bench.finish(&["scn.toml", "resnet.toml", "--out", "whole"]);
    let cut = ["compare/both.toml", "--out", "cut"];
    let mut stops = 0;
    // In the middle of the first model by a signal to the parent alone, then in the second by a terminal's Ctrl-C,
    // which reaches parent and child.
    for (run, number) in [("cut/scn", SIGTERM), ("cut/resnet", SIGINT)] {
        let mut command = bench.command(&cut);
        let mut child = command.process_group(0).spawn().unwrap();
        let metrics = bench.path(run).join("metrics.jsonl");
        wait_for(&mut child, || metrics.metadata().is_ok_and(|file| file.len() > 0));
        let parent = child.id();
        match number {
            SIGINT => signal(format!("-{parent}"), number),
            _ => signal(parent, number),
        }
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        let code = output.status.code();
        // The last model may have ended first.
        assert!(
            code == Some(128 + number) || (code == Some(0) && number == SIGINT),
            "{message}"
        );
        if code != Some(0) {
            stops += 1;
            let said = format!("stopped by signal {number}; go on with the same command and --out cut");
            assert!(message.contains(&said) && output.stdout.is_empty(), "{message}");
            assert!(
                bench.path(run).join("checkpoints/last/manifest.json").exists(),
                "{message}"
            );
        }
    }
    assert!(stops > 0);
    let found = bench.json(&cut);
    assert_eq!(names(&found), ["scn", "resnet"]);
    assert!(bench.weights("cut") == bench.weights("whole"), "the weights differ");
    let whole = bench.stored("whole");
    for row in [0, 1] {
        for key in ["test_top1", "validation_top1", "epochs", "steps"] {
            assert_eq!(found["rows"][row][key], whole["rows"][row][key], "{key}");
        }
    }
}

#[test]
fn an_interrupt_that_reaches_parent_and_child_lets_the_step_end() {
    let bench = Bench::new();
    // A step of about a second: the parent passes the request on before it ends.
    let slow = [
        "data.batch_size=96",
        "model.width=2",
        "model.solver.method=fista",
        "model.solver.tolerance=0",
        "model.solver.max_iterations=400",
    ];
    let mut arguments = vec!["scn.toml", "--out", "out"];
    slow.iter().for_each(|set| arguments.extend(["--set", set]));
    let mut child = bench.command(&arguments).process_group(0).spawn().unwrap();
    let begun = bench.path("out/scn/environment.json");
    wait_for(&mut child, || begun.exists());
    std::thread::sleep(Duration::from_millis(300));
    signal(format!("-{}", child.id()), SIGINT);
    let output = child.wait_with_output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("saved in out/scn"), "{message}");
    assert!(bench.path("out/scn/checkpoints/last/manifest.json").exists());
}

#[test]
fn a_model_that_fails_is_named_and_the_others_are_kept() {
    let bench = Bench::new();
    bench.write(
        "wild.toml",
        &SCN.replace("\"scn\"\n[data]", "\"wild\"\n[data]")
            .replace("learning_rate = 0.05", "learning_rate = 1e300"),
    );
    let arguments = ["scn.toml", "wild.toml", "--epochs", "1", "--out", "out"];
    bench.refused(
        &arguments,
        4,
        &["training diverged", "wild.toml: scn train failed: exit status: 4"],
    );
    assert_eq!(names(&bench.stored("out")), ["scn"]);
    assert!(
        fs::read_to_string(bench.path("out/comparison.md"))
            .unwrap()
            .contains("| scn ")
    );

    // A run is gone on with as it was begun.
    let changed = ["scn.toml", "--epochs", "2", "--out", "out"];
    bench.refused(
        &changed,
        1,
        &["out/scn: ", "another experiment: train.epochs was 1, is 2"],
    );
}

#[test]
fn what_does_not_compare_is_refused() {
    let bench = Bench::new();
    let other = |name: &str, from: &str, to: &str| bench.write(name, &RESNET.replace(from, to));
    other("more.toml", "validation = 40", "validation = 0.1");
    other("fewer.toml", "test_images = 60", "test_images = 50");
    other("seeded.toml", "name = \"resnet\"", "name = \"seeded\"\nseed = 1");
    other("mnist.toml", "dataset = \"digits\"", "dataset = \"mnist\"");
    other("twin.toml", "name = \"resnet\"", "name = \"scn\"");
    for (file, part) in [
        ("more.toml", "data.validation is 40 and 144"),
        ("fewer.toml", "data.test_images is 60 and 50"),
        ("seeded.toml", "seed is 0 and 1"),
        ("mnist.toml", "data.dataset is digits and mnist"),
    ] {
        let parts = ["scn.toml and ", file, "the same data", part, "--set"];
        bench.refused(&["scn.toml", file, "--out", "out"], 3, &parts);
    }
    let twins = ["scn.toml and twin.toml: both are named \"scn\""];
    bench.refused(&["scn.toml", "twin.toml", "--out", "out"], 3, &twins);
    bench.refused(
        &["compare/both.toml", "scn.toml", "--out", "out"],
        3,
        &["both are named \"scn\""],
    );

    for (text, part) in [
        ("experiments = 3\n", "broken.toml:1:15: experiments: found 3"),
        ("experiments = []\n", "broken.toml:1:15: experiments: found []"),
        (
            "experiments = [\n  \"../scn.toml\",\n  1,\n]\n",
            "broken.toml:3:3: experiments[1]: found 1",
        ),
        (
            "epochs = 3\nexperiments = [\"../scn.toml\"]\n",
            "broken.toml:1:1: epochs: unknown key",
        ),
        ("experiments = [\"absent.toml\"]\n", "compare/absent.toml: cannot read"),
        (
            "experiments = [\"both.toml\"]\n",
            "both.toml:1:1: experiments: unknown key",
        ),
    ] {
        bench.write("compare/broken.toml", text);
        bench.refused(&["compare/broken.toml", "--out", "out"], 3, &[part]);
    }
    bench.refused(&["absent.toml", "--out", "out"], 3, &["absent.toml: cannot read"]);

    let milestones = [
        "resnet.toml:14:",
        "train.schedule.milestones[0]: found 2, but train.epochs is 1",
        "--set 'train.schedule=",
    ];
    bench.refused(&["resnet.toml", "--epochs", "1", "--out", "out"], 3, &milestones);
    bench.refused(&["resnet.toml", "--steps", "3", "--out", "out"], 3, &milestones);
    bench.refused(
        &["scn.toml", "--set", "model.width=0", "--out", "out"],
        3,
        &["model.width"],
    );
    bench.refused(&["scn.toml", "--threads", "9999", "--out", "out"], 3, &["run.threads"]);
    for arguments in [
        &["--epochs", "1", "--steps", "1"][..],
        &["--steps", "0"],
        &["--epochs", "0"],
        &["--target", "101"],
        &["--target", "nan"],
        &["--device", "tpu"],
    ] {
        bench.refused(
            &[&["scn.toml", "--out", "out"][..], arguments].concat(),
            2,
            &[arguments[0]],
        );
    }
    let target = [
        "scn.toml",
        "--target",
        "60",
        "--set",
        "data.validation=0",
        "--out",
        "out",
    ];
    bench.refused(
        &target,
        2,
        &[
            "--target 60: ",
            "scn.toml has none (data.validation is 0)",
            "--set data.validation=0.1",
        ],
    );
    bench.refused(
        &["scn.toml", "--out", "scn.toml"],
        1,
        &["cannot create the folder scn.toml"],
    );
    assert!(!bench.path("out").exists() && !bench.path("runs").exists());
}

#[test]
fn robust_accuracy_is_the_mean_of_what_scn_robust_stored() {
    let bench = Bench::new();
    let options = [
        "compare/both.toml",
        "--epochs",
        "1",
        "--set",
        "train.schedule={ kind = \"constant\" }",
    ];
    let compare = |more: &[&str]| bench.json(&[&options[..], &["--out", "out"], more].concat());
    assert!(compare(&[])["rows"][0]["robust_top1"].is_null());
    // The ResNet is left to the defaults.
    let choices = ["--noise", "gaussian", "--severities", "2,4", "--lambdas", "0.5,2"];
    let robust = succeed_in(
        bench.folder.path(),
        &[
            &["robust", "out/scn", "--fit-images", "20", "--device", "cpu", "--json"],
            &choices[..],
        ]
        .concat(),
    );
    let robust: Value = serde_json::from_str(&robust).unwrap();
    let comparison = compare(&["--robust"]);
    for kind in ["fixed", "fitted"] {
        let value = |row: usize| robust["rows"][row][kind].as_f64().unwrap();
        close(&comparison["rows"][0]["robust_top1"][kind], (value(1) + value(2)) / 2.0);
    }
    let resnet: Value = serde_json::from_slice(&fs::read(bench.path("out/resnet/robust.json")).unwrap()).unwrap();
    let corrupted = &resnet["rows"].as_array().unwrap()[1..];
    assert_eq!(corrupted.len(), 20);
    let sum: f64 = corrupted.iter().map(|row| row["fixed"].as_f64().unwrap()).sum();
    close(&comparison["rows"][1]["robust_top1"]["fixed"], sum / 20.0);
    assert!(comparison["rows"][1]["robust_top1"]["fitted"].is_null());
    let table = fs::read_to_string(bench.path("out/comparison.md")).unwrap();
    assert!(
        table.contains("corrupted top-1") && table.contains("with fitted sparsity"),
        "{table}"
    );

    // What was found of other weights is no figure of these, and is found anew where it is asked for.
    let stored = bench.path("out/scn/robust.json");
    let mut foreign = robust;
    foreign["weights_sha256"] = json!("0".repeat(64));
    fs::write(&stored, foreign.to_string()).unwrap();
    assert!(compare(&[])["rows"][0]["robust_top1"].is_null());
    assert!(compare(&["--robust"])["rows"][0]["robust_top1"]["fixed"].is_number());
    let found: Value = serde_json::from_slice(&fs::read(&stored).unwrap()).unwrap();
    assert_ne!(found["weights_sha256"], foreign["weights_sha256"]);
    assert_eq!(found["rows"].as_array().unwrap().len(), 21);
}
