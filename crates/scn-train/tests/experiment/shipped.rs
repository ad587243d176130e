//! The experiment files of the repository.

use std::collections::HashSet;
use std::path::Path;

use scn_data::{Flip, MeanSubtraction};
use scn_models::{ModelConfig, NetworkConfig};
use scn_train::{Experiment, Loaded, Validation};

use crate::common::{configs, load};

#[test]
fn the_experiments_of_the_repository_load_and_are_named_after_their_files() {
    let files = configs();
    assert!(files.len() >= 22, "{files:?}");
    let mut names = HashSet::new();
    for path in files {
        let Loaded { experiment, source } = Experiment::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            source.starts_with("# "),
            "{}: what it reproduces, and whence",
            path.display()
        );
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let folder = path
            .parent()
            .and_then(Path::file_name)
            .expect("a folder")
            .to_string_lossy()
            .into_owned();
        let dataset = experiment.data.dataset.name();
        if folder == "configs" {
            assert_eq!(experiment.name, stem);
        } else {
            assert_eq!(
                (experiment.name.as_str(), dataset),
                (format!("{folder}-{stem}").as_str(), folder.as_str())
            );
        }
        let again = load(experiment.resolved_toml(), &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.experiment, experiment);
        assert!(names.insert(experiment.name.clone()), "{} twice", experiment.name);
    }
}

/// K and the atoms of the first layer of an SCN.
fn widths(model: &ModelConfig) -> (usize, usize) {
    match &model.network {
        NetworkConfig::Scn(scn) => (scn.keys.width, scn.keys.first_width),
        other => panic!("no SCN: {other:?}"),
    }
}

#[test]
fn the_published_plans_are_as_published() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let published = |file: &str| {
        Experiment::load(&folder.join(file), &[])
            .expect("an experiment")
            .experiment
    };
    for (dataset, batch, shift, decay) in [
        ("cifar10", 128, 4, 5e-4),
        ("cifar100", 128, 4, 5e-4),
        ("stl10", 16, 12, 1e-4),
    ] {
        for width in [1, 2, 4] {
            let Experiment { data, model, train, .. } = published(&format!("{dataset}/scn-{width}.toml"));
            assert_eq!((data.batch_size, data.validation), (batch, Validation::Images(0)));
            assert_eq!(
                (data.augment.flip, data.augment.shift, data.augment.crop),
                (Flip::Random, shift, None)
            );
            assert_eq!(widths(&model), (width, 16));
            assert_eq!((train.epochs, train.optimizer.weight_decay), (200, decay));
            let rates = [0, 79, 80, 159, 160, 199].map(|epoch| train.schedule().learning_rate(epoch * 10, 10));
            for (rate, expected) in rates.into_iter().zip([0.1, 0.1, 0.01, 0.01, 0.001, 0.001]) {
                assert!((rate - expected).abs() < 1e-15, "{rates:?}");
            }
        }
    }
    let Experiment { data, model, train, .. } = published("mnist/scn-4.toml");
    assert_eq!(
        (data.mean, widths(&model), train.epochs),
        (MeanSubtraction::PerPixel, (4, 8), 25)
    );
    assert_eq!(train.schedule.milestones, Some(vec![10, 20]));
    let train = published("cifar10/resnet110.toml").train;
    assert_eq!((train.epochs, train.optimizer.weight_decay), (164, 1e-4));
    assert!((train.schedule().learning_rate(0, 391) - 0.01).abs() < 1e-15);
    assert_eq!(train.schedule().learning_rate(391, 391), 0.1);
    let Experiment { data, train, .. } = published("cifar10/preact-resnet1001.toml");
    assert_eq!((data.batch_size, train.epochs), (64, 164));
    for dataset in ["cifar10", "cifar100", "fashion-mnist"] {
        let Experiment { data, model, train, .. } = published(&format!("{dataset}/msd-csc.toml"));
        let NetworkConfig::MsdCsc(msd_csc) = &model.network else {
            panic!("no MSD-CSC")
        };
        let plan = msd_csc.keys.plan();
        assert_eq!((plan.channels, plan.blocks, plan.depth, plan.growth), (16, 3, 12, 12));
        assert_eq!((plan.dilations, msd_csc.keys.unfoldings), (vec![1, 2, 3, 4, 5, 6], 1));
        assert_eq!((data.batch_size, data.augment), (64, scn_data::Augmentation::default()));
        let optimizer = &train.optimizer;
        assert_eq!(
            (train.epochs, optimizer.learning_rate, optimizer.momentum),
            (300, 0.01, 0.9)
        );
        assert_eq!(optimizer.weight_decay, 0.0);
    }
}
