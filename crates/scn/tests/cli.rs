//! The program as its users run it: what it prints, what it writes and its exit codes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

/// scn with its working directory at the root of the repository.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scn"));
    command.args(args).current_dir(root()).env_remove("RUST_LOG");
    // Autotuning takes minutes on a software adapter.
    command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    command
}

fn scn(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output of a run that succeeds.
fn succeed(args: &[&str]) -> String {
    let output = scn(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

fn succeed_json(args: &[&str]) -> Value {
    serde_json::from_str(&succeed(args)).unwrap()
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Asserts the exit code and parts of the message of a run that fails; returns its standard output.
fn refused(args: &[&str], code: i32, parts: &[&str]) -> String {
    let output = scn(args);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert_contains(&message, parts);
    assert!(!message.contains("panicked"), "{args:?}: {message}");
    stdout(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Shape and values of a tensor.
type Array = (Vec<usize>, Vec<f64>);

fn read(path: &Path) -> BTreeMap<String, (Dtype, Array)> {
    let bytes = std::fs::read(path).unwrap();
    let archive = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView)| {
        let data = view.data();
        let values: Vec<f64> = match view.dtype() {
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b).into())
                .collect(),
            Dtype::I32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b).into())
                .collect(),
            other => panic!("{}: {name} has type {other:?}", path.display()),
        };
        (name, (view.dtype(), (view.shape().to_vec(), values)))
    };
    archive.tensors().into_iter().map(tensor).collect()
}

/// Writes tensors as F64.
fn write<'a>(path: &Path, tensors: impl IntoIterator<Item = (&'a str, Array)>) {
    let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, bytes(&values)))
        .collect();
    let view = |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F64, shape.clone(), bytes).unwrap();
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape, bytes)| (*name, view(shape, bytes)))
        .collect();
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A folder with places for a problem and its solution.
struct Workplace {
    folder: tempfile::TempDir,
    problem: PathBuf,
    solution: PathBuf,
}

impl Workplace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [problem, solution] = ["problem", "solution"].map(|name| folder.path().join(format!("{name}.safetensors")));
        Self {
            folder,
            problem,
            solution,
        }
    }

    /// The command line of a solve.
    fn solve<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        [&["solve", text(&self.problem), "--out", text(&self.solution)], options].concat()
    }
}

/// Every fixture of a kind.
fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = root().join("crates/scn-solver/tests/fixtures").join(kind);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    assert!(!paths.is_empty(), "there are no fixtures of kind {kind}");
    paths
}

/// The shortest decimal that rounds to a stored f32: the answers were computed with constants such as 0.05 in double
/// precision, of which the fixtures hold the rounding to f32.
fn decimal(stored: f64) -> f64 {
    (stored as f32).to_string().parse().unwrap()
}

/// Writes a fixture's problem with the constants that its answers were computed with; returns the answers.
fn restore(fixture: &Path, to: &Path) -> BTreeMap<String, Array> {
    const INPUTS: [&str; 8] = ["D", "X", "x", "weight", "stride", "lambda1", "lambda2", "grad_codes"];
    let mut problem = BTreeMap::new();
    let mut answers = BTreeMap::new();
    for (name, (_, (shape, mut values))) in read(fixture) {
        if name.starts_with("lambda") && values.iter().all(|value| *value == values[0]) {
            values.iter_mut().for_each(|value| *value = decimal(*value));
        }
        let to = if INPUTS.contains(&name.as_str()) {
            &mut problem
        } else {
            &mut answers
        };
        to.insert(name, (shape, values));
    }
    write(to, problem.iter().map(|(name, array)| (name.as_str(), array.clone())));
    answers
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).fold(0.0, f64::max)
}

