//! Comparison files.

use std::collections::HashSet;
use std::fs;

use scn_train::{Experiment, compared_experiments};

use crate::common::comparisons;

#[test]
fn the_comparisons_of_the_repository_list_experiments_on_the_same_data() {
    let files = comparisons();
    assert!(files.len() >= 2, "{files:?}");
    for path in files {
        let listed = compared_experiments(&path).unwrap_or_else(|error| panic!("{error}"));
        let listed = listed.unwrap_or_else(|| panic!("{}: no comparison file", path.display()));
        let loaded = listed
            .iter()
            .map(|file| Experiment::load(file, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        let experiments: Vec<Experiment> = loaded.map(|loaded| loaded.experiment).collect();
        let names: HashSet<_> = experiments.iter().map(|experiment| &experiment.name).collect();
        assert_eq!(names.len(), experiments.len(), "{}: one twice", path.display());
        for Experiment { name, seed, data, .. } in &experiments {
            let first = &experiments[0].data;
            let place = format!("{}: {name}", path.display());
            assert_eq!(
                (data.dataset, data.validation),
                (first.dataset, first.validation),
                "{place}"
            );
            assert_eq!((data.train_images, data.test_images, *seed), (None, None, 0), "{place}");
        }
    }
}

#[test]
fn comparison_files_list_experiments_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("compare.toml");
    let listed = |text: &str| {
        fs::write(&path, text).expect("a file");
        compared_experiments(&path).map_err(|error| error.to_string())
    };
    let expected = ["../a.toml", "/b/c.toml"].map(|file| folder.path().join(file));
    assert_eq!(
        listed("# two\nexperiments = [\n  \"../a.toml\",\n  \"/b/c.toml\",\n]\n"),
        Ok(Some(expected.to_vec()))
    );
    assert_eq!(listed("[data]\ndataset = \"digits\"\n"), Ok(None));
    assert_eq!(listed(""), Ok(None));
    for (text, place, part) in [
        (
            "experiments = []\n",
            "1:15",
            "experiments: found []; expected a list of at least one",
        ),
        ("\nexperiments = \"a.toml\"\n", "2:15", "experiments: found \"a.toml\""),
        (
            "experiments = [\"a.toml\",\n  3]\n",
            "2:3",
            "experiments[1]: found 3; expected a list",
        ),
        ("experiments = [\"\"]\n", "1:16", "experiments[0]: found \"\""),
        (
            "experiments = [\"a.toml\"]\nseed = 1\n",
            "2:1",
            "seed: unknown key; expected `experiments` alone",
        ),
        ("experiments = [\"a.toml\"", "1:", ""),
    ] {
        let message = listed(text).expect_err("a broken file");
        assert!(
            message.starts_with(&format!("{}:{place}", path.display())) && message.contains(part),
            "{message}"
        );
    }
    let message = compared_experiments(&folder.path().join("absent.toml")).expect_err("no file");
    assert!(message.to_string().contains("absent.toml: cannot read"), "{message}");
}
