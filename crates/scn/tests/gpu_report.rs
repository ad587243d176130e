//! What `scripts/gpu-report` asks of the program, and the script itself.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{refused, succeed};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

#[test]
fn the_cpu_has_a_simd_level_and_no_workgroups() {
    let report = json(&["device", "--device", "cpu", "--json"]);
    let simd = report["simd"].as_str().unwrap();
    assert_eq!(report["device"], format!("cpu: flex, {simd}"));
    assert!(report["workgroup_units"].is_null() && report["workgroup_shared_bytes"].is_null());
    let text = succeed(&["device", "--device", "cpu"]);
    assert_eq!(text, format!("device     cpu: flex, {simd}\nsimd       {simd}\n"));
    refused(&["device", "--device", "tpu"], 2, &["auto", "cpu", "wgpu", "ndarray"]);
    let help = succeed(&["device", "--help"]);
    assert!(help.contains("Examples:\n  scn device"), "{help}");
}

#[test]
fn wgpu_lends_what_webgpu_promises() {
    if !scn_ops::adapter_available() {
        let required = std::env::var_os("SCN_REQUIRE_WGPU").is_some();
        assert!(!required, "SCN_REQUIRE_WGPU is set, but there is no adapter");
        println!("skipped on wgpu: there is no adapter");
        return;
    }
    let report = json(&["device", "--device", "wgpu", "--json"]);
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

    let report = json(&line(&["--expect", "1e-4", "--json"]));
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
fn script(args: &[&Path]) -> std::process::Output {
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
