//! Experiment files: what they default to, what is refused and how, and that they can be written out.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use scn_data::{DatasetKind, MeanSubtraction};
use scn_models::{ModelKind, SolverConfig};
use scn_ops::DeviceRequest;
use scn_train::{
    Experiment, ExperimentError, KEYS, Loaded, Place, ScheduleKind, TrainConfig, Validation, compared_experiments,
};

/// The shortest experiment, with more lines before it.
fn top(lines: &str) -> String {
    format!("{lines}\n{}", model(""))
}

/// The shortest experiment, with more lines in its table `data`.
fn data(lines: &str) -> String {
    format!("[data]\ndataset = \"cifar10\"\n{lines}\n[model]\nkind = \"scn\"\n")
}

/// The shortest experiment, with more lines in its table `model`, which is the last.
fn model(lines: &str) -> String {
    format!("[data]\ndataset = \"cifar10\"\n[model]\nkind = \"scn\"\n{lines}\n")
}

fn load(text: impl AsRef<[u8]>, overrides: &[&str]) -> Result<Loaded, ExperimentError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.toml");
    fs::write(&path, text).expect("a temporary file");
    let overrides: Vec<String> = overrides.iter().map(|&argument| argument.to_owned()).collect();
    Experiment::load(&path, &overrides)
}

fn experiment(text: &str, overrides: &[&str]) -> Experiment {
    load(text, overrides)
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .experiment
}

/// The message of a refusal, the temporary folder taken out.
fn message(text: impl AsRef<[u8]>, overrides: &[&str]) -> String {
    let message = load(text, overrides).expect_err("a refusal").to_string();
    match message.find("x.toml") {
        Some(start) => message[start..].to_owned(),
        None => message,
    }
}

fn refused(rows: &[(String, &[&str], &str)]) {
    for (text, overrides, expected) in rows {
        assert_eq!(message(text, overrides), *expected, "\n{text}{overrides:?}");
    }
}

