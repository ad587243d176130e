//! What a comparison refuses before it starts a model.

use std::path::Path;

use scn_study::StudyError;
use scn_study::comparison::{Options, Step, comparison};
use scn_train::StopFlag;

const EXPERIMENT: &str = "[data]\ndataset = \"digits\"\nvalidation = 0\n[model]\nkind = \"resnet20\"\n";

fn refused(folder: &Path, options: Options) -> StudyError {
    let file = folder.join("resnet.toml");
    std::fs::write(&file, EXPERIMENT).unwrap();
    let options = Options {
        experiments: vec![file],
        ..options
    };
    let (out, program) = (folder.join("out"), folder.join("absent"));
    let mut steps = Vec::new();
    let error = comparison(&options, &out, &program, &StopFlag::default(), &mut |step| {
        steps.push(step)
    })
    .unwrap_err();
    assert!(steps.is_empty() && !out.exists());
    error
}

#[test]
fn a_target_needs_a_validation_split() {
    let folder = tempfile::tempdir().unwrap();
    let target = |set: &[&str]| Options {
        target: Some(60.0),
        set: set.iter().map(ToString::to_string).collect(),
        ..Options::default()
    };
    let error = refused(folder.path(), target(&[]));
    assert!(
        matches!(&error, StudyError::NoValidation(file) if file.ends_with("resnet.toml")),
        "{error}"
    );
    // With one, or without a target, nothing is wrong but the program.
    for options in [target(&["data.validation=40"]), Options::default()] {
        let message = refused(folder.path(), options).to_string();
        assert!(message.starts_with("cannot start scn summary: "), "{message}");
    }
}

#[test]
fn a_step_tells_whether_a_model_was_trained_before() {
    let step = |trained_in: Option<&str>| Step {
        model: 2,
        of: 3,
        name: "scn".into(),
        trained_in: trained_in.map(Into::into),
    };
    assert_eq!(step(None).to_string(), "model 2 of 3: scn");
    assert_eq!(
        step(Some("out/scn")).to_string(),
        "model 2 of 3: scn was trained before, in out/scn"
    );
}
