//! Run folders and checkpoints of older builds: `older/` holds two runs that the program of commit 334a682 was stopped
//! in, inside their second epochs, and what it made of them when it went on, all at the SIMD level AVX2. The sparse coding
//! network went on with its forward solves at a tolerance of 1e-6: at the 1e-4 that it began with, that program's own results
//! at two SIMD levels are up to 8 % of a tensor's norm apart after nine steps, and at 1e-6 they follow from the run alone.

#![cfg(all(unix, target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scn_interop::tensors::from_safetensors;
use sha2::{Digest, Sha256};

fn older() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/older")
}

/// A copy of the folder `from` in `to`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// scn at the SIMD level of the older runs; its standard output.
#[track_caller]
fn scn(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_scn"))
        .args(args)
        .env("SCN_SIMD", "avx2")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// Goes on with a copy of the older run `name`, with these replacements in its experiment and its resolved file, and returns
/// the bytes of the last weights.
fn finish(name: &str, folder: &Path, replacements: &[(&str, &str, &str)]) -> Vec<u8> {
    let run = folder.join(name);
    copy(&older().join(name), &run);
    let experiment = run.join("experiment.toml");
    for (file, old, new) in replacements {
        let text = fs::read_to_string(run.join(file)).unwrap();
        assert!(text.contains(old), "{file}: no {old}");
        fs::write(run.join(file), text.replace(old, new)).unwrap();
    }
    let (experiment, run) = (experiment.to_str().unwrap(), run.to_str().unwrap());
    scn(&["eval", run]);
    scn(&["train", experiment, "--out", run, "--resume"]);
    fs::read(Path::new(run).join("checkpoints/last/model.safetensors")).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_residual_network_ends_with_the_weights_that_it_had_then() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let weights = finish("resnet20", folder.path(), &[]);
    assert_eq!(
        sha256(&weights),
        "747da0e489371d2220cbdfcb85b63f5b8d112276e07acef4168de84d348f17ed"
    );
}

/// The kernels round otherwise by now, and their tiles hold other pixels.
#[test]
fn a_sparse_coding_network_ends_with_the_weights_that_it_had_then() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let replacements = [
        ("resolved.toml", "\ntolerance = 0.0001\n", "\ntolerance = 1e-6\n"),
        ("resolved.toml", "\nmax_iterations = 50\n", "\nmax_iterations = 2000\n"),
        (
            "experiment.toml",
            "\nfirst_width = 8\n",
            "\nfirst_width = 8\nsolver = { tolerance = 1e-6, max_iterations = 2000 }\n",
        ),
    ];
    let now = finish("scn", folder.path(), &replacements);
    let then = fs::read(older().join("scn-finished.safetensors")).unwrap();
    let (now, then) = (from_safetensors(&now).unwrap(), from_safetensors(&then).unwrap());
    assert!(now.keys().eq(then.keys()));
    let norm = |values: &mut dyn Iterator<Item = f32>| {
        let squares = values.map(|value| f64::from(value).powi(2));
        squares.sum::<f64>().sqrt()
    };
    for (name, then) in &then {
        let now = &now[name];
        assert_eq!(now.shape, then.shape, "{name}");
        let difference = norm(&mut now.values.iter().zip(&then.values).map(|(now, then)| now - then));
        let size = norm(&mut then.values.iter().copied());
        assert!(difference <= 1e-3 * size, "{name}: {difference:e} of {size:e}");
    }
}