/// Solves fixtures and compares every answer: codes relative to the largest code, all else to its norm.
fn check_fixtures(paths: &[PathBuf], device: &str, bounds: impl Fn(&str) -> (f64, f64)) {
    let (tolerance, cap, dtype) = match device {
        "reference" => ("1e-13", "400000", Dtype::F64),
        _ => ("1e-7", "6000", Dtype::F32),
    };
    let place = Workplace::new();
    for fixture in paths {
        let name = format!("{} on {device}", fixture.file_stem().unwrap().display());
        let answers = restore(fixture, &place.problem);
        let report = succeed_json(&place.solve(&[
            "--device",
            device,
            "--tolerance",
            tolerance,
            "--max-iterations",
            cap,
            "--json",
        ]));
        let found = read(&place.solution);
        let (code_bound, bound) = bounds(fixture.file_stem().unwrap().to_str().unwrap());
        for (tensor, (shape, exact)) in &answers {
            let (found_dtype, (found_shape, values)) = &found[tensor];
            assert_eq!((found_shape, *found_dtype), (shape, dtype), "{name}: {tensor}");
            let difference = values.iter().zip(exact).map(|(value, exact)| value - exact);
            let exact = exact.iter().copied();
            let (error, size, bound) = match tensor.as_str() {
                "codes" => (largest(difference), largest(exact), code_bound),
                _ => (norm(difference), norm(exact), bound),
            };
            let error = if size == 0.0 { error } else { error / size };
            assert!(
                error <= bound,
                "{name}: {tensor} is off by {error:.1e}, more than {bound:e}"
            );
        }
        let problems = match answers["codes"].0[..] {
            [p, _] => vec![p],
            [b, _, h, w] => vec![b, h, w],
            _ => panic!("{name}: codes of shape {:?}", answers["codes"].0),
        };
        let (residual_dtype, (residual_shape, residuals)) = &found["kkt_residual"];
        let (iterations_dtype, (iterations_shape, iterations)) = &found["iterations"];
        assert_eq!((*residual_dtype, *iterations_dtype), (dtype, Dtype::I32), "{name}");
        assert_eq!((residual_shape, iterations_shape), (&problems, &problems), "{name}");
        assert_eq!(report["problems"], residuals.len(), "{name}");
        assert_eq!(
            report["iterations"]["max"],
            largest(iterations.iter().copied()),
            "{name}"
        );
        assert!(
            device != "reference" || largest(residuals.iter().copied()) <= 1e-13,
            "{name}"
        );
        assert_eq!(found.len(), answers.len() + 2, "{name}: {:?}", found.keys());
    }
}

fn double_precision(_: &str) -> (f64, f64) {
    (1e-8, 1e-8)
}

/// Ill-conditioned dictionaries are where float32 itself is coarser.
fn single_precision(name: &str) -> (f64, f64) {
    if name.ends_with("corr") {
        (2e-3, 1e-2)
    } else {
        (1e-5, 1e-4)
    }
}

#[test]
fn elastic_net_fixtures_by_reference() {
    check_fixtures(&fixtures("elastic-net"), "reference", double_precision);
}

#[test]
fn conv_layer_fixtures_by_reference() {
    check_fixtures(&fixtures("conv-layer"), "reference", double_precision);
}

#[test]
fn elastic_net_fixtures_on_the_cpu() {
    check_fixtures(&fixtures("elastic-net"), "cpu", single_precision);
}

#[test]
fn conv_layer_fixtures_on_the_cpu() {
    check_fixtures(&fixtures("conv-layer"), "cpu", single_precision);
}

#[test]
fn small_fixtures_on_wgpu() {
    if !scn_ops::adapter_available() {
        let required = std::env::var_os("SCN_REQUIRE_WGPU").is_some();
        assert!(!required, "SCN_REQUIRE_WGPU is set, but there is no adapter");
        println!("skipped on wgpu: there is no adapter");
        return;
    }
    let mut small = [fixtures("elastic-net"), fixtures("conv-layer")].concat();
    small.retain(|path| {
        ["m27_n16_l10.05_l20.0_iid", "pixel_1x1"]
            .iter()
            .any(|name| *name == path.file_stem().unwrap())
    });
    assert_eq!(small.len(), 2);
    check_fixtures(&small, "wgpu", single_precision);
}

/// `D = 2`, `X = 3`, λ₁ = 1, λ₂ = 1: `α = (2·3 − 1) / (2² + 1) = 1`.
fn scalar_problem() -> BTreeMap<&'static str, Array> {
    BTreeMap::from([
        ("D", (vec![1, 1], vec![2.0])),
        ("X", (vec![1, 1], vec![3.0])),
        ("lambda1", (vec![1], vec![1.0])),
        ("lambda2", (vec![1], vec![1.0])),
    ])
}

