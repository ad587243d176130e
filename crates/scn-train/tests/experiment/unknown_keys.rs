//! Keys that do not exist, and keys that are missing.

use crate::common::{data, model, refused, top};

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
