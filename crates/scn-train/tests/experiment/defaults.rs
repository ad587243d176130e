//! What experiments default to, and that every key is described.

use std::collections::HashSet;
use std::path::PathBuf;

use scn_data::{DatasetKind, MeanSubtraction};
use scn_models::{ModelKind, NetworkConfig, SolverConfig};
use scn_ops::DeviceRequest;
use scn_solver::SolverOptions;
use scn_train::{Experiment, ScheduleKind, TestTime, Validation, keys};

use crate::common::{experiment, leaves, load, model};

#[test]
fn the_shortest_experiment_has_the_defaults_of_the_reference() {
    let loaded = load(model(""), &[]).expect("an experiment");
    assert_eq!(loaded.source, model(""));
    let Experiment {
        name,
        seed,
        data,
        model,
        first_layer,
        train,
        run,
    } = loaded.experiment;
    assert_eq!((name.as_str(), seed), ("x", 0));
    assert_eq!(
        (data.dataset, data.dir, data.batch_size),
        (DatasetKind::Cifar10, PathBuf::from("datasets"), 128)
    );
    assert_eq!(
        (data.validation, data.train_images, data.test_images),
        (Validation::Fraction(0.1), None, None)
    );
    assert_eq!((data.mean, data.divide), (MeanSubtraction::PerChannel, false));
    assert_eq!(data.augment, scn_data::Augmentation::default());
    assert_eq!((model.kind().name(), model.classes), ("scn", Some(10)));
    let NetworkConfig::Scn(scn) = model.network else {
        panic!("no SCN")
    };
    assert_eq!((scn.keys.width, scn.keys.first_width, scn.keys.kernel), (1, 16, 3));
    assert_eq!(scn.keys.solver, SolverConfig::default());
    assert_eq!(scn.keys.solver.options(), SolverOptions::default());
    assert_eq!((first_layer.dictionary, first_layer.frozen), (None, false));
    assert_eq!((train.epochs, train.label_smoothing, train.clip_norm), (200, 0.0, None));
    assert_eq!((train.ema, train.shards), (None, 1));
    let optimizer = &train.optimizer;
    assert_eq!(
        (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay),
        (0.1, 0.9, 5e-4)
    );
    assert!(!optimizer.nesterov && optimizer.decay_lambda1 && optimizer.decay_bias && optimizer.decay_norm);
    assert_eq!(train.schedule.kind, ScheduleKind::Constant);
    assert_eq!(
        (run.device, run.threads, run.checkpoint_every, run.checkpoint_minutes),
        (DeviceRequest::Auto, 0, 1, 10.0)
    );
    assert_eq!(run.test_time, TestTime::None);
}

#[test]
fn every_key_is_documented_with_its_true_default() {
    let schedules = [
        model("[train.schedule]\nwarmup_epochs = 1"),
        model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80]"),
        model("[train.schedule]\nkind = \"cosine\""),
        model("[train.schedule]\nkind = \"one-cycle\""),
        model("[train.schedule]\nkind = \"linear\""),
        model("[train.schedule]\nkind = \"rex\""),
        model("[train.ema]\n"),
        model("[model.csc.implicit]\n").replace("\"scn\"", "\"sdnet18-all\""),
        model("[model.equilibrium.phantom]\n").replace("\"scn\"", "\"mdeq-small\""),
    ];
    let networks = ModelKind::all()
        .into_iter()
        .map(|kind| model("").replace("\"scn\"", &format!("\"{}\"", kind.name())));
    let kinds: Vec<String> = networks.chain(schedules).collect();
    let mut documented: HashSet<&str> = keys().iter().map(|key| key.path.as_str()).collect();
    assert_eq!(documented.len(), keys().len());
    let unset = [
        "data.train_images",
        "data.test_images",
        "data.augment.crop",
        "data.augment.cutout",
        "train.clip_norm",
    ];
    for path in unset {
        assert!(keys().iter().any(|key| key.path == path && key.unset), "{path}");
    }
    for key in keys().iter().filter(|key| key.unset) {
        documented.remove(key.path.as_str());
    }
    for text in &kinds {
        let values = toml::Table::try_from(experiment(text, &[])).expect("values that TOML can write");
        for (path, value) in leaves("", &values) {
            let key = keys()
                .iter()
                .find(|key| key.path == path)
                .unwrap_or_else(|| panic!("{path} is not documented"));
            documented.remove(key.path.as_str());
            if key.default.starts_with('(') || text.contains(path.rsplit('.').next().expect("a name")) {
                continue;
            }
            assert_eq!(Ok(value), key.default.parse(), "{path}");
        }
    }
    assert!(documented.is_empty(), "no such keys: {documented:?}");
    let printed: String = kinds.iter().map(|text| experiment(text, &[]).resolved_toml()).collect();
    for key in keys() {
        assert!(printed.contains(key.doc), "{}", key.path);
    }
}

#[test]
fn every_name_that_is_expected_is_accepted() {
    for key in keys().iter().filter(|key| key.expected.starts_with("one of")) {
        for name in key.expected.split('`').skip(1).step_by(2) {
            let needed = match (key.path.as_str(), name) {
                ("model.stem", _) => "model.kind=resnet18",
                ("model.pursuit", _) => "model={ kind = \"ml-csc\", threshold.initial = 0.1 }",
                ("model.step_size", _) => "model.kind=ml-csc",
                ("model.inference" | "model.dictionaries", _) => "model.kind=sc-cnn",
                ("model.skip", _) => "model.kind=res-csc",
                ("model.equilibrium.method", _) => "model.kind=mdeq-small",
                ("first_layer.form", _) => "first_layer.dictionary=atoms.safetensors",
                ("train.schedule.kind", "milestones") => "train.schedule.milestones=[80]",
                ("train.schedule.anneal", _) => "train.schedule.kind=one-cycle",
                _ => "seed=0",
            };
            let set = format!("{}={name}", key.path);
            let values = toml::Table::try_from(experiment(&model(""), &[needed, &set])).expect("a table");
            let (_, value) = leaves("", &values)
                .into_iter()
                .find(|(path, _)| *path == key.path)
                .expect("the key");
            assert_eq!(value.as_str(), Some(name), "{}", key.path);
        }
    }
    let datasets = &keys()
        .iter()
        .find(|key| key.path == "data.dataset")
        .expect("the key")
        .expected;
    assert_eq!(datasets.matches('`').count(), 2 * DatasetKind::ALL.len());
}
