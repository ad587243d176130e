//! Why a study could not be made.

use std::io;
use std::path::{Path, PathBuf};

use scn_data::DataError;
use scn_interop::archive::ArchiveError;
use scn_interop::problem::ProblemError;
use scn_interop::tensors::TensorsError;
use scn_models::ModelError;
use scn_solver::SolverError;
use scn_train::checkpoint::CheckpointError;
use scn_train::{ExperimentError, RunFolderError, TrainError};

/// Why a study could not be made, or its results not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A folder without weights.
    #[error("{0} is neither the folder of a run (with resolved.toml) nor of a checkpoint (with manifest.json)")]
    NoWeights(PathBuf),
    /// A run before its first checkpoint.
    #[error("{0}: no checkpoint was saved yet")]
    NothingSaved(PathBuf),
    /// A checkpoint that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A description that says more of the network than its weights do.
    #[error("{path}: claims {claimed} classes, its weights are of {weights}")]
    Classes {
        /// The file.
        path: PathBuf,
        /// What it says.
        claimed: usize,
        /// Rows of the classifier.
        weights: usize,
    },
    /// Weights of another network.
    #[error("{path}: {error}")]
    Unfit {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        error: TensorsError,
    },
    /// Training and evaluation.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// An experiment file.
    #[error(transparent)]
    Experiment(Box<ExperimentError>),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] RunFolderError),
    /// A sparsity to try on a network that has none.
    #[error("this network has no sparse codes")]
    NoCodes,
    /// A sparsity that is none.
    #[error("found {found}, expected {expected}")]
    Sparsity {
        /// The value.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// Corrupted images that are not those of the test set.
    #[error(
        "{folder}: image {image} has label {found}, that of the test set has {expected}: the test set is not in the \
         official order; fetch cifar-10-binary.tar.gz again, or move the folder away to have the corruptions made"
    )]
    OtherOrder {
        /// The folder of the corrupted images.
        folder: PathBuf,
        /// Index of the image.
        image: u32,
        /// Its label.
        found: u16,
        /// That of the test set.
        expected: u16,
    },
    /// Stored results that cannot be understood.
    #[error("{file}: {reason}: run `scn robust` again")]
    Stored {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A fitted sparsity of another network.
    #[error(
        "{file}: its sparsity was fitted to other weights (SHA-256 {fitted}) than those of {checkpoint} ({found}): run \
         `scn robust` again, or move the file away to attack the network with the sparsity of training alone"
    )]
    OtherWeights {
        /// The stored fit.
        file: PathBuf,
        /// Digest of its weights.
        fitted: String,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// Digest of the checkpoint's weights.
        found: String,
    },
    /// A network for other images than the one that is attacked.
    #[error("{path}: its images are {shape:?}, expected {expected:?} as of the network attacked")]
    OtherImages {
        /// The checkpoint.
        path: PathBuf,
        /// Its images `[c, h, w]`.
        shape: [usize; 3],
        /// Those of the network attacked.
        expected: [usize; 3],
    },
    /// A file that was not written.
    #[error("cannot write {file}: {error}")]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Results that do not become text.
    #[error("cannot write {file}: {error}")]
    Json {
        /// The file.
        file: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
    /// A network without what a measurement measures.
    #[error("{0}: a network without sparse-coding layers has no kernels to measure")]
    NoKernels(PathBuf),
    /// A batch of more images than there are.
    #[error("there are {images} training images")]
    Batch {
        /// Training images.
        images: usize,
    },
    /// The device.
    #[error("the device failed: {0}")]
    Device(String),
    /// Experiments whose runs would have one folder.
    #[error("{one} and {other}: both are named {name:?}, which is the folder of the run: change `name` in one of them")]
    SameName {
        /// An experiment file.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// Their name.
        name: String,
    },
    /// Experiments that do not compare.
    #[error(
        "{one} and {other}: these do not train on the same data: {}; make them equal, as with --set KEY=VALUE for all",
        .differences.join(", ")
    )]
    OtherData {
        /// An experiment file.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// Keys and their values.
        differences: Vec<String>,
    },
    /// A schedule that does not fit the budget.
    #[error("{0}; or give every experiment a schedule, as with --set 'train.schedule={{ kind = \"one-cycle\" }}'")]
    Schedule(Box<ExperimentError>),
    /// A target that nothing is held against.
    #[error(
        "the target is an accuracy on the validation split, and {0} has none (data.validation is 0): give every \
         experiment one, as with --set data.validation=0.1, or leave the target out"
    )]
    NoValidation(PathBuf),
    /// Metrics that do not tell of the whole training.
    #[error(
        "{folder}: the metrics of this run are damaged: they tell of {found} epochs, expected {expected}; remove the \
         folder to train the model again"
    )]
    Metrics {
        /// The run's folder.
        folder: PathBuf,
        /// Epochs that they tell of.
        found: usize,
        /// Epochs of the experiment.
        expected: usize,
    },
    /// A child process that failed, after it said why on standard error.
    #[error("{file}: {what} failed: {status}")]
    Child {
        /// The experiment file.
        file: PathBuf,
        /// What it did.
        what: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The exit code that says the same of this process.
        code: u8,
    },
    /// A child process that could not be started or waited for.
    #[error("cannot {action} {what}: {error}")]
    Process {
        /// What was tried.
        action: &'static str,
        /// What it does.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
    /// What a child process said.
    #[error("cannot read what {what} says: {error}")]
    Said {
        /// What it does.
        what: &'static str,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// A folder that was not made.
    #[error("cannot create the folder {folder}: {error}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of weights.
    #[error(
        "{path}: {error}: expected a safetensors file with `weight [n, c, k, k]` and, for the norms of codes, \
         `codes [b, n, h, w]`, F32 or F64"
    )]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ArchiveError,
    },
    /// A dictionary without a direction.
    #[error("{what}: each of the {atoms} atoms is zero and has no direction: there is no dictionary to study")]
    ZeroAtoms {
        /// The file or the layer.
        what: String,
        /// Atoms.
        atoms: usize,
    },
    /// A dictionary whose correlations take too long.
    #[error(
        "{what}: the correlations of its atoms take {work:.1e} multiply-adds, more than {most:.0e}: study fewer atoms, \
         smaller ones, or a larger stride"
    )]
    Correlations {
        /// The file or the layer.
        what: String,
        /// Multiply-adds.
        work: f64,
        /// The most that is begun.
        most: f64,
    },
    /// A network without codes, where its codes are studied.
    #[error("{0}: a network without coding layers has no dictionaries to study")]
    NoDictionaries(String),
    /// A network that has diverged.
    #[error("{layer}: its {what} are not finite numbers: the weights have diverged, take an earlier checkpoint")]
    NotFinite {
        /// Name of the layer.
        layer: String,
        /// Its atoms or its codes.
        what: &'static str,
    },
    /// A problem file.
    #[error("{path}: {error}")]
    Problem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<ProblemError>,
    },
    /// A problem that f64 does not hold.
    #[error("{path}: {error}: scale the problem down")]
    Solver {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<SolverError>,
    },
    /// Codes that are not finite.
    #[error("{0}: the codes overflow: scale the problem down, or use --device reference, which computes in f64")]
    Codes(PathBuf),
    /// Gradients that are not finite.
    #[error(
        "{path}: the gradients overflow, as where the active atoms are linearly dependent: {remedy}, or leave \
         `grad_codes` out"
    )]
    Gradients {
        /// The file.
        path: PathBuf,
        /// What to do about λ₂.
        remedy: &'static str,
    },
}

impl StudyError {
    /// Of the problem file in `path`.
    pub fn of_problem(path: &Path, error: ProblemError) -> Self {
        StudyError::Problem {
            path: path.to_path_buf(),
            error: Box::new(error),
        }
    }
}

impl From<TrainError> for StudyError {
    fn from(error: TrainError) -> Self {
        StudyError::Train(Box::new(error))
    }
}

impl From<ExperimentError> for StudyError {
    fn from(error: ExperimentError) -> Self {
        StudyError::Experiment(Box::new(error))
    }
}

impl From<ModelError> for StudyError {
    fn from(error: ModelError) -> Self {
        TrainError::Model(error).into()
    }
}

impl From<DataError> for StudyError {
    fn from(error: DataError) -> Self {
        TrainError::Data(error).into()
    }
}
