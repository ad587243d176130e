//! The quick start on the best wgpu adapter, which may be a software one, beside the CPU.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

/// Training losses by epoch of the quick start on a few images.
fn losses(device: &str, epochs: usize) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
    command
        .arg("train")
        .arg(root.join("configs/quickstart.toml"))
        .arg("--out")
        .arg(&run);
    for set in [
        format!("run.device={device}"),
        format!("train.epochs={epochs}"),
        "data.train_images=32".into(),
        "data.test_images=8".into(),
        "data.validation=0".into(),
    ] {
        command.arg("--set").arg(set);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| line["split"] == "train")
        .map(|line| line["loss"].as_f64().unwrap())
        .collect()
}

#[test]
fn the_quick_start_takes_the_same_first_step_and_its_loss_falls() {
    if !scn_ops::adapter_available() {
        assert!(
            std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
            "SCN_REQUIRE_WGPU is set, but there is no adapter"
        );
        println!("skipped: wgpu finds no adapter");
        return;
    }
    // An epoch of 32 images is one step. The schedule warms up: the first steps may go either way.
    let (cpu, wgpu) = (losses("cpu", 8), losses("wgpu", 8));
    assert!(
        (cpu[0] - wgpu[0]).abs() <= 1e-4,
        "first step: {} on the CPU, {} on wgpu",
        cpu[0],
        wgpu[0]
    );
    assert!(wgpu[7] < 0.9 * wgpu[0], "the loss does not fall: {wgpu:?}");
}
