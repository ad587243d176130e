//! Keys on the command line.

use std::path::PathBuf;

use scn_data::{DatasetKind, Flip};
use scn_ops::DeviceRequest;
use scn_train::{TrainConfig, Validation};

use crate::common::{data, experiment, load, model, refused, top};

#[test]
fn overrides_that_cannot_be_applied() {
    refused(&[
        (
            model(""),
            &["train.epochs"],
            "--set train.epochs: expected key=value with a dotted key such as train.epochs=10",
        ),
        (
            model(""),
            &["=3"],
            "--set =3: expected key=value with a dotted key such as train.epochs=10",
        ),
        (
            model(""),
            &["train.epochs="],
            "--set train.epochs=: expected key=value with a dotted key such as train.epochs=10",
        ),
        (
            model(""),
            &["train..epochs=3"],
            "--set train..epochs=3: expected key=value with a dotted key such as train.epochs=10",
        ),
        (
            model(""),
            &["train.schedule.milestones=[80, 160"],
            "--set train.schedule.milestones=[80, 160: the value is not TOML: unclosed array, expected `]`",
        ),
        (
            model(""),
            &["train.epoch=3"],
            "--set train.epoch=3: train.epoch: unknown key; expected one of {below train}; did you mean `epochs`?",
        ),
        (
            model(""),
            &["trian.epochs=3"],
            "--set trian.epochs=3: trian: unknown key; expected one of {below}; did you mean `train`?",
        ),
        (
            model(""),
            &["train.epochs=ten"],
            r#"--set train.epochs=ten: train.epochs: found "ten"; expected a whole number from 1 to 1000000"#,
        ),
        (
            model(""),
            &["train.epochs=5", "train.epochs=0"],
            "--set train.epochs=0: train.epochs: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            model(""),
            &["run.device=gpu"],
            r#"--set run.device=gpu: run.device: found "gpu"; expected one of `auto`, `cpu`, `wgpu`, `ndarray`; did you mean `wgpu`?"#,
        ),
        (
            model(""),
            &["model.width.k=2"],
            "--set model.width.k=2: model.width: found { k = 2 }; expected a whole number from 1 to 64",
        ),
        (
            top("train = 3"),
            &["train.epochs=2"],
            "--set train.epochs=2: train: found 3, but a key below it is set; expected a table",
        ),
        (
            model(""),
            &["train={ epochs = 0 }"],
            "--set train={ epochs = 0 }: train.epochs: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            model(""),
            &["data.dataset=mnist", "data.augment.crop=32"],
            "--set data.augment.crop=32: data.augment.crop: found 32, but the images of mnist are 28×28; expected at most 28",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, 160]"),
            &["train.epochs=100"],
            "x.toml:7:19: train.schedule.milestones[1]: found 160, but train.epochs is 100; expected epochs before 100",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, 160]"),
            &["train.schedule.kind=cosine"],
            r#"x.toml:7:14: train.schedule.milestones: found [80, 160], but train.schedule.kind is "cosine"; expected it with train.schedule.kind = "milestones" only"#,
        ),
    ]);
}

#[test]
fn overrides_are_toml_or_stand_for_themselves() {
    let set = |overrides: &[&str]| experiment(&data("batch_size = 64"), overrides);
    assert_eq!(set(&["data.batch_size=32"]).data.batch_size, 32);
    assert_eq!(set(&["data.batch_size=32", "data.batch_size=16"]).data.batch_size, 16);
    assert_eq!(set(&[" run.device = cpu "]).run.device, DeviceRequest::Cpu);
    assert_eq!(set(&["run.device=\"cpu\""]).run.device, DeviceRequest::Cpu);
    assert_eq!(
        set(&["data.dir=/some where/a=b"]).data.dir,
        PathBuf::from("/some where/a=b")
    );
    assert_eq!(set(&["name=2nd-try"]).name, "2nd-try");
    assert_eq!(set(&["data.validation=5000"]).data.validation, Validation::Images(5000));
    assert_eq!(set(&["data.validation=0.2"]).data.validation, Validation::Fraction(0.2));
    for (value, flip) in [
        ("false", Flip::Never),
        ("true", Flip::Random),
        ("alternating", Flip::Alternating),
    ] {
        let experiment = set(&[&format!("data.augment.flip={value}")]);
        assert_eq!(experiment.data.augment.flip, flip);
        let again = load(experiment.resolved_toml(), &[]).expect("an experiment");
        assert_eq!(again.experiment, experiment);
    }
    assert_eq!(
        set(&["train.optimizer.weight_decay=1e-4"]).train.optimizer.weight_decay,
        1e-4
    );
    assert_eq!(
        set(&["train={ epochs = 7 }"]).train,
        TrainConfig {
            epochs: 7,
            ..set(&[]).train
        }
    );
    let milestones = ["train.schedule.kind=milestones", "train.schedule.milestones=[1, 2]"];
    assert_eq!(set(&milestones).train.schedule.milestones, Some(vec![1, 2]));
    // What an experiment lacks may come from overrides.
    let loaded = load("", &["data.dataset=digits", "model.kind=scn"]).expect("an experiment");
    assert_eq!(
        (loaded.experiment.data.dataset, loaded.source.as_str()),
        (DatasetKind::Digits, "")
    );
}
