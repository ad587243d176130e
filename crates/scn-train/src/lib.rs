//! From an experiment file to a trained and evaluated model: data → model → training → run folder.

mod atomic;
pub mod attack;
pub mod checkpoint;
mod environment;
mod error;
mod evaluation;
mod exact;
mod experiment;
mod learner;
pub mod loss;
mod optimizer;
pub mod pytorch;
pub mod robust;
mod run_folder;
mod splits;
mod statistics;
mod stop;
pub mod tensors;
mod trainer;

pub use atomic::write_file;
pub use environment::{Environment, peak_memory};
pub use error::TrainError;
pub use evaluation::{Evaluation, Evaluator, evaluate, images};
pub use experiment::{
    Anneal, DataConfig, DeviceChoice, Experiment, ExperimentError, KEYS, KeyInfo, Loaded, OptimizerConfig, Place,
    RunConfig, Schedule, ScheduleConfig, ScheduleKind, TrainConfig, Validation, compared_experiments,
};
pub use learner::{Diverged, Learner};
pub use optimizer::Sgd;
pub use run_folder::{RunFolder, RunFolderError, default_path, holds_run, newest_run};
pub use splits::{EvaluationSplit, Splits, evaluation_loader};
pub use statistics::{Collector, Figures, LayerFigures, Sums};
pub use stop::StopFlag;
pub use trainer::{Outcome, Progress, Report, Step, Trainer};