/// The identity on four pixels with λ₁ = ½.
fn layer_problem() -> BTreeMap<&'static str, Array> {
    BTreeMap::from([
        ("x", (vec![1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0])),
        ("weight", (vec![1, 1, 1, 1], vec![1.0])),
        ("lambda1", (vec![1], vec![0.5])),
        ("lambda2", (vec![1], vec![0.0])),
    ])
}

#[test]
fn solve_by_hand() {
    let place = Workplace::new();
    write(&place.problem, scalar_problem());
    for (device, solver) in [
        ("reference", "coordinate-descent"),
        ("reference", "fista"),
        ("reference", "fista-restart"),
        ("cpu", "coordinate-descent"),
        ("cpu", "fista"),
        ("cpu", "fista-restart"),
    ] {
        // An older solution is replaced.
        std::fs::write(&place.solution, "old").unwrap();
        let printed = succeed(&place.solve(&["--device", device, "--solver", solver]));
        let lines = ["iterations  mean", "residual    mean", "active      100.0 %", "seconds"];
        assert_contains(&printed, &lines);
        assert_contains(
            &printed,
            &["elastic-net, X [1, 1], D [1, 1]: 1 to solve", device, solver],
        );
        let found = read(&place.solution);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["codes", "iterations", "kkt_residual", "objective"]
        );
        // ½(3 − 2·1)² + 1 + ½.
        for (name, expected) in [("codes", 1.0), ("objective", 2.0)] {
            let value = found[name].1.1[0];
            assert!((value - expected).abs() < 1e-5, "{solver} on {device}: {name} {value}");
        }
    }
    // The stride is 1 where it is absent.
    write(&place.problem, layer_problem());
    succeed(&place.solve(&[]));
    assert_eq!(
        read(&place.solution)["codes"].1,
        (vec![1, 1, 2, 2], vec![0.5, 1.5, 2.5, 3.5])
    );
    let left: Vec<_> = std::fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn one_lambda1_for_all_atoms_has_one_gradient() {
    let place = Workplace::new();
    let problem = |lambda1: &[f64], shape: &[usize]| {
        [
            ("D", (vec![2, 2], vec![1.0, 0.0, 0.0, 2.0])),
            ("X", (vec![1, 2], vec![3.0, 3.0])),
            ("lambda1", (shape.to_vec(), lambda1.to_vec())),
            ("lambda2", (vec![1], vec![0.0])),
            ("grad_codes", (vec![1, 2], vec![1.0, 1.0])),
        ]
    };
    for device in ["cpu", "reference"] {
        // ∂αⱼ/∂λ₁ = −1 / ‖dⱼ‖²: −1 and −¼.
        for (lambda1, shape, expected) in [
            (&[0.5, 0.5][..], &[2][..], &[-1.0, -0.25][..]),
            (&[0.5], &[1], &[-1.25]),
            (&[0.5], &[], &[-1.25]),
        ] {
            write(&place.problem, problem(lambda1, shape));
            succeed(&place.solve(&["--device", device]));
            let (_, (found_shape, values)) = &read(&place.solution)["grad_lambda1"];
            assert_eq!((&found_shape[..], values.len()), (shape, expected.len()));
            assert!(
                values
                    .iter()
                    .zip(expected)
                    .all(|(value, expected)| (value - expected).abs() < 1e-5),
                "{values:?}"
            );
        }
    }
}

#[test]
fn solve_warns_of_what_is_unsolved_and_unknown() {
    let place = Workplace::new();
    let mut problem = scalar_problem();
    problem.insert("D", (vec![2, 2], vec![1.0, 0.9, 0.0, 0.1]));
    problem.insert("X", (vec![1, 2], vec![3.0, 1.0]));
    problem.insert("grad_code", (vec![1, 2], vec![1.0, 1.0]));
    write(&place.problem, problem);
    for device in ["cpu", "reference"] {
        let output = scn(&place.solve(&["--device", device, "--max-iterations", "1", "--json"]));
        let warnings = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{warnings}");
        assert_contains(
            &warnings,
            &["1 of 1 problems", "--max-iterations", "`grad_code` means nothing"],
        );
        let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(report["iterations"]["max"], 1.0);
        assert_eq!(report["shapes"], json!({ "D": [2, 2], "X": [1, 2] }));
    }
}

