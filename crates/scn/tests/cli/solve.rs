//! `scn solve`: its solutions are those of the fixtures, and what cannot be solved is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::common::{assert_contains, refused, root, scn, stderr, stdout, succeed, succeed_json, text, wgpu_is_there};

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
    if !wgpu_is_there() {
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
fn solve_refuses_what_takes_too_much_memory() {
    let place = Workplace::new();
    let ones = |shape: &[usize]| (shape.to_vec(), vec![1.0; shape.iter().product()]);
    // Files of eight megabytes.
    for (problem, parts) in [
        (
            [("D", ones(&[1, 1_000_000])), ("X", ones(&[1, 1]))],
            [
                "1000000 atoms claim a Gram matrix of [1000000, 1000000] and codes of [1, 1000000, 1, 1], 7450.6 GiB in f64",
                "the limit is 16 GiB",
            ],
        ),
        (
            [("D", ones(&[1, 10_000])), ("X", ones(&[1_000_000, 1]))],
            ["codes of [1, 10000, 1, 1000000], 75.3 GiB in f64", "fewer signals"],
        ),
    ] {
        let weights = ["lambda1", "lambda2"].map(|name| (name, ones(&[1])));
        write(&place.problem, problem.into_iter().chain(weights));
        for device in ["cpu", "reference"] {
            refused(
                &place.solve(&["--device", device]),
                3,
                &[&parts[..], &[text(&place.problem)]].concat(),
            );
            assert!(!place.solution.exists());
        }
    }
}

#[test]
fn solve_refuses_files_that_claim_what_they_do_not_hold() {
    let place = Workplace::new();
    write(&place.problem, scalar_problem());
    let whole = std::fs::read(&place.problem).unwrap();
    let (length, rest) = whole.split_first_chunk::<8>().unwrap();
    let header = String::from_utf8(rest[..u64::from_le_bytes(*length) as usize].to_vec()).unwrap();
    let data = &rest[header.len()..];
    for (from, to, part) in [
        (
            "\"D\":{\"dtype\":\"F64\",\"shape\":[1,1]",
            "\"D\":{\"dtype\":\"F64\",\"shape\":[1048576,1048576]",
            "`D` claims F64 of shape [1048576, 1048576], which is 70368744177664 bits, in 8 bytes",
        ),
        (
            "[0,8]",
            "[0,1099511627776]",
            "`D` claims F64 of shape [1, 1], which is 64 bits, in 1099511627776 bytes",
        ),
    ] {
        assert!(header.contains(from), "no {from} in {header}");
        let header = header.replace(from, to);
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&place.problem, [&length[..], header.as_bytes(), data].concat()).unwrap();
        refused(&place.solve(&[]), 3, &["not a whole safetensors file", part]);
    }
}
