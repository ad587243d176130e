//! From an experiment file to a trained and evaluated model: data → model → training → run folder.

pub mod attack;
mod engine;
mod error;
mod experiment;
pub mod pytorch;
pub mod robust;
mod runs;
pub mod tensors;

pub use engine::evaluation::{Evaluation, Evaluator, evaluate, images};
pub use engine::learner::{Diverged, Learner};
pub use engine::loss;
pub use engine::optimizer::Sgd;
pub use engine::splits::{EvaluationSplit, Splits, evaluation_loader};
pub use engine::statistics::{Collector, Figures, LayerFigures, Sums};
pub use engine::stop::StopFlag;
pub use engine::trainer::{Outcome, Progress, Report, Step, Trainer};
pub use error::TrainError;
pub use experiment::{
    Anneal, DataConfig, DeviceChoice, Experiment, ExperimentError, Loaded, OptimizerConfig, Place, RunConfig, Schedule,
    ScheduleConfig, ScheduleKind, TrainConfig, Validation, compared_experiments, keys, reference,
};
pub use runs::atomic::write_file;
pub use runs::checkpoint;
pub use runs::environment::{Environment, peak_memory};
pub use runs::folder::{RunFolder, RunFolderError, default_path, holds_run, newest_run};
