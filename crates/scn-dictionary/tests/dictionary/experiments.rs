//! Experiment files of dictionaries: what is shipped, and what is refused in which words.

use std::path::Path;

use scn_dictionary::{DictionaryExperiment, is_dictionary_experiment};
use scn_train::{ExperimentFile, resolved_toml};

use crate::common::load;

const FOLDER: &str = "images = \"photographs\"\n";

#[test]
fn the_experiments_of_the_repository_load_and_are_named_after_their_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/dictionary");
    let mut methods = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        assert!(is_dictionary_experiment(&path));
        let loaded = DictionaryExperiment::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.source.starts_with("# "), "{}", path.display());
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(loaded.experiment.name, format!("dictionary-{stem}"));
        methods.push(loaded.experiment.dictionary.method.name());
        let copy = tempfile::tempdir().unwrap();
        let full = copy.path().join("full.toml");
        std::fs::write(&full, resolved_toml(&loaded.experiment)).unwrap();
        assert_eq!(
            DictionaryExperiment::load(&full, &[]).unwrap().experiment,
            loaded.experiment
        );
    }
    methods.sort_unstable();
    methods.dedup();
    assert_eq!(methods.len(), scn_dictionary::MethodKind::ALL.len(), "{methods:?}");
}

#[test]
fn infeasible_plans_are_refused_with_the_numbers() {
    let rows = [
        (
            "method = \"orthogonal\"",
            &["dictionary.atoms=145"][..],
            &[
                "dictionary.atoms: found 145",
                "144 vectors of 144 dimensions",
                "at most 144",
            ][..],
        ),
        (
            "method = \"fast-ica\"\nwhitening = \"pca\"\ncomponents = 50\natoms = 51",
            &[],
            &["dictionary.atoms: found 51", "50 dimensions"],
        ),
        (
            "method = \"orthogonal-l0\"\nnonzeros = 145",
            &[],
            &[
                "dictionary.nonzeros: found 145",
                "dictionary.atoms is 144",
                "at most 144",
            ],
        ),
        (
            "method = \"classical\"\nwhitening = \"pca\"\ncomponents = 145",
            &[],
            &[
                "dictionary.components: found 145",
                "12×12 pixels and 1 channels have 144 values",
            ],
        ),
        (
            "method = \"fast-ica\"\nwhitening = \"olshausen\"",
            &[],
            &["x.toml:4:13: dictionary.whitening: found \"olshausen\"", "covariance"],
        ),
        (
            "method = \"classical\"\nnonzeros = 3",
            &[],
            &[
                "dictionary.nonzeros: found 3",
                "dictionary.method is \"classical\"",
                "\"orthogonal-l0\" only",
            ],
        ),
        (
            "method = \"fast-ica\"\nlambda = 0.1",
            &[],
            &["dictionary.lambda: found 0.1", "\"ridge\""],
        ),
        (
            "method = \"orthogonal\"\ntolerance = 1e-3",
            &[],
            &["dictionary.tolerance", "\"classical\" or \"non-negative\""],
        ),
        (
            "method = \"classical\"\ncomponents = 10",
            &[],
            &[
                "dictionary.components: found 10",
                "whitening is \"zca\"",
                "\"pca\" only",
            ],
        ),
        (
            "method = \"classical\"\nwhitening = \"none\"\nepsilon = 0.1",
            &[],
            &["dictionary.epsilon: found 0.1", "whitening is \"none\""],
        ),
        (
            "method = \"classical\"\nbatch = 20001",
            &[],
            &["dictionary.batch: found 20001", "dictionary.patches is 20000"],
        ),
        (
            "method = \"classical\"\nlambda = 0",
            &[],
            &["dictionary.lambda: found 0", "above 0"],
        ),
        (
            "method = \"clasical\"",
            &[],
            &[
                "x.toml:3:10: dictionary.method: found \"clasical\"",
                "did you mean `classical`?",
            ],
        ),
        (
            "method = \"classical\"\nlamda = 1",
            &[],
            &["x.toml:4:1: dictionary.lamda: unknown key", "did you mean `lambda`?"],
        ),
        ("atoms = 3", &[], &["dictionary.method: missing"]),
        (
            "method = \"classical\"",
            &["run.device=wgpu"],
            &["--set run.device=wgpu: run.device: found \"wgpu\"", "CPU"],
        ),
        (
            "method = \"classical\"\ndataset = \"digits\"",
            &[],
            &["dictionary.images: found \"photographs\"", "one of dictionary.images"],
        ),
    ];
    for (lines, overrides, parts) in rows {
        let message = load(&format!("{FOLDER}{lines}"), overrides).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    }
}

#[test]
fn images_are_a_folder_or_a_dataset_that_patches_fit() {
    let refused = |lines: &str, parts: &[&str]| {
        let message = load(lines, &[]).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    };
    let method = "method = \"classical\"\n";
    refused(method, &["dictionary.dataset: found nothing", "no dictionary.images"]);
    let digits = format!("{method}dataset = \"digits\"\n");
    refused(&digits, &["dictionary.patch: found 12", "digits are 8×8", "at most 8"]);
    refused(
        &format!("{digits}patch = 4\ncolor = \"rgb\""),
        &["dictionary.color: found \"rgb\"", "digits are grey"],
    );
    assert!(load(&format!("{digits}patch = 8"), &[]).is_ok());
    // As many orthogonal atoms as dimensions are fine.
    assert!(load(&format!("{FOLDER}method = \"orthogonal\"\natoms = 144"), &[]).is_ok());
    assert!(load(&format!("{FOLDER}method = \"classical\"\natoms = 500"), &[]).is_ok());
}
