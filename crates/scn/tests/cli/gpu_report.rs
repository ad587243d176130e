//! What `scripts/gpu-report` asks of the program, and the script itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{refused, root, succeed, succeed_json, wgpu_is_there};

#[test]
fn the_cpu_has_a_simd_level_and_no_workgroups() {
    let report = succeed_json(&["device", "--device", "cpu", "--json"]);
    let simd = report["simd"].as_str().unwrap();
    assert_eq!(report["device"], format!("cpu: flex, {simd}"));
    assert!(report["workgroup_units"].is_null() && report["workgroup_shared_bytes"].is_null());
    let text = succeed(&["device", "--device", "cpu"]);
    assert_eq!(text, format!("device     cpu: flex, {simd}\nsimd       {simd}\n"));
    refused(&["device", "--device", "tpu"], 2, &["auto", "cpu", "wgpu", "ndarray"]);
}

#[test]
fn wgpu_lends_what_webgpu_promises() {
    if !wgpu_is_there() {
        return;
    }
    let report = succeed_json(&["device", "--device", "wgpu", "--json"]);
    assert!(report["device"].as_str().unwrap().starts_with("wgpu: "), "{report}");
    assert!(report["workgroup_shared_bytes"].as_u64().unwrap() >= 16_384, "{report}");
    assert!(report["workgroup_units"].as_u64().unwrap() >= 256, "{report}");
}

/// The smallest fixture, which carries its answers.
const FIXTURE: &str = "crates/scn-solver/tests/fixtures/conv-layer/pixel_1x1.safetensors";

#[test]
fn solutions_are_compared_with_the_answers_in_the_problem() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("solution.safetensors");
    let out = out.to_str().unwrap();
    let line = |options: &[&'static str]| [&["solve", FIXTURE, "--out", out, "--tolerance", "1e-7"], options].concat();

    let report = succeed_json(&line(&["--expect", "1e-4", "--json"]));
    let differences = report["differences"].as_object().unwrap();
    let names: Vec<&str> = differences.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["codes", "grad_lambda1", "grad_lambda2", "grad_weight", "grad_x"]
    );
    // Exact to f32 and no further.
    let codes = differences["codes"].as_f64().unwrap();
    assert!(0.0 < codes && codes < 1e-4, "{report}");
    assert!(succeed(&line(&["--expect", "1e-4"])).contains("\ndifference  codes "));
    assert!(!succeed(&line(&["--json"])).contains("differences"));

    refused(
        &line(&["--expect", "1e-12"]),
        1,
        &[
            "`codes` is ",
            "from the answer in the problem, more than the 1e-12 of --expect",
        ],
    );
    for bound in ["--expect=nan", "--expect=inf", "--expect=-1"] {
        refused(&line(&[bound]), 2, &["expected a finite number of at least 0"]);
    }
    // What one sweep reaches is no answer.
    refused(
        &line(&["--expect", "1e-6", "--max-iterations", "1"]),
        1,
        &["from the answer in the problem"],
    );

    // Inputs alone carry no answer.
    let bare = folder.path().join("bare.safetensors");
    let bytes = std::fs::read(root().join(FIXTURE)).unwrap();
    let archive = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let inputs = ["x", "weight", "stride", "lambda1", "lambda2", "grad_codes"];
    let views = inputs.map(|name| (name, archive.tensor(name).unwrap()));
    std::fs::write(&bare, safetensors::serialize(views, None).unwrap()).unwrap();
    refused(
        &["solve", bare.to_str().unwrap(), "--out", out, "--expect", "1e-4"],
        3,
        &["carries no answer to compare with: expected one or more of "],
    );
}

/// The script, run by bash with these arguments.
fn script(args: &[&Path]) -> Output {
    let mut command = Command::new("bash");
    command.arg(root().join("scripts/gpu-report")).args(args);
    command.output().unwrap()
}

#[test]
fn the_script_says_how_it_is_used_and_what_is_missing() {
    let usage = script(&[]);
    assert_eq!(usage.status.code(), Some(2));
    let text = String::from_utf8(usage.stderr).unwrap();
    assert!(
        text.contains("gpu-report --pack DIR") && text.contains("report.json"),
        "{text}"
    );
    let absent = script(&[Path::new("/nonexistent")]);
    assert_eq!(absent.status.code(), Some(2));
    let empty = tempfile::tempdir().unwrap();
    let output = script(&[empty.path()]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("there is no program") && message.contains("--pack"),
        "{message}"
    );
}

