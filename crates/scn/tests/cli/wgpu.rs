//! The quick start on the best wgpu adapter, which may be a software one, beside the CPU.

use crate::common::{command, root, stderr, succeed, text, wgpu_is_there};

/// Training losses by epoch of the quick start on a few images.
fn losses(device: &str, epochs: usize) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let sets = [
        format!("run.device={device}"),
        format!("train.epochs={epochs}"),
        "data.train_images=32".into(),
        "data.test_images=8".into(),
        "data.validation=0".into(),
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let args = ["train", "configs/quickstart.toml", "--out", text(&run)];
    succeed(&args.into_iter().chain(sets).collect::<Vec<_>>());
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
    if !wgpu_is_there() {
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

#[test]
fn nothing_but_the_program_speaks_where_there_is_no_session() {
    if !wgpu_is_there() {
        return;
    }
    for value in [None, Some("not/absolute")] {
        let mut device = command(&root(), &["device", "--device", "wgpu"]);
        match value {
            None => device.env_remove("XDG_RUNTIME_DIR"),
            Some(value) => device.env("XDG_RUNTIME_DIR", value),
        };
        let output = device.output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    }
}