#[test]
fn solve_refuses_bad_problems() {
    let place = Workplace::new();
    let check = |parts: &[&str]| {
        let printed = refused(&place.solve(&[]), 3, &[parts, &[text(&place.problem)]].concat());
        assert!(printed.is_empty() && !place.solution.exists(), "{parts:?}");
    };
    check(&["cannot read the problem"]);
    for bytes in [&b""[..], b"not a safetensors file at all", &[255; 64]] {
        std::fs::write(&place.problem, bytes).unwrap();
        check(&["not a whole safetensors file", "expected a safetensors file with `D`"]);
    }
    write(&place.problem, scalar_problem());
    let whole = std::fs::read(&place.problem).unwrap();
    std::fs::write(&place.problem, &whole[..whole.len() - 3]).unwrap();
    check(&["not a whole safetensors file"]);

    let array = |shape: &[usize], values: &[f64]| (shape.to_vec(), values.to_vec());
    let bad_nets: &[(&str, Array, &[&str])] = &[
        (
            "x",
            array(&[1, 1], &[1.0]),
            &["mixes both kinds", "`D`, `X`", "`x`", "two files"],
        ),
        ("D", array(&[1], &[2.0]), &["`D` has shape [1], expected [m, n]"]),
        (
            "D",
            array(&[0, 1], &[]),
            &["`D` has shape [0, 1], expected at least one value"],
        ),
        ("D", array(&[1, 1], &[f64::NAN]), &["`D` is NaN at [0, 0]", "finite"]),
        (
            "D",
            array(&[1, 1], &[1e39]),
            &["`D` holds 1e39", "f32", "--device reference"],
        ),
        (
            "D",
            array(&[1, 1], &[1e30]),
            &["atom 0 of `D` overflow in f32", "--device reference"],
        ),
        ("X", array(&[1], &[3.0]), &["`X` has shape [1], expected [p, m]"]),
        (
            "X",
            array(&[1, 2], &[3.0, 4.0]),
            &["`X` has shape [1, 2], expected [1, 1]", "`D` has shape [1, 1]"],
        ),
        (
            "X",
            array(&[3, 1], &[3.0, 4.0, f64::NEG_INFINITY]),
            &["`X` is -inf at [2, 0]"],
        ),
        (
            "lambda1",
            array(&[2], &[1.0; 2]),
            &["`lambda1` has shape [2], expected [1]"],
        ),
        (
            "lambda1",
            array(&[1, 1], &[1.0]),
            &["`lambda1` has shape [1, 1], expected [1]"],
        ),
        (
            "lambda1",
            array(&[1], &[-0.5]),
            &["`lambda1` is -0.5 at index 0", "at least 0"],
        ),
        (
            "lambda2",
            array(&[2], &[1.0; 2]),
            &["`lambda2` has shape [2], expected [1]"],
        ),
        ("lambda2", array(&[1], &[-1.0]), &["`lambda2` is -1"]),
        ("lambda2", array(&[1], &[f64::NAN]), &["`lambda2` is NaN"]),
        (
            "grad_codes",
            array(&[1, 2], &[1.0; 2]),
            &["`grad_codes` has shape [1, 2], expected [1, 1]"],
        ),
    ];
    let bad_layers: &[(&str, Array, &[&str])] = &[
        (
            "weight",
            array(&[1, 1, 1, 1], &[1e-25]),
            &["atom 0 of `weight` underflow in f32"],
        ),
        (
            "x",
            array(&[2, 2], &[1.0; 4]),
            &["`x` has shape [2, 2], expected [b, c, h, w]"],
        ),
        (
            "weight",
            array(&[1], &[1.0]),
            &["`weight` has shape [1], expected [n, c, k, k]"],
        ),
        ("weight", array(&[1, 2, 1, 1], &[1.0; 2]), &["same number of channels"]),
        ("weight", array(&[1, 1, 2, 2], &[1.0; 4]), &["square with an odd side"]),
        (
            "stride",
            array(&[1], &[0.0]),
            &["`stride` is 0, expected a whole number from 1"],
        ),
        ("stride", array(&[1], &[1.5]), &["`stride` is 1.5"]),
        (
            "stride",
            array(&[2], &[1.0; 2]),
            &["`stride` has shape [2], expected [1]"],
        ),
        (
            "grad_codes",
            array(&[1, 1, 2, 1], &[1.0; 2]),
            &["expected [1, 1, 2, 2], the shape of the codes"],
        ),
    ];
    for (good, cases) in [(scalar_problem(), bad_nets), (layer_problem(), bad_layers)] {
        for (name, array, parts) in cases {
            let mut problem = good.clone();
            problem.insert(name, array.clone());
            write(&place.problem, problem);
            check(parts);
        }
        for missing in good.keys() {
            write(
                &place.problem,
                good.clone().into_iter().filter(|(name, _)| name != missing),
            );
            check(&[&format!("`{missing}` missing"), "needs"]);
        }
    }
    write(&place.problem, [("codes", array(&[1], &[1.0]))]);
    check(&["holds `codes`", "expected `D`"]);
    let half = |name| (name, TensorView::new(Dtype::F16, vec![1, 1], &[0, 0]).unwrap());
    let zero = |name| (name, TensorView::new(Dtype::F64, vec![1], &[0; 8]).unwrap());
    let tensors = [half("D"), half("X"), zero("lambda1"), zero("lambda2")];
    std::fs::write(&place.problem, safetensors::serialize(tensors, None).unwrap()).unwrap();
    check(&["`D` is of type F16, expected F32 or F64"]);
}