/// Packs a program that is this shell script, with a part of a CIFAR-10 of zeros; returns the folder around `pack`.
fn packed(program: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("target/release");
    std::fs::create_dir_all(&release).unwrap();
    std::fs::write(release.join("scn"), format!("#!/bin/sh\n{program}\n")).unwrap();
    let mode = Command::new("chmod").arg("+x").arg(release.join("scn")).status();
    assert!(mode.unwrap().success());
    let data = folder.path().join("data/cifar-10-batches-bin");
    std::fs::create_dir_all(&data).unwrap();
    for name in ["data_batch_1.bin", "test_batch.bin"] {
        std::fs::File::create(data.join(name))
            .unwrap()
            .set_len(30_730_000)
            .unwrap();
    }
    let output = pack(&folder, &folder.path().join("pack"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// Packs the program and the data in a folder.
fn pack(folder: &tempfile::TempDir, to: &Path) -> Output {
    Command::new("bash")
        .arg(root().join("scripts/gpu-report"))
        .arg("--pack")
        .arg(to)
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env("SCN_CIFAR10_DIR", folder.path().join("data"))
        .output()
        .unwrap()
}

/// Runs the packed script; returns its exit code, its text and its JSON.
fn reported(folder: &tempfile::TempDir) -> (Option<i32>, String, Value) {
    let pack = folder.path().join("pack");
    let output = Command::new(pack.join("gpu-report")).arg(&pack).output().unwrap();
    let text = std::fs::read_to_string(pack.join("report.txt")).unwrap();
    let json = std::fs::read_to_string(pack.join("report.json")).unwrap();
    let json = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    (output.status.code(), text, json)
}

#[test]
fn without_an_adapter_the_report_says_so_and_ends() {
    let folder = packed("echo 'error: wgpu finds no \"adapter\"' >&2; exit 1");
    let packed = folder.path().join("pack");
    let length = |name: &str| std::fs::metadata(packed.join(name)).unwrap().len();
    assert_eq!(
        (length("data/train.bin"), length("data/test.bin")),
        (30_730_000, 2000 * 3073)
    );
    for kind in ["elastic-net", "conv-layer"] {
        let count = |folder: PathBuf| std::fs::read_dir(folder).unwrap().count();
        let fixtures = root().join("crates/scn-solver/tests/fixtures").join(kind);
        assert_eq!(count(packed.join("fixtures").join(kind)), count(fixtures), "{kind}");
    }
    let (code, text, json) = reported(&folder);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("FAILED  device: exit code 1: wgpu finds no \"adapter\""),
        "{text}"
    );
    assert_eq!(json["failures"][0], "device: exit code 1: wgpu finds no \"adapter\"");
    assert!(json["fixtures"].is_null() && json["device"].is_null(), "{json}");

    // It may be packed again, and nothing else is overwritten.
    assert!(pack(&folder, &packed).status.success());
    let output = pack(&folder, folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already and not from --pack"));
    assert!(
        folder
            .path()
            .join("data/cifar-10-batches-bin/data_batch_1.bin")
            .exists()
    );
}

#[test]
fn parts_that_fail_do_not_end_the_report() {
    let folder = packed(
        r#"case "$1" in
            device) echo '{"device":"wgpu: a, b (software adapter)","workgroup_shared_bytes":1,"workgroup_units":2}' ;;
            solve) echo '{"differences":{"codes":0.5,"grad_x":2.5e-3}}'; echo 'error: far off' >&2; exit 1 ;;
            *) echo 'error: broken' >&2; exit 3 ;;
        esac"#,
    );
    let (code, text, json) = reported(&folder);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(json["device"]["device"], "wgpu: a, b (software adapter)");
    assert!(
        text.contains("device      wgpu: a, b (software adapter)\nlimits      1 bytes"),
        "{text}"
    );
    let fixtures = json["fixtures"].as_array().unwrap();
    assert_eq!(fixtures.len(), 23);
    assert_eq!(fixtures[0]["status"], "exit code 1: far off");
    assert_eq!(fixtures[0]["differences"]["grad_x"], 2.5e-3);
    assert!(
        text.contains("off by at most 5.0e-01\n") && text.contains("0 of 23 fixtures agree"),
        "{text}"
    );
    let failures: Vec<&str> = json["failures"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(failures.len(), 23 + 8, "{failures:?}");
    for part in [
        "one step on cpu",
        "quick_start",
        "step of resnet18",
        "learning_curve",
        "layers",
    ] {
        let named = failures
            .iter()
            .any(|failure| failure.starts_with(part) && failure.ends_with("exit code 3: broken"));
        assert!(named, "{part}: {failures:?}");
    }
    assert_eq!(json["not_done"], serde_json::json!([]));
}
