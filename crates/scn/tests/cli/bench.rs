//! `scn bench` as its users run it: every figure is there and possible. How large the times are, no test can say.

use serde_json::Value;

use crate::common::{positive, refused, succeed, succeed_json, wgpu_is_there};

fn measure(args: &[&str]) -> Value {
    succeed_json(&[&["bench"], args, &["--json"]].concat())
}

/// Asserts the exit code and a part of the message of a measurement that fails.
#[track_caller]
fn fails(args: &[&str], code: i32, part: &str) {
    let printed = refused(&[&["bench"], args].concat(), code, &[part]);
    assert!(printed.is_empty(), "{args:?}");
}

/// A median between its quartiles.
fn repeated(report: &Value, median: &str, quartiles: &str) {
    let [low, high] = [0, 1].map(|i| positive(&report[quartiles][i]));
    let median = positive(&report[median]);
    assert!(low <= median && median <= high, "{low} {median} {high}");
}

const QUICK_START: &str = "configs/quickstart.toml";
const SMALL: [&str; 4] = ["--batch", "16", "--steps", "2"];

fn quick_start(options: &[&str]) -> Value {
    measure(&[&["step", QUICK_START, "--device", "cpu"], &SMALL[..], options].concat())
}

#[test]
fn a_step_reports_every_figure() {
    let report = quick_start(&["--threads", "2"]);
    repeated(&report, "train_images_per_second", "train_images_per_second_quartiles");
    repeated(&report, "eval_images_per_second", "eval_images_per_second_quartiles");
    for key in ["solver_gflops", "convolution_gflops", "peak_gflops"] {
        positive(&report[key]);
    }
    // A process that has started at all takes a megabyte.
    assert!(positive(&report["peak_rss_bytes"]) > 1e6);
    let shares = report["shares"].as_object().unwrap();
    let mut names: Vec<_> = shares.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["batch_norm", "convolution", "data", "optimizer", "other", "solver"]
    );
    let values: Vec<f64> = shares.values().map(|share| share.as_f64().unwrap()).collect();
    assert!(values.iter().all(|share| (0.0..1.0).contains(share)), "{shares:?}");
    assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    for part in ["solver", "convolution", "batch_norm", "optimizer"] {
        positive(&shares[part]);
    }
    let parts = report["parts"].as_array().unwrap();
    let together = |of: &[&str]| -> f64 {
        let named = parts.iter().filter(|part| of.contains(&part["part"].as_str().unwrap()));
        named.map(|part| positive(&part["share"])).sum()
    };
    for (of, whole) in [
        (
            &["systems", "sweeps", "gathering", "factorising", "backward sweeps"][..],
            "solver",
        ),
        (&["planes", "product", "weight gradient", "adjoint"], "convolution"),
        (&["batch norm"], "batch_norm"),
        (&["optimizer"], "optimizer"),
    ] {
        let whole = positive(&shares[whole]);
        assert!((together(of) - whole).abs() < 1e-9, "{of:?}: {whole} of {parts:?}");
    }
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 14);
    let residuals = layers.iter().map(|layer| positive(&layer["kkt_p99"]));
    assert_eq!(residuals.fold(0.0, f64::max), report["kkt_p99"].as_f64().unwrap());
    assert_eq!((&report["batch"], &report["steps"]), (&16.into(), &2.into()));
    assert_eq!(report["threads"], 2);
    assert_eq!(report["images"], "images of digits");
    assert!(report["weights"].is_null());

    // All but the times is the same again, and does not depend on the threads.
    let again = quick_start(&["--threads", "1"]);
    assert_eq!(
        (&again["kkt_p99"], &again["layers"]),
        (&report["kkt_p99"], &report["layers"])
    );

    let args = [&["bench", "step", QUICK_START, "--device", "cpu"], &SMALL[..]].concat();
    let printed = succeed(&args);
    for part in [
        "training",
        "evaluation",
        "peak memory",
        "solver",
        "other",
        "KKT residual",
        "MiB",
    ] {
        assert!(printed.contains(part), "no {part} in: {printed}");
    }
}

#[test]
fn a_network_without_sparse_coding_has_no_solver() {
    let report = measure(
        &[
            &[
                "step",
                "configs/cifar10/resnet20.toml",
                "--synthetic",
                "--device",
                "cpu",
            ],
            &["--batch", "2", "--steps", "1"][..],
        ]
        .concat(),
    );
    for value in [
        &report["solver_gflops"],
        &report["kkt_p99"],
        &report["shares"]["solver"],
    ] {
        assert!(value.is_null(), "{report}");
    }
    positive(&report["shares"]["convolution"]);
    positive(&report["convolution_gflops"]);
    let parts = report["parts"].as_array().unwrap();
    let of_solves = |part: &&Value| ["sweeps", "systems"].contains(&part["part"].as_str().unwrap());
    assert!(!parts.is_empty() && parts.iter().find(of_solves).is_none(), "{parts:?}");
    positive(&report["shares"]["batch_norm"]);
    positive(&report["train_images_per_second"]);
    assert_eq!(report["images"], "noise of cifar10");
}

#[test]
fn a_dataset_that_is_not_there_can_be_replaced_by_noise() {
    let step = ["step", "configs/cifar10/scn-1.toml", "--set", "data.dir=absent"];
    let options = ["--batch", "2", "--steps", "1", "--device", "cpu"];
    fails(&[&step[..], &options].concat(), 3, "--synthetic");
    let report = measure(&[&step[..], &options, &["--synthetic"]].concat());
    assert_eq!(report["images"], "noise of cifar10");
    positive(&report["train_images_per_second"]);
    positive(&report["kkt_p99"]);
}