#[test]
fn solve_refuses_bad_options() {
    let place = Workplace::new();
    write(&place.problem, scalar_problem());
    let check = |options: &[&str], code, parts: &[&str]| {
        refused(&place.solve(options), code, parts);
        assert!(!place.solution.exists(), "{options:?}");
    };
    for tolerance in ["nan", "-1e-6", "0", "inf"] {
        check(
            &[&format!("--tolerance={tolerance}")],
            2,
            &["--tolerance is", "above 0"],
        );
    }
    for cap in ["0", "1000001"] {
        check(
            &["--max-iterations", cap],
            2,
            &["--max-iterations is", "expected 1 to 1000000"],
        );
    }
    check(&["--tolerance", "small"], 2, &["--tolerance"]);
    check(&["--solver", "newton"], 2, &["coordinate-descent"]);
    check(&["--device", "tpu"], 2, &["reference"]);

    let problem = text(&place.problem);
    let nowhere = place.folder.path().join("absent/solution.safetensors");
    refused(&["solve", problem], 2, &["--out"]);
    refused(
        &["solve", problem, "--out", text(place.folder.path())],
        2,
        &["is a folder"],
    );
    refused(&["solve", problem, "--out", problem], 2, &["the problem itself"]);
    refused(&["solve", problem, "--out", text(&nowhere)], 2, &["there is no folder"]);
    assert_eq!(read(&place.problem).len(), 4);
}

#[test]
fn summary_counts() {
    // Those of the residual networks are PyTorch's for the same networks.
    for (config, parameters) in [
        ("scn-1", 173_896),
        ("scn-4", 694_216),
        ("resnet20", 269_722),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet18", 11_173_962),
        ("resnet34", 21_282_122),
    ] {
        let report = succeed_json(&["summary", &format!("configs/cifar10/{config}.toml"), "--json"]);
        assert_eq!(report["parameters"], parameters, "{config}");
        assert_eq!(report["input"], json!([3, 32, 32]));
        assert_eq!(report["classes"], 10);
        let layers = report["layers"].as_array().unwrap();
        assert!(
            layers
                .iter()
                .all(|layer| layer["name"].is_string() && layer["kind"].is_string())
        );
        for (total, part) in [
            ("parameters", "parameters"),
            ("convolution_macs", "convolution"),
            ("solver_iteration_macs", "solver_iteration"),
        ] {
            let sum: u64 = layers.iter().map(|layer| layer[part].as_u64().unwrap()).sum();
            assert_eq!(report[total], sum, "{config}: {total}");
        }
    }
    let report = succeed_json(&["summary", "configs/cifar10/scn-4.toml", "--json"]);
    assert_eq!(report["model"], "scn");
    assert_eq!(report["solver_iteration_macs"], 31_195_136);
    assert_eq!(report["layers"][13]["output"], json!([256, 8, 8]));
    assert_eq!(report["layers"][13]["solver_iteration"], 256 * 256 * 8 * 8);
    let printed = succeed(&["summary", "configs/cifar10/scn-1.toml", "--set", "model.width=4"]);
    assert_contains(&printed, &["694,216", "31,195,136", "256×8×8"]);
}