#[test]
fn unknown_keys_name_the_nearest_key() {
    refused(&[
        (
            top("sead = 1"),
            &[],
            "x.toml:1:1: sead: unknown key; expected one of `name`, `seed`, `data`, `model`, `train`, `run`; did you mean `seed`?",
        ),
        (
            top("epochs = 1"),
            &[],
            "x.toml:1:1: epochs: unknown key; expected one of `name`, `seed`, `data`, `model`, `train`, `run`; did you mean `train.epochs`?",
        ),
        (
            "[dta]\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:2: dta: unknown key; expected one of `name`, `seed`, `data`, `model`, `train`, `run`; did you mean `data`?",
        ),
        (
            data("batchsize = 64"),
            &[],
            "x.toml:3:1: data.batchsize: unknown key; expected one of `dataset`, `dir`, `batch_size`, `validation`, `train_images`, `test_images`, `mean`, `divide`, `augment`; did you mean `batch_size`?",
        ),
        (
            data("augment.hflip = true"),
            &[],
            "x.toml:3:9: data.augment.hflip: unknown key; expected one of `flip`, `shift`, `crop`, `per_batch`; did you mean `flip`?",
        ),
        (
            data("augment.rotation = 10"),
            &[],
            "x.toml:3:9: data.augment.rotation: unknown key; expected one of `flip`, `shift`, `crop`, `per_batch`",
        ),
        (
            model("widht = 2"),
            &[],
            "x.toml:5:1: model.widht: unknown key; expected one of `kind`, `width`, `first_width`, `classes`, `kernel`, `stem`, `shortcuts`, `solver`, `lambda1`, `csc`; did you mean `width`?",
        ),
        (
            model("solver.tol = 1e-3"),
            &[],
            "x.toml:5:8: model.solver.tol: unknown key; expected one of `method`, `tolerance`, `max_iterations`, `lambda2`, `backward_ridge`, `backward_tolerance`, `backward_max_iterations`; did you mean `tolerance`?",
        ),
        (
            model("solver.lamda2 = 1"),
            &[],
            "x.toml:5:8: model.solver.lamda2: unknown key; expected one of `method`, `tolerance`, `max_iterations`, `lambda2`, `backward_ridge`, `backward_tolerance`, `backward_max_iterations`; did you mean `lambda2`?",
        ),
        (
            model("solver.lambda = 1"),
            &[],
            "x.toml:5:8: model.solver.lambda: unknown key; expected one of `method`, `tolerance`, `max_iterations`, `lambda2`, `backward_ridge`, `backward_tolerance`, `backward_max_iterations`; did you mean `lambda2`?",
        ),
        (
            model("lambda1.per-atom = true"),
            &[],
            "x.toml:5:9: model.lambda1.per-atom: unknown key; expected one of `initial`, `per_atom`, `learned`; did you mean `per_atom`?",
        ),
        (
            model("[train]\nepoch = 3"),
            &[],
            "x.toml:6:1: train.epoch: unknown key; expected one of `epochs`, `label_smoothing`, `clip_norm`, `optimizer`, `schedule`; did you mean `epochs`?",
        ),
        (
            model("[train]\nlr = 0.1"),
            &[],
            "x.toml:6:1: train.lr: unknown key; expected one of `epochs`, `label_smoothing`, `clip_norm`, `optimizer`, `schedule`; did you mean `train.optimizer.learning_rate`?",
        ),
        (
            model("[train]\nweight_decay = 0.1"),
            &[],
            "x.toml:6:1: train.weight_decay: unknown key; expected one of `epochs`, `label_smoothing`, `clip_norm`, `optimizer`, `schedule`; did you mean `train.optimizer.weight_decay`?",
        ),
        (
            model("[train.optimizer]\nlr = 0.1"),
            &[],
            "x.toml:6:1: train.optimizer.lr: unknown key; expected one of `learning_rate`, `momentum`, `nesterov`, `weight_decay`, `decay_lambda1`, `decay_bias`, `decay_norm`; did you mean `learning_rate`?",
        ),
        (
            model("[train.scheduler]\nkind = \"cosine\""),
            &[],
            "x.toml:5:8: train.scheduler: unknown key; expected one of `epochs`, `label_smoothing`, `clip_norm`, `optimizer`, `schedule`; did you mean `schedule`?",
        ),
        (
            model("[train.schedule]\ngamma = 0.2"),
            &[],
            "x.toml:6:1: train.schedule.gamma: unknown key; expected one of `kind`, `warmup_epochs`, `warmup_start`, `milestones`, `factor`, `final_learning_rate`, `peak_fraction`, `anneal`, `initial_divisor`, `final_divisor`; did you mean `factor`?",
        ),
        (
            model("[run]\nworkers = 4"),
            &[],
            "x.toml:6:1: run.workers: unknown key; expected one of `device`, `threads`, `checkpoint_every`, `checkpoint_minutes`",
        ),
        (
            model("[run]\n\"a b\" = 4"),
            &[],
            r#"x.toml:6:1: run."a b": unknown key; expected one of `device`, `threads`, `checkpoint_every`, `checkpoint_minutes`"#,
        ),
        (
            model("[run]\nzzz = 1\naaa = 2"),
            &[],
            "x.toml:6:1: run.zzz: unknown key; expected one of `device`, `threads`, `checkpoint_every`, `checkpoint_minutes`",
        ),
    ]);
}

