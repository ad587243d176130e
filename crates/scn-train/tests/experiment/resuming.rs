//! Which experiments go on with a run.

use crate::common::{experiment, model};

#[test]
fn a_run_is_resumed_only_with_the_same_training() {
    let first = experiment(&model("[train]\nclip_norm = 1"), &[]);
    let with = |overrides: &[&str]| first.same_training(&experiment(&model("[train]\nclip_norm = 1"), overrides));
    assert_eq!(with(&[]), Ok(()));
    let elsewhere = [
        "name=y",
        "data.dir=z",
        "run.device=cpu",
        "run.threads=2",
        "run.checkpoint_every=5",
        "run.checkpoint_minutes=0",
    ];
    assert_eq!(with(&elsewhere), Ok(()));
    // Defaults that are written out are no difference.
    assert_eq!(
        with(&["model.width=1", "model.classes=10", "train.schedule.warmup_epochs=0"]),
        Ok(())
    );
    let differences = with(&[
        "train.epochs=300",
        "seed=1",
        "data.train_images=10",
        "train.schedule.kind=cosine",
    ]);
    let expected = [
        "seed was 0, is 1",
        "data.train_images was not set, is 10",
        "train.epochs was 200, is 300",
        "train.schedule.kind was \"constant\", is \"cosine\"",
        "train.schedule.final_learning_rate was not set, is 0.0",
    ];
    assert_eq!(differences, Err(expected.map(str::to_owned).to_vec()));
}