#[test]
fn summary_counts_lambda1_where_it_is_learned() {
    let summary = |overrides: &[&str]| {
        let set = overrides.iter().flat_map(|value| ["--set", value]);
        succeed_json(
            &["summary", "configs/cifar10/scn-1.toml", "--json"]
                .into_iter()
                .chain(set)
                .collect::<Vec<_>>(),
        )
    };
    let (fixed, per_atom) = ("model.lambda1.learned=false", "model.lambda1.per_atom=true");
    assert_eq!(summary(&[fixed])["parameters"], 173_896 - 14);
    assert_eq!(summary(&[fixed, per_atom])["parameters"], 173_896 - 14);
    // 6 layers of 16 atoms, 4 of 32 and 4 of 64.
    assert_eq!(
        summary(&[per_atom])["parameters"],
        173_896 - 14 + 6 * 16 + 4 * 32 + 4 * 64
    );
    assert_eq!(summary(&["data.augment.crop=28"])["input"], json!([3, 28, 28]));
    refused(
        &["summary", "configs/cifar10/scn-1.toml", "--set", "model.width=0"],
        3,
        &["model.width"],
    );
    refused(&["summary", "absent.toml"], 3, &["absent.toml", "cannot read"]);
}

#[test]
fn data_list_knows_every_dataset() {
    let printed = succeed(&["data", "list"]);
    let report = succeed_json(&["data", "list", "--json"]);
    let datasets = report["datasets"].as_array().unwrap();
    let names: Vec<_> = datasets
        .iter()
        .map(|dataset| dataset["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["cifar10", "cifar100", "mnist", "fashion-mnist", "stl10", "digits"]
    );
    assert_contains(&printed, &names);
    assert_contains(&printed, &["50,000", "3×96×96", "stl10_binary", "part of the program"]);
    for dataset in datasets {
        assert_eq!(dataset["classes"], dataset["class_names"].as_array().unwrap().len());
        assert_eq!(dataset["directory"].is_null(), dataset["name"] == "digits");
        if let Some(directory) = dataset["directory"].as_str() {
            assert_contains(&printed, &[directory, dataset["fetch"].as_str().unwrap()]);
        }
    }
}

#[test]
fn data_verify_reports_every_file() {
    assert_contains(&succeed(&["data", "verify", "digits"]), &["digits: whole"]);
    let absent = ["data", "verify", "digits", "mnist", "--dir", "absent"];
    let printed = refused(&absent, 3, &["absent does not exist", "not whole: mnist"]);
    assert_eq!(printed, "digits: whole, part of the program\nmnist: not whole\n");
    refused(&["data", "verify", "imagenet"], 2, &["choose one of cifar10"]);
    refused(&["data", "verify"], 2, &["DATASET"]);

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("cifar-10-batches-bin")).unwrap();
    std::fs::write(folder.path().join("cifar-10-batches-bin/data_batch_1.bin"), [0; 1000]).unwrap();
    std::fs::write(folder.path().join("cifar-10-binary.tar.gz"), "abc").unwrap();
    let args = ["data", "verify", "cifar10", "digits", "--dir", text(folder.path())];
    let printed = refused(&args, 3, &["not whole: cifar10"]);
    assert_contains(
        &printed,
        &["cifar10: not whole", "holds 1000 bytes", "no file data_batch_5.bin"],
    );
    assert_contains(&printed, &["damaged or not the official download", "digits: whole"]);
    let report: Value = serde_json::from_str(&refused(&[&args[..], &["--json"]].concat(), 3, &[])).unwrap();
    assert_eq!(report["whole"], false);
    let [cifar10, digits] = &report["datasets"].as_array().unwrap()[..] else {
        panic!("{report}")
    };
    assert_eq!((&cifar10["whole"], &digits["whole"]), (&json!(false), &json!(true)));
    assert_eq!(cifar10["files"].as_array().unwrap().len(), 6);
    assert_contains(cifar10["files"][0]["problem"].as_str().unwrap(), &["holds 1000 bytes"]);
    assert_eq!(cifar10["archives"][0]["official"], false);
}

