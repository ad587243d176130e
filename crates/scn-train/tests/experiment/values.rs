//! Values that a key does not take.

use scn_train::Validation;

use crate::common::{data, model, refused, top};

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
            data(r#"augment.flip = "often""#),
            &[],
            r#"x.toml:3:16: data.augment.flip: found "often"; expected true, false or "alternating""#,
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
            r#"x.toml:2:11: data.dataset: found "cifar-10"; expected one of {datasets}; did you mean `cifar10`?"#,
        ),
        (
            "[data]\ndataset = \"imagenet\"\n[model]\nkind = \"scn\"\n".to_owned(),
            &[],
            r#"x.toml:2:11: data.dataset: found "imagenet"; expected one of {datasets}"#,
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = \"resnet50\"\n".to_owned(),
            &[],
            r#"x.toml:4:8: model.kind: found "resnet50"; expected one of {kinds}"#,
        ),
        (
            "[data]\ndataset = \"cifar10\"\n[model]\nkind = { name = \"scn\" }\n".to_owned(),
            &[],
            r#"x.toml:4:8: model.kind: found { name = "scn" }; expected one of {kinds}"#,
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
            r#"x.toml:6:8: train.schedule.kind: found "onecycle"; expected one of `constant`, `milestones`, `cosine`, `linear`, `rex`, `one-cycle`; did you mean `one-cycle`?"#,
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
            model("kernel = 32"),
            &[],
            "x.toml:5:10: model.kernel: found 32; expected a whole number from 1 to 31, odd unless model.padding is set",
        ),
        (
            model("modules = [[16, 16, 1], [0, 0, 1]]"),
            &[],
            "x.toml:5:11: model.modules: found [[16, 16, 1], [0, 0, 1]]; expected a list of up to 256 modules [reduction, expansion, stride], such as [[16, 16, 1], [32, 32, 2]], of up to 4096 atoms and strides from 1 to 64",
        ),
        (
            model("modules = [[16, 16, 1], [16, -1, 1]]"),
            &[],
            "x.toml:5:30: model.modules[1][1]: found -1; expected a list of up to 256 modules [reduction, expansion, stride], such as [[16, 16, 1], [32, 32, 2]], of up to 4096 atoms and strides from 1 to 64",
        ),
        (
            model("modules = [[16, 16]]"),
            &[],
            "x.toml:5:12: model.modules[0]: found [16, 16]; expected a list of up to 256 modules [reduction, expansion, stride], such as [[16, 16, 1], [32, 32, 2]], of up to 4096 atoms and strides from 1 to 64",
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
            data("augment.cutout = 0"),
            &[],
            "x.toml:3:18: data.augment.cutout: found 0; expected a whole number of pixels, at least 1 and not larger than the image",
        ),
        (
            model("[train.optimizer.factors]\nlambda1 = -1"),
            &[],
            "x.toml:6:11: train.optimizer.factors.lambda1: found -1; expected a finite number, at least 0",
        ),
        (
            model("[train.ema]\ndecay = 1.0"),
            &[],
            "x.toml:6:9: train.ema.decay: found 1; expected a number from 0 to below 1",
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
            model("[run]\ncheckpoint_minutes = -1"),
            &[],
            "x.toml:6:22: run.checkpoint_minutes: found -1; expected a finite number, at least 0",
        ),
        (
            model("[run]\ncheckpoint_minutes = inf"),
            &[],
            "x.toml:6:22: run.checkpoint_minutes: found inf; expected a finite number, at least 0",
        ),
    ]);
}

#[test]
fn a_fraction_is_rounded_and_a_count_kept() {
    assert_eq!(Validation::Fraction(0.1).images(1437), 144);
    assert_eq!(Validation::Fraction(0.0).images(1437), 0);
    assert_eq!(Validation::Images(200).images(1437), 200);
}

#[test]
fn plans_that_do_not_fit_the_images() {
    let ml_csc = |lines: &str| model(lines).replace("\"scn\"", "\"ml-csc\"");
    refused(&[
        (
            ml_csc("layers = [[8, 4, 2, 1], [8, 31, 1, 7]]"),
            &[],
            "x.toml:5:25: model.layers[1]: found [8, 31, 1, 7], but the signals of this layer are 16×16; expected a kernel \
             of at most 30 with this padding",
        ),
        (
            ml_csc("layers = [[8, 4, 2, 1]]\nconvolutions = [[8, 3, 1, 17]]"),
            &[],
            "x.toml:6:17: model.convolutions[0]: found [8, 3, 1, 17], but the input of this convolution is 16×16; expected \
             pooling of at most 16",
        ),
        (
            ml_csc("threshold = { initial = 0.1, minimum = 0.2 }"),
            &[],
            "x.toml:5:25: model.threshold.initial: found 0.1, but model.threshold.minimum is 0.2; expected at least 0.2",
        ),
        (
            ml_csc("layers = [[8, 4, 2]]"),
            &[],
            "x.toml:5:11: model.layers[0]: found [8, 4, 2]; expected a list of [atoms, kernel, stride, padding], at least \
             one, with 1 to 4096 atoms, a kernel and a stride from 1 to 31 and a padding smaller than the kernel",
        ),
        (
            ml_csc("pursuit = \"thresholding\"\nunfoldings = 2"),
            &[],
            "x.toml:6:14: model.unfoldings: found 2, but model.pursuit does not unfold; expected it with ista, fista, \
             ml-ista, ml-fista or ml-lista only",
        ),
    ]);
}
