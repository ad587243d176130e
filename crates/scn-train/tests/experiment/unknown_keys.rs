//! Keys that do not exist, and keys that are missing.

use crate::common::{data, model, refused, top};

#[test]
fn unknown_keys_name_the_nearest_key() {
    refused(&[
        (
            top("sead = 1"),
            &[],
            "x.toml:1:1: sead: unknown key; expected one of {below}; did you mean `seed`?",
        ),
        (
            top("epochs = 1"),
            &[],
            "x.toml:1:1: epochs: unknown key; expected one of {below}; did you mean `train.epochs`?",
        ),
        (
            "[dta]\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:2: dta: unknown key; expected one of {below}; did you mean `data`?",
        ),
        (
            data("batchsize = 64"),
            &[],
            "x.toml:3:1: data.batchsize: unknown key; expected one of {below data}; did you mean `batch_size`?",
        ),
        (
            data("augment.hflip = true"),
            &[],
            "x.toml:3:9: data.augment.hflip: unknown key; expected one of {below data.augment}; did you mean `flip`?",
        ),
        (
            data("augment.rotation = 10"),
            &[],
            "x.toml:3:9: data.augment.rotation: unknown key; expected one of {below data.augment}",
        ),
        (
            model("widht = 2"),
            &[],
            "x.toml:5:1: model.widht: unknown key; expected one of {below model}; did you mean `width`?",
        ),
        (
            model("solver.tol = 1e-3"),
            &[],
            "x.toml:5:8: model.solver.tol: unknown key; expected one of {below model.solver}; did you mean `tolerance`?",
        ),
        (
            model("solver.lamda2 = 1"),
            &[],
            "x.toml:5:8: model.solver.lamda2: unknown key; expected one of {below model.solver}; did you mean `lambda2`?",
        ),
        (
            model("solver.lambda = 1"),
            &[],
            "x.toml:5:8: model.solver.lambda: unknown key; expected one of {below model.solver}; did you mean `lambda2`?",
        ),
        (
            model("lambda1.per-atom = true"),
            &[],
            "x.toml:5:9: model.lambda1.per-atom: unknown key; expected one of {below model.lambda1}; did you mean `per_atom`?",
        ),
        (
            model("[train]\nepoch = 3"),
            &[],
            "x.toml:6:1: train.epoch: unknown key; expected one of {below train}; did you mean `epochs`?",
        ),
        (
            model("[train]\nlr = 0.1"),
            &[],
            "x.toml:6:1: train.lr: unknown key; expected one of {below train}; did you mean `train.optimizer.learning_rate`?",
        ),
        (
            model("[train]\nweight_decay = 0.1"),
            &[],
            "x.toml:6:1: train.weight_decay: unknown key; expected one of {below train}; did you mean `train.optimizer.weight_decay`?",
        ),
        (
            model("[train.optimizer]\nlr = 0.1"),
            &[],
            "x.toml:6:1: train.optimizer.lr: unknown key; expected one of {below train.optimizer}; did you mean `learning_rate`?",
        ),
        (
            model("[train.scheduler]\nkind = \"cosine\""),
            &[],
            "x.toml:5:8: train.scheduler: unknown key; expected one of {below train}; did you mean `schedule`?",
        ),
        (
            model("[train.schedule]\ngamma = 0.2"),
            &[],
            "x.toml:6:1: train.schedule.gamma: unknown key; expected one of {below train.schedule}; did you mean `factor`?",
        ),
        (
            model("[run]\nworkers = 4"),
            &[],
            "x.toml:6:1: run.workers: unknown key; expected one of {below run}",
        ),
        (
            model("[run]\n\"a b\" = 4"),
            &[],
            r#"x.toml:6:1: run."a b": unknown key; expected one of {below run}"#,
        ),
        (
            model("[run]\nzzz = 1\naaa = 2"),
            &[],
            "x.toml:6:1: run.zzz: unknown key; expected one of {below run}",
        ),
    ]);
}

#[test]
fn required_keys() {
    refused(&[
        (
            "".to_owned(),
            &[],
            "x.toml:1:1: data.dataset: missing; expected `dataset = …` below `[data]`, one of {datasets}",
        ),
        (
            "[data]\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            "x.toml:1:2: data.dataset: missing; expected `dataset = …` below `[data]`, one of {datasets}",
        ),
        (
            "seed = 1\n[data]\ndataset = \"cifar10\"\n".to_owned(),
            &[],
            "x.toml:1:1: model.kind: missing; expected `kind = …` below `[model]`, one of {kinds}",
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nwidth = 2\n".to_owned(),
            &[],
            "x.toml:3:2: model.kind: missing; expected `kind = …` below `[model]`, one of {kinds}",
        ),
    ]);
}
