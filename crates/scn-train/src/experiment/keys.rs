//! Every key of an experiment file, in the order in which files are written.

/// What is documented of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The dotted key.
    pub path: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// What its value may be, names in backticks.
    pub expected: &'static str,
    /// Its default: a TOML value, or words in parentheses, `(required)` where there is none.
    pub default: &'static str,
}

const fn key(path: &'static str, doc: &'static str, expected: &'static str, default: &'static str) -> KeyInfo {
    KeyInfo {
        path,
        doc,
        expected,
        default,
    }
}

/// The default of keys that have none.
pub(super) const REQUIRED: &str = "(required)";

const SWITCH: &str = "true or false";
const NOT_NEGATIVE: &str = "a finite number, at least 0";
const POSITIVE: &str = "a finite number above 0";
const COUNT: &str = "a whole number from 1 to 1000000";
const BELOW_ONE: &str = "a number from 0 to below 1";
const DIVISOR: &str = "a finite number, at least 1";

/// Every key there is.
pub const KEYS: [KeyInfo; 61] = [
    key(
        "name",
        "Names the folder of the run.",
        "a name without slashes, fit for a folder",
        "(the name of the file)",
    ),
    key(
        "seed",
        "Seed of the initial weights, the order of the images, the augmentation and the validation split.",
        "a whole number from 0 to 9223372036854775807",
        "0",
    ),
    key(
        "data.dataset",
        "The dataset.",
        "one of `cifar10`, `cifar100`, `mnist`, `fashion-mnist`, `stl10`, `digits`",
        REQUIRED,
    ),
    key(
        "data.dir",
        "The folder of the datasets, relative to the working directory.",
        "the path of a folder",
        "\"datasets\"",
    ),
    key(
        "data.batch_size",
        "Images of a training step.",
        "a whole number from 2 to 1000000",
        "128",
    ),
    key(
        "data.validation",
        "Part (0.1) or number (5000) of the training images that chooses the best checkpoint; 0: none is chosen.",
        "a part of the training images (a number from 0.0 to below 1.0) or how many (a whole number, at least 0)",
        "0.1",
    ),
    key(
        "data.train_images",
        "Train on this many images, for trials.",
        "a whole number, at least 2",
        "(all that validation leaves)",
    ),
    key(
        "data.test_images",
        "Test on this many images, for trials.",
        "a whole number, at least 1",
        "(all)",
    ),
    key(
        "data.mean",
        "The mean of the training images that is subtracted.",
        "one of `none`, `per-channel`, `per-pixel`",
        "\"per-channel\"",
    ),
    key(
        "data.divide",
        "Divide each channel by its standard deviation.",
        SWITCH,
        "false",
    ),
    key(
        "data.augment.flip",
        "Mirror training images left to right with probability 1/2.",
        SWITCH,
        "false",
    ),
    key(
        "data.augment.shift",
        "Shift training images by at most this many pixels in each direction, zeros enter.",
        "a whole number of pixels, at least 0 and smaller than the image",
        "0",
    ),
    key(
        "data.augment.crop",
        "Side of a random square crop of training images; evaluation crops the centre.",
        "a whole number of pixels, at least 1 and not larger than the image",
        "(the whole image)",
    ),
    key(
        "data.augment.per_batch",
        "Change all images of a batch alike, as the paper does.",
        SWITCH,
        "false",
    ),
    key(
        "model.kind",
        "The network.",
        "one of `scn`, `scn18`, `resnet18`, `resnet34`, `resnet20`, `resnet56`, `resnet110`, `sdnet18`, `sdnet34`, `sdnet18-all`, `preact-resnet164`, `preact-resnet1001`, `wrn-28-10`",
        REQUIRED,
    ),
    key(
        "model.width",
        "SCN: the factor K of the expansion layers.",
        "a whole number from 1 to 64",
        "1",
    ),
    key(
        "model.first_width",
        "SCN: atoms of the first layer.",
        "a whole number from 1 to 4096",
        "16",
    ),
    key(
        "model.classes",
        "Classes, as many as the dataset has.",
        "the number of classes of the dataset",
        "(those of the dataset)",
    ),
    key(
        "model.kernel",
        "SCN: side of the windows that are coded.",
        "an odd whole number from 1 to 31",
        "3",
    ),
    key(
        "model.stem",
        "ResNet-18 and -34, SDNet and SCN-18: a 3x3 layer in front, or a 7x7 one of stride 2 with max pooling.",
        "one of `cifar`, `imagenet`",
        "\"cifar\"",
    ),
    key(
        "model.shortcuts",
        "SDNet-18-all: whether blocks add their input.",
        SWITCH,
        "true",
    ),
    key(
        "model.solver.method",
        "SCN: the algorithm that solves for the codes.",
        "one of `coordinate-descent`, `fista`, `fista-restart`",
        "\"coordinate-descent\"",
    ),
    key(
        "model.solver.tolerance",
        "SCN: the relative KKT residual at which a solve stops.",
        NOT_NEGATIVE,
        "1e-4",
    ),
    key(
        "model.solver.max_iterations",
        "SCN: sweeps or iterations after which a solve stops anyway.",
        COUNT,
        "50",
    ),
    key(
        "model.solver.lambda2",
        "SCN: the ridge lambda2 of the elastic net.",
        NOT_NEGATIVE,
        "0.0",
    ),
    key(
        "model.solver.backward_ridge",
        "SCN: added to the diagonal of the backward system.",
        NOT_NEGATIVE,
        "1e-6",
    ),
    key(
        "model.solver.backward_tolerance",
        "SCN: the relative residual at which backward sweeps stop; the CPU factorises up to 96 active atoms instead.",
        NOT_NEGATIVE,
        "1e-4",
    ),
    key(
        "model.solver.backward_max_iterations",
        "SCN: sweeps after which a backward solve stops anyway.",
        COUNT,
        "50",
    ),
    key(
        "model.lambda1.initial",
        "SCN: the sparsity weight lambda1 before training.",
        NOT_NEGATIVE,
        "0.0",
    ),
    key(
        "model.lambda1.per_atom",
        "SCN: one lambda1 for each atom, not for each layer.",
        SWITCH,
        "false",
    ),
    key(
        "model.lambda1.learned",
        "SCN: whether training changes lambda1.",
        SWITCH,
        "true",
    ),
    key(
        "model.csc.lambda",
        "SDNet: the weight lambda of the 1-norm of the codes.",
        NOT_NEGATIVE,
        "0.1",
    ),
    key(
        "model.csc.steps",
        "SDNet: steps of FISTA.",
        "a whole number from 1 to 1000",
        "2",
    ),
    key(
        "model.csc.mu",
        "SDNet: the ridge mu of the elastic net.",
        NOT_NEGATIVE,
        "0.0",
    ),
    key(
        "model.csc.non_negative",
        "SDNet: whether codes are non-negative.",
        SWITCH,
        "true",
    ),
    key(
        "model.csc.implicit.tolerance",
        "SDNet: with `implicit`, codes are solved to this relative residual and differentiated there, whatever `steps` says.",
        NOT_NEGATIVE,
        "1e-4",
    ),
    key(
        "model.csc.implicit.max_iterations",
        "SDNet: iterations after which such a solve stops anyway, forward and backward.",
        COUNT,
        "500",
    ),
    key("train.epochs", "Passes over the training set.", COUNT, "200"),
    key(
        "train.label_smoothing",
        "Probability that the target moves from the label to all classes evenly.",
        BELOW_ONE,
        "0.0",
    ),
    key(
        "train.clip_norm",
        "Largest Euclidean norm of the gradient of all parameters.",
        "a finite number above 0",
        "(not clipped)",
    ),
    key(
        "train.optimizer.learning_rate",
        "The learning rate that the schedule scales; the highest one of a one-cycle schedule.",
        "a finite number above 0",
        "0.1",
    ),
    key(
        "train.optimizer.momentum",
        "Momentum, with dampening 0.",
        BELOW_ONE,
        "0.9",
    ),
    key(
        "train.optimizer.nesterov",
        "Nesterov's form of the momentum.",
        SWITCH,
        "false",
    ),
    key(
        "train.optimizer.weight_decay",
        "Weight decay of convolutions, dictionaries and the classifier.",
        NOT_NEGATIVE,
        "5e-4",
    ),
    key(
        "train.optimizer.decay_lambda1",
        "SCN: weight decay of lambda1 too.",
        SWITCH,
        "true",
    ),
    key(
        "train.optimizer.decay_bias",
        "Weight decay of the classifier's bias too.",
        SWITCH,
        "true",
    ),
    key(
        "train.optimizer.decay_norm",
        "ResNet: weight decay of the batch norms' scale and shift too.",
        SWITCH,
        "true",
    ),
    key(
        "train.schedule.kind",
        "How the learning rate changes.",
        "one of `constant`, `milestones`, `cosine`, `one-cycle`",
        "\"constant\"",
    ),
    key(
        "train.schedule.warmup_epochs",
        "Epochs over which the learning rate first rises in a line.",
        "a whole number of epochs, at least 0",
        "0",
    ),
    key(
        "train.schedule.warmup_start",
        "The part of the learning rate from which it rises.",
        BELOW_ONE,
        "0.1",
    ),
    key(
        "train.schedule.milestones",
        "The epochs, counted from 0, that start with a smaller learning rate.",
        "a rising list of epochs, whole numbers from 1, such as [80, 160]",
        REQUIRED,
    ),
    key(
        "train.schedule.factor",
        "What the learning rate is multiplied by at each milestone.",
        "a number above 0 and below 1",
        "0.1",
    ),
    key(
        "train.schedule.final_learning_rate",
        "Where the cosine ends.",
        NOT_NEGATIVE,
        "0.0",
    ),
    key(
        "train.schedule.peak_fraction",
        "The part of all steps over which the learning rate rises.",
        "a number above 0 and below 1",
        "0.3",
    ),
    key(
        "train.schedule.anneal",
        "The form of both slopes.",
        "one of `cosine`, `linear`",
        "\"cosine\"",
    ),
    key(
        "train.schedule.initial_divisor",
        "The highest learning rate over that of the first step.",
        DIVISOR,
        "25.0",
    ),
    key(
        "train.schedule.final_divisor",
        "The learning rate of the first step over that of the last.",
        DIVISOR,
        "1e4",
    ),
    key(
        "run.device",
        "The device.",
        "one of `auto`, `cpu`, `wgpu`, `ndarray`",
        "\"auto\"",
    ),
    key(
        "run.threads",
        "Threads of the CPU kernels; 0: one on each core.",
        "a whole number from 0 to 1024",
        "0",
    ),
    key(
        "run.checkpoint_every",
        "Epochs between checkpoints; the last epoch always leaves one.",
        COUNT,
        "1",
    ),
    key(
        "run.checkpoint_minutes",
        "Minutes after which a checkpoint is written inside an epoch too.",
        POSITIVE,
        "10.0",
    ),
];

/// What is known of a key, or of the list around an element such as `train.schedule.milestones[1]`.
pub(super) fn info(path: &str) -> Option<&'static KeyInfo> {
    let path = path.split('[').next().unwrap_or(path);
    KEYS.iter().find(|key| key.path == path)
}

/// What a key's value may be; what is no key is a table.
pub(super) fn expected(path: &str) -> &'static str {
    info(path).map_or("a table", |key| key.expected)
}

/// The names in backticks among what is expected.
pub(super) fn names(expected: &str) -> impl Iterator<Item = &str> {
    expected.split('`').skip(1).step_by(2)
}

/// The names right below a table, in order; empty where there is no such table.
pub(super) fn children(table: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in &KEYS {
        let below = if table.is_empty() {
            Some(key.path)
        } else {
            key.path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'))
        };
        if let Some(name) = below.and_then(|below| below.split('.').next())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}
