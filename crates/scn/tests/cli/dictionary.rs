//! `scn dictionary`: learns, shows and hands on, and its atoms become first layers.

use std::fs;
use std::path::Path;

use crate::common::{assert_contains, command, refused, stderr, stdout, succeed, succeed_in, succeed_json, text};

/// A small dictionary of digits in `folder`, with more arguments.
fn learn(folder: &Path, method: &str, atoms: usize, more: &[&str]) -> String {
    let file = folder.join(format!("{method}.toml"));
    let lines = format!(
        "[dictionary]\nmethod = \"{method}\"\ndataset = \"digits\"\npatch = 3\natoms = {atoms}\nepochs = 2\n\
         patches = 3000\nevaluation = 500\nwhitening = \"none\"\nlambda = 0.05\n"
    );
    fs::write(&file, lines).unwrap();
    let run = folder.join(format!("{method}-{atoms}{}", more.len()));
    let args = ["dictionary", "learn", text(&file), "--out", text(&run)];
    succeed(&[&args[..], more].concat());
    run.to_str().unwrap().to_owned()
}

fn atoms(run: &str) -> Vec<u8> {
    fs::read(Path::new(run).join("checkpoints/last/dictionary.safetensors")).unwrap()
}

#[test]
fn a_dictionary_is_learned_shown_and_the_same_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let run = learn(folder.path(), "classical", 12, &[]);
    let one = learn(folder.path(), "classical", 12, &["--set", "run.threads=1"]);
    assert!(atoms(&run) == atoms(&one));
    let metrics = fs::read_to_string(Path::new(&run).join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    for key in ["objective", "activity", "residual", "high_frequency_share", "seconds"] {
        assert!(lines[1][key].is_number(), "{key}: {}", lines[1]);
    }
    assert!(
        lines[1]["evaluation"]["objective"].as_f64().unwrap() < lines[0]["evaluation"]["objective"].as_f64().unwrap()
    );
    let picture = folder.path().join("atoms.png");
    let shown = succeed_json(&["dictionary", "show", &run, &one, "--out", text(&picture), "--json"]);
    assert_eq!(
        (shown[0]["shape"].to_string(), shown[0]["epochs"].as_u64()),
        ("[12,1,3,3]".into(), Some(2))
    );
    assert_eq!(shown[0]["frequencies"], shown[1]["frequencies"]);
    assert_eq!(fs::read(&picture).unwrap()[1..4], *b"PNG");
    assert_contains(
        &succeed(&["dictionary", "show", &run, "--out", text(&picture)]),
        &["classical, 12 atoms 1×3×3"],
    );
    let done = succeed_in(
        folder.path(),
        &[
            "dictionary",
            "learn",
            "classical.toml",
            "--out",
            &run,
            "--resume",
            "--json",
        ],
    );
    assert_contains(&done, &["\"epochs\":2", "\"high_frequency_share\""]);
}

#[test]
fn patches_are_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    learn(folder.path(), "orthogonal", 5, &[]);
    let file = folder.path().join("patches.safetensors");
    let experiment = folder.path().join("orthogonal.toml");
    succeed(&["dictionary", "patches", text(&experiment), "--out", text(&file)]);
    let bytes = fs::read(&file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shapes = ["train", "evaluation", "start"].map(|name| tensors.tensor(name).unwrap().shape().to_vec());
    assert_eq!(shapes, [[6000, 9], [500, 9], [5, 9]]);
}

#[test]
fn bad_input_of_dictionaries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = learn(folder.path(), "ridge", 5, &[]);
    let picture = folder.path().join("atoms.png");
    refused(&["dictionary", "show", &run], 2, &["--out"]);
    refused(
        &["dictionary", "show", &run, "--out", "atoms.jpg"],
        2,
        &["atoms.jpg", "PNG"],
    );
    refused(
        &["dictionary", "show", text(folder.path()), "--out", text(&picture)],
        3,
        &["no run of scn dictionary"],
    );
    let ridge = folder.path().join("ridge.toml");
    refused(
        &["dictionary", "learn", text(&ridge), "--out", &run],
        1,
        &["this folder holds a run"],
    );
    refused(
        &["dictionary", "learn", "configs/quickstart.toml"],
        3,
        &["data: unknown key"],
    );
    refused(
        &["train", text(&ridge)],
        3,
        &["experiment of a dictionary: scn dictionary learn"],
    );
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let images = folder.path().join("images.toml");
    fs::write(&images, "[dictionary]\nmethod = \"classical\"\nimages = \"empty\"\n").unwrap();
    let output = command(folder.path(), &["dictionary", "learn", "images.toml", "--out", "never"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_contains(&stderr(&output), &["empty: there are no images", ".png"]);
    assert!(stdout(&output).is_empty() && !folder.path().join("never").exists());
    let never = folder.path().join("never");
    let args = ["dictionary", "learn", text(&ridge), "--out", text(&never)];
    let set = ["--set", "dictionary.method=classical", "--set", "dictionary.lambda=100"];
    let parts = ["dictionary.lambda is 100", "no patch of the first batch"];
    refused(&[&args[..], &set].concat(), 3, &parts);
    assert!(!never.exists(), "what could not start has left a folder");
}

/// Of the initial weights, and of those after an epoch.
#[test]
fn a_dictionary_becomes_the_first_layer_frozen_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let dictionary = learn(folder.path(), "non-negative", 8, &[]);
    let first = |run: &Path| -> Vec<u8> {
        let bytes = fs::read(run.join("checkpoints/last/model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor("layers.0.coding.weight").unwrap().data().to_vec()
    };
    let bytes = atoms(&dictionary);
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let expected = expected.tensor("weight").unwrap().data().to_vec();
    let train = |name: &str, frozen: bool, more: &[&str]| {
        let run = folder.path().join(name);
        let dictionary = format!("first_layer.dictionary={dictionary}");
        let frozen = format!("first_layer.frozen={frozen}");
        let args = [
            "train",
            "configs/quickstart.toml",
            "--out",
            text(&run),
            "--set",
            "train.epochs=1",
        ];
        let args = [&args[..], &["--set", "data.train_images=300"]].concat();
        let args = [
            &args[..],
            &["--set", "run.device=cpu", "--set", &dictionary, "--set", &frozen],
            more,
        ]
        .concat();
        succeed(&args);
        run
    };
    assert!(first(&train("frozen", true, &[])) == expected);
    assert!(first(&train("learned", false, &[])) != expected);
    let file = format!("first_layer.dictionary={dictionary}/checkpoints/last/dictionary.safetensors");
    assert!(first(&train("file", true, &["--set", &file])) == expected);
    let refuse = |set: &[&str], parts: &[&str]| {
        let never = folder.path().join("never");
        let args = ["train", "configs/quickstart.toml", "--out", text(&never)];
        let args = [&args[..], &["--set", "run.device=cpu"]].concat();
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
        refused(&[&args[..], &set].concat(), 3, parts);
    };
    let of_run = format!("first_layer.dictionary={dictionary}");
    refuse(
        &[&of_run, "model.first_width=9"],
        &["[8, 1, 3, 3]", "layers.0.coding.weight takes [9, 1, 3, 3]"],
    );
    refuse(&["first_layer.dictionary=nowhere"], &["nowhere: cannot be read"]);
    refuse(
        &["first_layer.frozen=true"],
        &["first_layer.frozen: found true", "first_layer.dictionary only"],
    );
}
