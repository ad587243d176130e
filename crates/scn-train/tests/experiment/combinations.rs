//! Values that do not go together.

use std::fs;

use scn_train::Experiment;

use crate::common::{data, experiment, model, refused};

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
            data("augment.cutout = 33"),
            &[],
            "x.toml:3:18: data.augment.cutout: found 33, but the images that are trained on are 32×32; expected at most 32",
        ),
        (
            data("augment = { crop = 16, cutout = 17 }"),
            &[],
            "x.toml:3:33: data.augment.cutout: found 17, but the images that are trained on are 16×16; expected at most 16",
        ),
        (
            model("[train]\nshards = 3"),
            &[],
            "x.toml:6:10: train.shards: found 3, but data.batch_size is 128; expected a divisor of 128 that leaves at least 2 images to each part",
        ),
        (
            data("batch_size = 4"),
            &["train.shards=4"],
            "--set train.shards=4: train.shards: found 4, but data.batch_size is 4; expected a divisor of 4 that leaves at least 2 images to each part",
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
            r#"x.toml:5:1: model.solver: found a table, but model.kind is "resnet18"; expected it with model.kind = "scn" or "scn18" or "sc-cnn" only"#,
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
            model("kernel = 4"),
            &[],
            "x.toml:5:10: model.kernel: found 4, but windows of an even side have no middle; expected an odd side, or model.padding with it",
        ),
        (
            model("windows = [[16, 5], [401, 5]]").replace("\"scn\"", "\"sc-cnn\""),
            &[],
            "x.toml:5:21: model.windows[1]: found [401, 5], but in 16·5·5 = 400 dimensions no more atoms are orthogonal; expected at most 400 atoms, or model.dictionaries = \"free\"",
        ),
        (
            model("windows = [[16, 9], [16, 9]]\n[data.augment]\ncrop = 16").replace("\"scn\"", "\"sc-cnn\""),
            &[],
            "x.toml:5:21: model.windows[1]: found [16, 9], but the input of the layer is 8×8; expected windows of a side of at most 8",
        ),
        (
            model("l0 = 9").replace("\"scn\"", "\"sc-cnn\""),
            &[],
            "x.toml:5:6: model.l0: found 9, but layer 1 of model.windows has 8 atoms; expected at most 8",
        ),
        (
            model("dilations = [1, 16]").replace("\"scn\"", "\"msd-csc\""),
            &[],
            "x.toml:5:13: model.dilations: found [1, 16], but the last of 2 blocks has 16×16 pixels of images of 32×32 pixels, where windows so wide see their middle alone; expected dilations of at most 15",
        ),
        (
            model("blocks = 3")
                .replace("\"scn\"", "\"msdnet\"")
                .replace("cifar10", "digits"),
            &[],
            "x.toml:3:2: model.dilations: found [1, 2, 3], but the last of 3 blocks has 2×2 pixels of images of 8×8 pixels, where windows so wide see their middle alone; expected dilations of at most 1",
        ),
        (
            model("batch_norm = false\nnormalize_kept = false").replace("\"scn\"", "\"msd-csc\""),
            &[],
            "x.toml:6:18: model.normalize_kept: found false, but model.batch_norm is false; expected it with model.batch_norm only",
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
            model("[train.schedule]\nkind = \"rex\"\nfinal_learning_rate = 0.2"),
            &[],
            "x.toml:7:23: train.schedule.final_learning_rate: found 0.2, but train.optimizer.learning_rate is 0.1; expected at most 0.1",
        ),
        (
            model("[train.schedule]\nkind = \"linear\"\nmilestones = [80]"),
            &[],
            r#"x.toml:7:14: train.schedule.milestones: found [80], but train.schedule.kind is "linear"; expected it with train.schedule.kind = "milestones" only"#,
        ),
        (
            model("[train.schedule]\nkind = \"cosine\"\nfinal_learning_rate = 0.2"),
            &[],
            "x.toml:7:23: train.schedule.final_learning_rate: found 0.2, but train.optimizer.learning_rate is 0.1; expected at most 0.1",
        ),
        (
            model("[train.schedule]\nkind = \"one-cycle\"\nwarmup_epochs = 5"),
            &[],
            r#"x.toml:7:17: train.schedule.warmup_epochs: found 5, but train.schedule.kind is "one-cycle"; expected it with train.schedule.kind = "constant" or "milestones" or "cosine" or "linear" or "rex" only"#,
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
fn values_that_change_nothing_or_cannot_be_meant() {
    refused(&[
        (
            data("augment = { crop = 16, shift = 16 }"),
            &[],
            "x.toml:3:32: data.augment.shift: found 16, but the crop is 16×16; expected at most 15",
        ),
        (
            data("augment.per_batch = true"),
            &[],
            "x.toml:3:21: data.augment.per_batch: found true, but no image is changed; expected it with data.augment.flip, shift, crop or cutout only",
        ),
        (
            data("augment = { flip = \"alternating\", per_batch = true }"),
            &[],
            "x.toml:3:20: data.augment.flip: found \"alternating\", but data.augment.per_batch mirrors all images of a batch alike, which is another one in each epoch; expected true, or it without data.augment.per_batch",
        ),
        (
            data("batch_size = 65\ntrain_images = 64"),
            &[],
            "x.toml:3:14: data.batch_size: found 65, but there are 64 images to train on; expected at most 64",
        ),
        (
            data("validation = 49990"),
            &["data.batch_size=64"],
            "--set data.batch_size=64: data.batch_size: found 64, but there are 10 images to train on; expected at most 10",
        ),
        (
            model("[model.csc]\nsteps = 5\nimplicit = {}").replace("\"scn\"", "\"sdnet34\""),
            &[],
            "x.toml:6:9: model.csc.steps: found 5, but model.csc.implicit solves to its tolerance in as many steps as that takes; expected one of the two",
        ),
        (
            model("width = 2\nmodules = [[16, 16, 1]]"),
            &[],
            "x.toml:5:9: model.width: found 2, but model.modules says how wide every layer is; expected one of the two",
        ),
        (
            model("prior.minimum = 0.05\nl0 = 4").replace("\"scn\"", "\"sc-cnn\""),
            &[],
            "x.toml:5:1: model.prior: found { initial = 0.1, learned = true, minimum = 0.05, per_atom = true }, but model.l0 takes its place; expected one of the two",
        ),
        (
            model("").replace("\"scn\"", "\"sdnet18\""),
            &["train.optimizer.decay_lambda1=false"],
            r#"--set train.optimizer.decay_lambda1=false: train.optimizer.decay_lambda1: found false, but model.kind is "sdnet18", which has no sparsity weights lambda1; expected true, its default"#,
        ),
        (
            model("[train.optimizer]\ndecay_norm = false"),
            &[],
            r#"x.toml:6:14: train.optimizer.decay_norm: found false, but model.kind is "scn", which has no batch norms with scale and shift; expected true, its default"#,
        ),
        (
            model("[train.optimizer.factors]\ndictionary = 2").replace("\"scn\"", "\"resnet18\""),
            &[],
            r#"x.toml:6:14: train.optimizer.factors.dictionary: found 2, but model.kind is "resnet18", which has no dictionaries; expected 1, its default"#,
        ),
        (
            model("").replace("\"scn\"", "\"sdnet18\""),
            &["train.optimizer.factors.lambda1=0.5"],
            r#"--set train.optimizer.factors.lambda1=0.5: train.optimizer.factors.lambda1: found 0.5, but model.kind is "sdnet18", which has no sparsity weights lambda1; expected 1, its default"#,
        ),
    ]);
    // What goes together is taken, and so are defaults that are written out.
    for (text, overrides) in [
        (data("augment = { crop = 16, shift = 15, per_batch = true }"), &[][..]),
        (data("batch_size = 64\ntrain_images = 64"), &[]),
        (data("train_images = 64"), &[]),
        (data("augment = { cutout = 32, per_batch = true }"), &[]),
        (
            model(""),
            &["train.optimizer.decay_lambda1=false", "train.optimizer.decay_norm=true"],
        ),
        (model(""), &["model.kind=scn18", "train.optimizer.decay_norm=false"]),
        (
            model("[train.optimizer]\nfactors = { lambda1 = 0, dictionary = 2, classifier = 0.5 }"),
            &[],
        ),
        (
            model("[train.optimizer]\nfactors = { classifier = 4 }").replace("\"scn\"", "\"resnet18\""),
            &[],
        ),
        (model(""), &["model={kind=\"sdnet18\", csc={implicit={}, steps=2}}"]),
        (model(""), &["model={kind=\"sdnet18\", csc={steps=5}}"]),
    ] {
        experiment(&text, overrides);
    }
}

#[test]
fn experiments_that_runs_were_started_with_go_on_loading() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("resolved.toml");
    let started = |text: &str| {
        fs::write(&path, text).expect("a temporary file");
        Experiment::load_started(&path, &[])
    };
    let sdnet = model("csc = { steps = 5, implicit = {} }").replace("\"scn\"", "\"sdnet18\"");
    let older = format!(
        "{sdnet}[train.optimizer]\ndecay_lambda1 = false\n\
         [data.augment]\nper_batch = true\n"
    );
    let loaded = started(&older).unwrap_or_else(|error| panic!("{error}")).experiment;
    // What changed nothing is as if it was not there, so that a file without it goes on with the run.
    let without = model("csc.implicit = {}").replace("\"scn\"", "\"sdnet18\"");
    assert_eq!(started(&without).expect("an experiment").experiment, loaded);
    assert_eq!(loaded.same_training(&experiment(&without, &["name=resolved"])), Ok(()));
    let older = data("batch_size = 65\ntrain_images = 64\naugment = { crop = 16, shift = 31 }");
    let loaded = started(&older).unwrap_or_else(|error| panic!("{error}")).experiment;
    assert_eq!((loaded.data.batch_size, loaded.data.augment.shift), (65, 31));
    // What no build took is refused all the same.
    let refusal = started(&data("augment.shift = 32")).expect_err("a refusal").to_string();
    assert!(
        refusal.contains("data.augment.shift: found 32, but the images"),
        "{refusal}"
    );
}
