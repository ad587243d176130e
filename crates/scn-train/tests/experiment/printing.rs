//! Experiments that are written out in full.

use std::fs;
use std::path::Path;

use scn_train::{keys, reference};

use crate::common::{data, experiment, model};

#[test]
fn every_value_can_be_written_out_and_read_again() {
    let everything = r#"
        name = "all \"of\" it"
        seed = 9223372036854775807
        [data]
        dataset = "stl10"
        dir = "some where"
        batch_size = 16
        validation = 500
        train_images = 1000
        test_images = 100
        mean = "per-pixel"
        divide = true
        augment = { flip = true, shift = 12, crop = 64, cutout = 16, per_batch = true }
        [model]
        kind = "scn"
        width = 4
        first_width = 8
        classes = 10
        kernel = 5
        solver = { method = "fista-restart", tolerance = 1e-9, max_iterations = 7, lambda2 = 0.125, backward_ridge = 0.0 }
        lambda1 = { initial = 0.1, per_atom = true, learned = false }
        [train]
        epochs = 30
        label_smoothing = 0.1
        clip_norm = 5
        shards = 4
        [train.optimizer]
        learning_rate = 0.30000000000000004
        momentum = 0.95
        nesterov = true
        weight_decay = 0
        decay_lambda1 = false
        decay_bias = false
        [train.schedule]
        kind = "milestones"
        milestones = [10, 20]
        factor = 0.2
        warmup_epochs = 5
        warmup_start = 0.0
        [run]
        device = "ndarray"
        threads = 3
        checkpoint_every = 10
        checkpoint_minutes = 2.5
        test_time = "flip-shift"
    "#;
    let schedules = [
        "{ kind = \"cosine\", final_learning_rate = 1e-3, warmup_epochs = 2 }",
        "{ kind = \"one-cycle\", peak_fraction = 0.4, anneal = \"linear\", initial_divisor = 10, final_divisor = 100 }",
        "{}",
    ];
    let mut experiments = vec![experiment(everything, &[]), experiment(&data("validation = 0"), &[])];
    for schedule in schedules {
        experiments.push(experiment(everything, &[&format!("train.schedule={schedule}")]));
    }
    experiments.push(experiment(
        &model("order = \"expansion-first\"\npadding = 2\nkernel = 4\nmodules = [[0, 12, 2], [5, 0, 3]]"),
        &[],
    ));
    experiments.push(experiment(
        &model("windows = [[3, 4]]\nprior = { initial = 0.25, minimum = 0.125 }\ninference = \"full\"")
            .replace("\"scn\"", "\"sc-cnn\""),
        &[],
    ));
    experiments.push(experiment(
        &model(""),
        &[
            "model.kind=resnet110",
            "data.validation=0.25",
            "train.optimizer.decay_norm=false",
        ],
    ));
    for first in experiments {
        let text = first.resolved_toml();
        let second = experiment(&text, &[]);
        assert_eq!(first, second, "{text}");
        assert_eq!(text, second.resolved_toml());
    }
}

#[test]
fn what_is_not_set_is_written_as_a_comment() {
    let text = experiment(&model(""), &[]).resolved_toml();
    let expected =
        "# Largest Euclidean norm of the gradient of all parameters. Default: not clipped.\n# clip_norm is not set\n";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("[data]\n# The dataset. Required.\ndataset = \"cifar10\"\n"),
        "{text}"
    );
    assert!(!text.contains("milestones ="), "{text}");
    // Keys without a value are those of the kind.
    assert!(
        text.contains("\n# modules is not set\n") && text.contains("\norder = \"reduction-first\"\n"),
        "{text}"
    );
    let other = experiment(&model(""), &["model.kind=sc-cnn"]).resolved_toml();
    assert!(
        other.contains("\n# l0 is not set\n") && other.contains("\nwindows = [[8, 3], [16, 3]]\n"),
        "{other}"
    );
    for text in [other, experiment(&model(""), &["model.kind=resnet18"]).resolved_toml()] {
        assert!(!text.contains("modules") && !text.contains("padding"), "{text}");
    }
    assert!(!text.contains("# l0") && !text.contains("prior"), "{text}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keys.md");
    let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Behind it are the keys of dictionaries, which a test of `scn config keys` compares.
    assert!(
        page.starts_with(&reference()),
        "docs/keys.md is not what the keys say of themselves: run `scn config keys > docs/keys.md`"
    );
    for key in keys() {
        assert!(page.contains(key.doc) && page.contains(&key.expected), "{}", key.path);
    }
}