#[test]
fn values_of_the_wrong_type() {
    refused(&[
        (
            top(r#"seed = "one""#),
            &[],
            r#"x.toml:1:8: seed: found "one"; expected a whole number from 0 to 9223372036854775807"#,
        ),
        (
            top("seed = -1"),
            &[],
            "x.toml:1:8: seed: found -1; expected a whole number from 0 to 9223372036854775807",
        ),
        (
            top("seed = 1.0"),
            &[],
            "x.toml:1:8: seed: found 1.0; expected a whole number from 0 to 9223372036854775807",
        ),
        (
            top("name = 7"),
            &[],
            "x.toml:1:8: name: found 7; expected a name without slashes, fit for a folder",
        ),
        (
            "data = 3\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            "x.toml:1:8: data: found 3; expected a table",
        ),
        (
            top(r#"train = "long""#),
            &[],
            r#"x.toml:1:9: train: found "long"; expected a table"#,
        ),
        (
            data("batch_size = 12.5"),
            &[],
            "x.toml:3:14: data.batch_size: found 12.5; expected a whole number from 2 to 1000000",
        ),
        (
            data("batch_size = -4"),
            &[],
            "x.toml:3:14: data.batch_size: found -4; expected a whole number from 2 to 1000000",
        ),
        (
            data(r#"validation = "10%""#),
            &[],
            r#"x.toml:3:14: data.validation: found "10%"; expected a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)"#,
        ),
        (
            data("validation = -5"),
            &[],
            "x.toml:3:14: data.validation: found -5; expected a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)",
        ),
        (
            data("divide = 1"),
            &[],
            "x.toml:3:10: data.divide: found 1; expected true or false",
        ),
        (
            data(r#"augment = "flip""#),
            &[],
            r#"x.toml:3:11: data.augment: found "flip"; expected a table"#,
        ),
        (
            data("augment.shift = 2.5"),
            &[],
            "x.toml:3:17: data.augment.shift: found 2.5; expected a whole number of pixels, at least 0 and smaller than the image",
        ),
        (
            model(r#"solver.tolerance = "tight""#),
            &[],
            r#"x.toml:5:20: model.solver.tolerance: found "tight"; expected a finite number, at least 0"#,
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, -1]"),
            &[],
            "x.toml:7:19: train.schedule.milestones[1]: found -1; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [\n  80,\n  \"160\",\n]"),
            &[],
            r#"x.toml:9:3: train.schedule.milestones[1]: found "160"; expected a rising list of epochs, whole numbers from 1, such as [80, 160]"#,
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = 80"),
            &[],
            "x.toml:7:14: train.schedule.milestones: found 80; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
        (
            model("[train.optimizer]\nlearning_rate = [0.1]"),
            &[],
            "x.toml:6:17: train.optimizer.learning_rate: found [0.1]; expected a finite number above 0",
        ),
        (
            model("[run]\nthreads = 1979-05-27"),
            &[],
            "x.toml:6:11: run.threads: found 1979-05-27; expected a whole number from 0 to 1024",
        ),
    ]);
}

#[test]
fn names_that_do_not_exist() {
    refused(&[
        (
            "[data]\ndataset = \"cifar-10\"\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            r#"x.toml:2:11: data.dataset: found "cifar-10"; expected one of `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `stl10`, `digits`; did you mean `cifar10`?"#,
        ),
        (
            "[data]\ndataset = \"imagenet\"\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            r#"x.toml:2:11: data.dataset: found "imagenet"; expected one of `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `stl10`, `digits`"#,
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = \"resnet50\"\n".to_owned(),
            &[],
            r#"x.toml:4:8: model.kind: found "resnet50"; expected one of `scn`, `scn18`, `resnet18`, `resnet34`, `resnet20`, `resnet56`, `resnet110`, `sdnet18`, `sdnet34`, `sdnet18-all`, `preact-resnet164`, `preact-resnet1001`, `wrn-28-10`"#,
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = { name = \"scn\" }\n".to_owned(),
            &[],
            r#"x.toml:4:8: model.kind: found { name = "scn" }; expected one of `scn`, `scn18`, `resnet18`, `resnet34`, `resnet20`, `resnet56`, `resnet110`, `sdnet18`, `sdnet34`, `sdnet18-all`, `preact-resnet164`, `preact-resnet1001`, `wrn-28-10`"#,
        ),
        (
            data(r#"mean = "channel""#),
            &[],
            r#"x.toml:3:8: data.mean: found "channel"; expected one of `none`, `per-channel`, `per-pixel`; did you mean `per-channel`?"#,
        ),
        (
            model(r#"solver.method = "ista""#),
            &[],
            r#"x.toml:5:17: model.solver.method: found "ista"; expected one of `coordinate-descent`, `fista`, `fista-restart`; did you mean `fista`?"#,
        ),
        (
            model("[train.schedule]\nkind = \"onecycle\""),
            &[],
            r#"x.toml:6:8: train.schedule.kind: found "onecycle"; expected one of `constant`, `milestones`, `cosine`, `one-cycle`; did you mean `one-cycle`?"#,
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\nanneal = \"cos\""),
            &[],
            r#"x.toml:7:10: train.schedule.anneal: found "cos"; expected one of `cosine`, `linear`; did you mean `cosine`?"#,
        ),
        (
            model("[run]\ndevice = \"cuda\""),
            &[],
            r#"x.toml:6:10: run.device: found "cuda"; expected one of `auto`, `cpu`, `wgpu`, `ndarray`; did you mean `wgpu`?"#,
        ),
    ]);
}

#[test]
fn required_keys() {
    refused(&[
        (
            "".to_owned(),
            &[],
            "x.toml:1:1: data.dataset: missing; expected `dataset = …` below `[data]`, one of `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `stl10`, `digits`",
        ),
        (
            "[data]\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            "x.toml:1:2: data.dataset: missing; expected `dataset = …` below `[data]`, one of `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `stl10`, `digits`",
        ),
        (
            "seed = 1\n[data]\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:1: model.kind: missing; expected `kind = …` below `[model]`, one of `scn`, `scn18`, `resnet18`, `resnet34`, `resnet20`, `resnet56`, `resnet110`, `sdnet18`, `sdnet34`, `sdnet18-all`, `preact-resnet164`, `preact-resnet1001`, `wrn-28-10`",
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nwidth = 2\n".to_owned(),
            &[],
            "x.toml:3:2: model.kind: missing; expected `kind = …` below `[model]`, one of `scn`, `scn18`, `resnet18`, `resnet34`, `resnet20`, `resnet56`, `resnet110`, `sdnet18`, `sdnet34`, `sdnet18-all`, `preact-resnet164`, `preact-resnet1001`, `wrn-28-10`",
        ),
    ]);
}

#[test]
fn files_that_are_not_toml_and_numbers_too_large() {
    refused(&[
        (
            top("seed = "),
            &[],
            "x.toml:1:8: string values must be quoted, expected literal string",
        ),
        (top("seed = 1\nseed = 2"), &[], "x.toml:2:1: duplicate key"),
        (model("[data]\nbatch_size = 3"), &[], "x.toml:5:2: duplicate key"),
        (
            "[data\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:6: unclosed table, expected `]`",
        ),
        (
            "name = \"ü\", seed = 1\n".to_owned(),
            &[],
            "x.toml:1:11: unexpected key or value, expected newline, `#`",
        ),
        (
            top("seed = 9223372036854775808"),
            &[],
            "x.toml:1:8: seed: found 9223372036854775808; expected a whole number from 0 to 9223372036854775807",
        ),
        (
            data("batch_size = 99999999999999999999"),
            &[],
            "x.toml:3:14: data.batch_size: found 99999999999999999999; expected a whole number from 2 to 1000000",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, 99999999999999999999]"),
            &[],
            "x.toml:7:19: train.schedule.milestones[1]: found 99999999999999999999; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
    ]);
}

#[test]
fn values_out_of_range() {
    refused(&[
        (
            top(r#"name = """#),
            &[],
            r#"x.toml:1:8: name: found ""; expected a name without slashes, fit for a folder"#,
        ),
        (
            top(r#"name = "a/b""#),
            &[],
            r#"x.toml:1:8: name: found "a/b"; expected a name without slashes, fit for a folder"#,
        ),
        (
            top(r#"name = "..""#),
            &[],
            r#"x.toml:1:8: name: found ".."; expected a name without slashes, fit for a folder"#,
        ),
        (
            data("batch_size = 1"),
            &[],
            "x.toml:3:14: data.batch_size: found 1; expected a whole number from 2 to 1000000",
        ),
        (
            data("batch_size = 0"),
            &[],
            "x.toml:3:14: data.batch_size: found 0; expected a whole number from 2 to 1000000",
        ),
        (
            data("validation = 1.0"),
            &[],
            "x.toml:3:14: data.validation: found 1.0; expected a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)",
        ),
        (
            data("validation = nan"),
            &[],
            "x.toml:3:14: data.validation: found NaN; expected a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)",
        ),
        (
            data("validation = -0.1"),
            &[],
            "x.toml:3:14: data.validation: found -0.1; expected a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)",
        ),
        (
            data("train_images = 1"),
            &[],
            "x.toml:3:16: data.train_images: found 1; expected a whole number, at least 2",
        ),
        (
            data("test_images = 0"),
            &[],
            "x.toml:3:15: data.test_images: found 0; expected a whole number, at least 1",
        ),
        (
            data("augment.crop = 0"),
            &[],
            "x.toml:3:16: data.augment.crop: found 0; expected a whole number of pixels, at least 1 and not larger than the image",
        ),
        (
            model("width = 0"),
            &[],
            "x.toml:5:9: model.width: found 0; expected a whole number from 1 to 64",
        ),
        (
            model("width = 65"),
            &[],
            "x.toml:5:9: model.width: found 65; expected a whole number from 1 to 64",
        ),
        (
            model("kernel = 4"),
            &[],
            "x.toml:5:10: model.kernel: found 4; expected an odd whole number from 1 to 31",
        ),
        (
            model("first_width = 9223372036854775807"),
            &[],
            "x.toml:5:15: model.first_width: found 9223372036854775807; expected a whole number from 1 to 4096",
        ),
        (
            model("classes = 1"),
            &[],
            "x.toml:5:11: model.classes: found 1; expected the number of classes of the dataset",
        ),
        (
            model("solver.tolerance = -1e-4"),
            &[],
            "x.toml:5:20: model.solver.tolerance: found -0.0001; expected a finite number, at least 0",
        ),
        (
            model("solver.lambda2 = inf"),
            &[],
            "x.toml:5:18: model.solver.lambda2: found inf; expected a finite number, at least 0",
        ),
        (
            model("solver.max_iterations = 0"),
            &[],
            "x.toml:5:25: model.solver.max_iterations: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            model("lambda1.initial = nan"),
            &[],
            "x.toml:5:19: model.lambda1.initial: found NaN; expected a finite number, at least 0",
        ),
        (
            model("[train]\nepochs = 0"),
            &[],
            "x.toml:6:10: train.epochs: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            model("[train]\nepochs = 1000001"),
            &[],
            "x.toml:6:10: train.epochs: found 1000001; expected a whole number from 1 to 1000000",
        ),
        (
            model("[train]\nlabel_smoothing = 1"),
            &[],
            "x.toml:6:19: train.label_smoothing: found 1; expected a number from 0 to below 1",
        ),
        (
            model("[train]\nclip_norm = 0.0"),
            &[],
            "x.toml:6:13: train.clip_norm: found 0; expected a finite number above 0",
        ),
        (
            model("[train.optimizer]\nlearning_rate = 0"),
            &[],
            "x.toml:6:17: train.optimizer.learning_rate: found 0; expected a finite number above 0",
        ),
        (
            model("[train.optimizer]\nlearning_rate = nan"),
            &[],
            "x.toml:6:17: train.optimizer.learning_rate: found NaN; expected a finite number above 0",
        ),
        (
            model("[train.optimizer]\nlearning_rate = inf"),
            &[],
            "x.toml:6:17: train.optimizer.learning_rate: found inf; expected a finite number above 0",
        ),
        (
            model("[train.optimizer]\nmomentum = 1.0"),
            &[],
            "x.toml:6:12: train.optimizer.momentum: found 1; expected a number from 0 to below 1",
        ),
        (
            model("[train.optimizer]\nweight_decay = -5e-4"),
            &[],
            "x.toml:6:16: train.optimizer.weight_decay: found -0.0005; expected a finite number, at least 0",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [160, 80]"),
            &[],
            "x.toml:7:14: train.schedule.milestones: found [160, 80]; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [0, 80]"),
            &[],
            "x.toml:7:14: train.schedule.milestones: found [0, 80]; expected a rising list of epochs, whole numbers from 1, such as [80, 160]",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80]\nfactor = 1.0"),
            &[],
            "x.toml:8:10: train.schedule.factor: found 1; expected a number above 0 and below 1",
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\npeak_fraction = 0"),
            &[],
            "x.toml:7:17: train.schedule.peak_fraction: found 0; expected a number above 0 and below 1",
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\ninitial_divisor = 0.5"),
            &[],
            "x.toml:7:19: train.schedule.initial_divisor: found 0.5; expected a finite number, at least 1",
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\nfinal_divisor = inf"),
            &[],
            "x.toml:7:17: train.schedule.final_divisor: found inf; expected a finite number, at least 1",
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nwarmup_epochs = 5\nwarmup_start = 1.0"),
            &[],
            "x.toml:8:16: train.schedule.warmup_start: found 1; expected a number from 0 to below 1",
        ),
        (
            model("[run]\nthreads = 1025"),
            &[],
            "x.toml:6:11: run.threads: found 1025; expected a whole number from 0 to 1024",
        ),
        (
            model("[run]\ncheckpoint_every = 0"),
            &[],
            "x.toml:6:20: run.checkpoint_every: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            model("[run]\ncheckpoint_minutes = 0"),
            &[],
            "x.toml:6:22: run.checkpoint_minutes: found 0; expected a finite number above 0",
        ),
    ]);
}

#[test]
fn values_that_do_not_go_together() {
    refused(&[
        (
            data("validation = 49999"),
            &[],
            "x.toml:3:14: data.validation: found 49999, but cifar10 has 50000 training images; expected at most 49998 images",
        ),
        (
            data("validation = 0.99999"),
            &[],
            "x.toml:3:14: data.validation: found 0.99999, but cifar10 has 50000 training images; expected at most 49998 images",
        ),
        (
            data("validation = 0.000001"),
            &[],
            "x.toml:3:14: data.validation: found 1e-6, but cifar10 has 50000 training images; expected 0 or at least 0.00002",
        ),
        (
            data("train_images = 45001"),
            &[],
            "x.toml:3:16: data.train_images: found 45001, but cifar10 has 50000 training images and 5000 of them are for validation; expected at most 45000",
        ),
        (
            data("validation = 0\ntrain_images = 50001"),
            &[],
            "x.toml:4:16: data.train_images: found 50001, but cifar10 has 50000 training images and 0 of them are for validation; expected at most 50000",
        ),
        (
            data("test_images = 10001"),
            &[],
            "x.toml:3:15: data.test_images: found 10001, but cifar10 has 10000 test images; expected at most 10000",
        ),
        (
            data("augment.crop = 33"),
            &[],
            "x.toml:3:16: data.augment.crop: found 33, but the images of cifar10 are 32×32; expected at most 32",
        ),
        (
            data("augment.shift = 32"),
            &[],
            "x.toml:3:17: data.augment.shift: found 32, but the images of cifar10 are 32×32; expected at most 31",
        ),
        (
            model("classes = 100"),
            &[],
            "x.toml:5:11: model.classes: found 100, but cifar10 has 10 classes; expected 10",
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = \"resnet18\"\nwidth = 4\n".to_owned(),
            &[],
            r#"x.toml:5:9: model.width: found 4, but model.kind is "resnet18"; expected it with model.kind = "scn" only"#,
        ),
        (
            model("csc = { steps = 3 }"),
            &[],
            r#"x.toml:5:7: model.csc: found { lambda = 0.1, mu = 0.0, non_negative = true, steps = 3 }, but model.kind is "scn"; expected it with model.kind = "sdnet18" or "sdnet34" or "sdnet18-all" only"#,
        ),
        (
            model("[model.csc]\nsteps = 0").replace("scn", "sdnet18"),
            &[],
            "x.toml:6:9: model.csc.steps: found 0; expected a whole number from 1 to 1000",
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = \"resnet18\"\n[model.solver]\nlambda2 = 0.1\n".to_owned(),
            &[],
            r#"x.toml:5:1: model.solver: found a table, but model.kind is "resnet18"; expected it with model.kind = "scn" or "scn18" only"#,
        ),
        (
            model("stem = \"imagenet\""),
            &[],
            r#"x.toml:5:8: model.stem: found "imagenet", but model.kind is "scn"; expected it with model.kind = "scn18" or "resnet18" or "resnet34" or "sdnet18" or "sdnet34" or "sdnet18-all" only"#,
        ),
        (
            model("shortcuts = false").replace("scn", "sdnet18"),
            &[],
            r#"x.toml:5:13: model.shortcuts: found false, but model.kind is "sdnet18"; expected it with model.kind = "sdnet18-all" only"#,
        ),
        (
            model("[train.optimizer]\nnesterov = true\nmomentum = 0"),
            &[],
            "x.toml:6:12: train.optimizer.nesterov: found true, but train.optimizer.momentum is 0; expected a momentum above 0 with it",
        ),
        (
            model("[train.schedule]\nmilestones = [80]"),
            &[],
            r#"x.toml:6:14: train.schedule.milestones: found [80], but train.schedule.kind is "constant"; expected it with train.schedule.kind = "milestones" only"#,
        ),
        (
            model("[train.schedule]\nkind = \"milestones\""),
            &[],
            r#"x.toml:5:8: train.schedule.milestones: found none, but train.schedule.kind is "milestones"; expected a rising list of epochs, whole numbers from 1, such as [80, 160]"#,
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80, 200]"),
            &[],
            "x.toml:7:19: train.schedule.milestones[1]: found 200, but train.epochs is 200; expected epochs before 200",
        ),
        (
            model("[train.schedule]\nkind = \"milestones\"\nmilestones = [3]\nwarmup_epochs = 5"),
            &[],
            "x.toml:7:15: train.schedule.milestones[0]: found 3, but the warm-up takes 5 epochs; expected epochs from 5",
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nfactor = 0.2"),
            &[],
            r#"x.toml:7:10: train.schedule.factor: found 0.2, but train.schedule.kind is "cosine"; expected it with train.schedule.kind = "milestones" only"#,
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nfinal_learning_rate = 0.2"),
            &[],
            "x.toml:7:23: train.schedule.final_learning_rate: found 0.2, but train.optimizer.learning_rate is 0.1; expected at most 0.1",
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\nwarmup_epochs = 5"),
            &[],
            r#"x.toml:7:17: train.schedule.warmup_epochs: found 5, but train.schedule.kind is "one-cycle"; expected it with train.schedule.kind = "constant" or "milestones" or "cosine" only"#,
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nanneal = \"linear\""),
            &[],
            r#"x.toml:7:10: train.schedule.anneal: found "linear", but train.schedule.kind is "cosine"; expected it with train.schedule.kind = "one-cycle" only"#,
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nwarmup_start = 0.5"),
            &[],
            "x.toml:7:16: train.schedule.warmup_start: found 0.5, but train.schedule.warmup_epochs is 0; expected it with a warm-up only",
        ),
        (
            model("[train]\nepochs = 5\n[train.schedule]\nwarmup_epochs = 5"),
            &[],
            "x.toml:8:17: train.schedule.warmup_epochs: found 5, but train.epochs is 5; expected less than 5",
        ),
    ]);
}

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
            "--set train.epoch=3: train.epoch: unknown key; expected one of `epochs`, `label_smoothing`, `clip_norm`, `optimizer`, `schedule`; did you mean `epochs`?",
        ),
        (
            model(""),
            &["trian.epochs=3"],
            "--set trian.epochs=3: trian: unknown key; expected one of `name`, `seed`, `data`, `model`, `train`, `run`; did you mean `train`?",
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
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = |path: &Path| Experiment::load(path, &[]).expect_err("a refusal").to_string();
    let absent = folder.path().join("absent.toml");
    let expected = format!("{}: cannot read the experiment file: No such file", absent.display());
    assert!(refusal(&absent).starts_with(&expected), "{}", refusal(&absent));
    let expected = format!(
        "{}: cannot read the experiment file: Is a directory",
        folder.path().display()
    );
    assert!(
        refusal(folder.path()).starts_with(&expected),
        "{}",
        refusal(folder.path())
    );
    assert_eq!(
        message(b"seed = 1\nname = \"\xff\"\n", &[]),
        "x.toml:2:9: the experiment file is not UTF-8 text"
    );
}

#[test]
fn errors_carry_their_place_and_values() {
    let error = load(model("[train]\nepochs = 0"), &[]).expect_err("a refusal");
    let ExperimentError::Value { place, key, found, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(
            *place,
            Place::File {
                line: 6,
                column: 10,
                ..
            }
        ),
        "{place:?}"
    );
    assert_eq!((key.as_str(), found.as_str()), ("train.epochs", "0"));

    let mut made = experiment(&model(""), &[]);
    assert!(made.validate().is_ok());
    made.train.optimizer.momentum = f64::NAN;
    let refusal = made.validate().expect_err("a refusal").to_string();
    assert_eq!(
        refusal,
        "train.optimizer.momentum: found NaN; expected a number from 0 to below 1"
    );
    made.seed = u64::MAX;
    let refusal = made.validate().expect_err("a refusal").to_string();
    assert!(
        refusal.starts_with("seed: found 18446744073709551615; expected"),
        "{refusal}"
    );
}

#[test]
fn the_shortest_experiment_has_the_defaults_of_the_reference() {
    let loaded = load(model(""), &[]).expect("an experiment");
    assert_eq!(loaded.source, model(""));
    let Experiment {
        name,
        seed,
        data,
        model,
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
    assert_eq!((model.kind, model.classes), (ModelKind::Scn, Some(10)));
    assert_eq!(
        (model.width, model.first_width, model.kernel),
        (Some(1), Some(16), Some(3))
    );
    assert_eq!(model.solver, Some(SolverConfig::default()));
    assert_eq!((train.epochs, train.label_smoothing, train.clip_norm), (200, 0.0, None));
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
}

#[test]
fn every_key_is_documented_with_its_true_default() {
    let kinds = [
        model(""),
        model("[train.schedule]\nwarmup_epochs = 1"),
        model("[train.schedule]\nkind = \"milestones\"\nmilestones = [80]"),
        model("[train.schedule]\nkind = \"cosine\""),
        model("[train.schedule]\nkind = \"one-cycle\""),
        model("[model.csc.implicit]\n").replace("\"scn\"", "\"sdnet18-all\""),
    ];
    let mut documented: HashSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(documented.len(), KEYS.len());
    let unset = [
        "data.train_images",
        "data.test_images",
        "data.augment.crop",
        "train.clip_norm",
    ];
    for path in unset {
        assert!(documented.remove(path), "{path}");
    }
    for text in &kinds {
        let values = toml::Table::try_from(experiment(text, &[])).expect("values that TOML can write");
        for (path, value) in leaves("", &values) {
            let key = KEYS
                .iter()
                .find(|key| key.path == path)
                .unwrap_or_else(|| panic!("{path} is not documented"));
            documented.remove(key.path);
            if key.default.starts_with('(') || text.contains(path.rsplit('.').next().expect("a name")) {
                continue;
            }
            assert_eq!(Ok(value), key.default.parse(), "{path}");
        }
    }
    assert!(documented.is_empty(), "no such keys: {documented:?}");
    let printed = kinds.map(|text| experiment(&text, &[]).resolved_toml()).concat();
    for key in KEYS {
        assert!(printed.contains(key.doc), "{}", key.path);
    }
}

/// Every key with its value.
fn leaves(path: &str, table: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match value {
            toml::Value::Table(inner) => found.extend(leaves(&path, inner)),
            value => found.push((path, value.clone())),
        }
    }
    found
}

#[test]
fn every_name_that_is_expected_is_accepted() {
    for key in KEYS.iter().filter(|key| key.expected.starts_with("one of")) {
        for name in key.expected.split('`').skip(1).step_by(2) {
            let needed = match (key.path, name) {
                ("model.stem", _) => "model.kind=resnet18",
                ("train.schedule.kind", "milestones") => "train.schedule.milestones=[80]",
                ("train.schedule.anneal", _) => "train.schedule.kind=one-cycle",
                _ => "seed=0",
            };
            let set = format!("{}={name}", key.path);
            let values = toml::Table::try_from(experiment(&model(""), &[needed, &set])).expect("a table");
            let (_, value) = leaves("", &values)
                .into_iter()
                .find(|(path, _)| path == key.path)
                .expect("the key");
            assert_eq!(value.as_str(), Some(name), "{}", key.path);
        }
    }
    let datasets = KEYS
        .iter()
        .find(|key| key.path == "data.dataset")
        .expect("the key")
        .expected;
    assert_eq!(datasets.matches('`').count(), 2 * DatasetKind::ALL.len());
}

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
        augment = { flip = true, shift = 12, crop = 64, per_batch = true }
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
        [train.optimizer]
        learning_rate = 0.30000000000000004
        momentum = 0.95
        nesterov = true
        weight_decay = 0
        decay_lambda1 = false
        decay_bias = false
        decay_norm = false
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
        &model(""),
        &["model.kind=resnet110", "data.validation=0.25"],
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
    assert!(set(&["data.augment.flip=true"]).data.augment.flip);
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

#[test]
fn a_fraction_is_rounded_and_a_count_kept() {
    assert_eq!(Validation::Fraction(0.1).images(1437), 144);
    assert_eq!(Validation::Fraction(0.0).images(1437), 0);
    assert_eq!(Validation::Images(200).images(1437), 200);
}

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
        "run.checkpoint_minutes=5",
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

/// The experiment files of the repository; `comparisons()` has the others.
fn configs() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    files.retain(|path| path.parent().is_none_or(|folder| !folder.ends_with("compare")));
    files.sort();
    files
}

/// The comparison files of the repository.
fn comparisons() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/compare");
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

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
                (true, shift, None)
            );
            assert_eq!((model.width, model.first_width), (Some(width), Some(16)));
            assert_eq!((train.epochs, train.optimizer.weight_decay), (200, decay));
            let rates = [0, 79, 80, 159, 160, 199].map(|epoch| train.schedule().learning_rate(epoch * 10, 10));
            for (rate, expected) in rates.into_iter().zip([0.1, 0.1, 0.01, 0.01, 0.001, 0.001]) {
                assert!((rate - expected).abs() < 1e-15, "{rates:?}");
            }
        }
    }
    let Experiment { data, model, train, .. } = published("mnist/scn-4.toml");
    assert_eq!(
        (data.mean, model.first_width, train.epochs),
        (MeanSubtraction::PerPixel, Some(8), 25)
    );
    assert_eq!(train.schedule.milestones, Some(vec![10, 20]));
    let train = published("cifar10/resnet110.toml").train;
    assert_eq!((train.epochs, train.optimizer.weight_decay), (164, 1e-4));
    assert!((train.schedule().learning_rate(0, 391) - 0.01).abs() < 1e-15);
    assert_eq!(train.schedule().learning_rate(391, 391), 0.1);
    let Experiment { data, train, .. } = published("cifar10/preact-resnet1001.toml");
    assert_eq!((data.batch_size, train.epochs), (64, 164));
}