#[test]
fn config_print_writes_what_config_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.toml");
    for config in [
        "configs/quickstart.toml",
        "configs/cifar10/resnet20.toml",
        "configs/cifar100/scn-2.toml",
    ] {
        let printed = succeed(&["config", "print", config, "--set", "data.batch_size=48"]);
        assert_contains(&printed, &["\nbatch_size = 48\n"]);
        std::fs::write(&path, &printed).unwrap();
        assert_eq!(
            succeed(&["config", "check", text(&path)]),
            format!("{}: ok\n", path.display())
        );
        assert_eq!(succeed(&["config", "print", text(&path)]), printed, "{config}");
    }
}

#[test]
fn config_check_checks_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let [typo, no_toml] = ["typo.toml", "no-toml.toml"].map(|name| folder.path().join(name));
    std::fs::write(
        &typo,
        "[data]\ndataset = \"digits\"\n[model]\nkind = \"scn\"\nwdth = 1\n",
    )
    .unwrap();
    std::fs::write(&no_toml, "no toml").unwrap();
    let args = [
        "config",
        "check",
        text(&typo),
        "configs/quickstart.toml",
        text(&no_toml),
    ];
    let parts = [
        "typo.toml:5:1: model.wdth",
        "did you mean `width`?",
        "no-toml.toml:1:",
        "2 of 3",
    ];
    assert_eq!(refused(&args, 3, &parts), "configs/quickstart.toml: ok\n");
    refused(&["config", "check", text(&typo)], 3, &["typo.toml:5:1: model.wdth"]);
    refused(
        &["config", "check", "configs/quickstart.toml", "--set", "train.epochs=-1"],
        3,
        &["train.epochs"],
    );
    refused(&["config", "print", text(&no_toml)], 3, &["no-toml.toml"]);
    refused(&["config", "check"], 2, &["EXPERIMENT"]);
}

#[test]
fn every_shipped_experiment_is_accepted() {
    let mut folders = vec![root().join("configs")];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
    }
    let args: Vec<_> = ["config", "check"]
        .into_iter()
        .chain(paths.iter().map(|path| text(path)))
        .collect();
    assert_eq!(succeed(&args).lines().count(), paths.len());
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert_contains(
            &succeed(&["completions", shell]),
            &["scn", "max-iterations", "coordinate-descent"],
        );
    }
    refused(&["completions", "cmd"], 2, &["bash"]);
}

#[test]
fn every_help_has_examples() {
    let subcommands: [&[&str]; 21] = [
        &[],
        &["train"],
        &["eval"],
        &["import"],
        &["export"],
        &["predict"],
        &["robust"],
        &["attack"],
        &["summary"],
        &["bench"],
        &["bench", "step"],
        &["bench", "kernels"],
        &["bench", "compare"],
        &["solve"],
        &["data"],
        &["data", "list"],
        &["data", "verify"],
        &["config"],
        &["config", "check"],
        &["config", "print"],
        &["completions"],
    ];
    for subcommand in subcommands {
        let help = succeed(&[subcommand, &["--help"]].concat());
        let example = ["\n ", "scn"]
            .into_iter()
            .chain(subcommand.iter().copied())
            .collect::<Vec<_>>()
            .join(" ");
        assert_contains(&help, &["Usage:", "Examples:\n", &example]);
    }
    assert!(succeed(&["--version"]).starts_with("scn "));
}

#[test]
fn usage_errors() {
    let lines: [&[&str]; 13] = [
        &[],
        &["teach"],
        &["summary"],
        &["summary", "a.toml", "b.toml"],
        &["data"],
        &["config"],
        &["completions"],
        &["eval", "run", "--split", "all"],
        &["bench"],
        &["bench", "step"],
        &["bench", "compare"],
        &["bench", "layers"],
        &["data", "list", "--verbose"],
    ];
    for args in lines {
        assert_eq!(refused(args, 2, &["--help"]), "", "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lines: [&[&str]; 5] = [
        &["completions", "bash"],
        &["data", "list"],
        &["data", "list", "--json"],
        &["config", "print", "configs/quickstart.toml"],
        &["summary", "configs/quickstart.toml"],
    ];
    for args in lines {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{args:?}"
        );
    }
}