#[test]
fn trained_weights_are_evaluated_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let run = run.to_str().unwrap();
    let sets = [
        "run.device=cpu",
        "train.epochs=1",
        "data.train_images=64",
        "data.test_images=32",
    ];
    let sets = sets.iter().flat_map(|value| ["--set", value]);
    succeed(
        &["train", QUICK_START, "--out", run]
            .into_iter()
            .chain(sets)
            .collect::<Vec<_>>(),
    );

    let found = [1, 3].map(|steps| {
        let steps = steps.to_string();
        measure(&[
            "step",
            QUICK_START,
            "--device",
            "cpu",
            "--weights",
            run,
            "--steps",
            &steps,
        ])
    });
    assert_eq!(found[0]["layers"], found[1]["layers"]);
    assert_ne!(found[0]["layers"], quick_start(&[])["layers"]);
    let weights = found[0]["weights"].as_str().unwrap();
    assert!(weights.starts_with(run) && weights.contains("checkpoints"), "{weights}");

    let last = format!("{run}/checkpoints/last");
    let small = ["--batch", "2", "--repeats", "1"];
    let kernels = measure(&[&["kernels", "--weights", &last, "--device", "cpu"], &small[..]].concat());
    assert_eq!(kernels["images"], "images of digits");
    assert_eq!(kernels["layers"][0]["input"], serde_json::json!([8, 8]));
    let noise = measure(
        &[
            &["kernels", "--weights", &last, "--device", "cpu", "--synthetic"],
            &small[..],
        ]
        .concat(),
    );
    assert_eq!(noise["images"], "noise of digits");
    assert_ne!(kernels["layers"][0]["kkt_p99"], noise["layers"][0]["kkt_p99"]);

    let foreign = [
        "step",
        "configs/cifar10/scn-1.toml",
        "--synthetic",
        "--batch",
        "2",
        "--weights",
        run,
    ];
    fails(&foreign, 3, "its tensors are not those of the model");

    if !wgpu_is_there() {
        return;
    }
    let one = ["--batch", "1", "--repeats", "1", "--device", "wgpu"];
    let wgpu = measure(&[&["kernels", "--weights", &last], &one[..]].concat());
    let rows = wgpu["layers"].as_array().unwrap();
    assert_eq!(rows.len(), kernels["layers"].as_array().unwrap().len());
    for row in rows {
        for pass in ["forward", "backward"] {
            positive(&row[pass]["nanoseconds_per_pixel"]);
            assert!(row[pass]["solver_gflops"].is_null() && row[pass]["share_of_peak"].is_null());
        }
        positive(&row["kkt_p99"]);
    }
    assert!(wgpu["peak_gflops"].is_null());
}

#[test]
fn kernels_are_measured_by_layer_shape() {
    let report = measure(&[
        "kernels",
        "--device",
        "cpu",
        "--width",
        "1",
        "--batch",
        "2",
        "--repeats",
        "3",
    ]);
    positive(&report["peak_gflops"]);
    let rows = report["layers"].as_array().unwrap();
    let shapes: Vec<_> = rows
        .iter()
        .map(|row| ["channels", "atoms", "stride"].map(|key| row[key].as_u64().unwrap()))
        .collect();
    // Of SCN-1, and those of 32 and 64 atoms again by FISTA.
    let expected = [
        [3, 16, 1],
        [16, 16, 1],
        [16, 32, 2],
        [32, 32, 1],
        [32, 64, 2],
        [64, 64, 1],
        [16, 32, 2],
        [32, 64, 2],
    ];
    assert_eq!(shapes, expected);
    for (i, row) in rows.iter().enumerate() {
        let (solver, iterations) = (row["solver"].as_str().unwrap(), positive(&row["iterations"]));
        assert_eq!(solver, if i < 6 { "coordinate-descent" } else { "fista" });
        assert!(if i < 6 { iterations <= 50.0 } else { iterations == 50.0 }, "{row}");
        let (median, p99) = (row["kkt_median"].as_f64().unwrap(), positive(&row["kkt_p99"]));
        assert!(0.0 <= median && median <= p99 && p99 < 1e-3, "{row}");
        for pass in [&row["forward"], &row["backward"]] {
            repeated(pass, "nanoseconds_per_pixel", "quartiles");
            for key in ["solver_gflops", "convolution_gflops", "gflops", "share_of_peak"] {
                positive(&pass[key]);
            }
        }
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let step = |options: &[&'static str]| [&["step", QUICK_START, "--device", "cpu"], options].concat();
    fails(&step(&["--batch", "1"]), 2, "--batch");
    fails(&step(&["--steps", "0"]), 2, "--steps");
    fails(&step(&["--batch", "100000"]), 2, "training images");
    fails(&["step", QUICK_START, "--device", "tpu"], 2, "ndarray");
    fails(&step(&["--set", "model.width=0"]), 3, "model.width");
    fails(&step(&["--weights", "configs"]), 3, "neither the folder of a run");
    fails(&["step", "absent.toml"], 3, "absent.toml");
    let kernels = |options: &[&'static str]| [&["kernels", "--device", "cpu"], options].concat();
    fails(&kernels(&["--width", "0"]), 2, "--width");
    fails(&kernels(&["--width", "99"]), 2, "from 1 to 64");
    fails(&kernels(&["--repeats", "0"]), 2, "--repeats");
    fails(&kernels(&["--synthetic"]), 2, "--weights");
    fails(
        &kernels(&["--width", "1", "--weights", "runs"]),
        2,
        "cannot be used with",
    );
    fails(&kernels(&["--weights", "absent"]), 3, "neither the folder of a run");
}
