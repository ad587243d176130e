//! From an experiment file to a trained and evaluated model: data → model → training → run folder.

mod engine;
mod error;
mod experiment;
mod runs;

pub use engine::average::Average;
pub use engine::evaluation::{Evaluation, Evaluator, backward_figures, evaluate, images};
pub use engine::first_layer::{DICTIONARY_FILE, first_weight};
pub use engine::learner::{Diverged, Learner};
pub use engine::loss;
pub use engine::optimizer::Optimizer;
pub use engine::progress::{Outcome, Progress, Report, Step};
pub use engine::saving::{Saved, Saving};
pub use engine::splits::{EvaluationSplit, Splits, evaluation_loader};
pub use engine::start::Start;
pub use engine::statistics::{BackwardFigures, CodeFigures, Collector, Figures, LayerFigures, Sums};
pub use engine::stop::StopFlag;
pub use engine::trainer::Trainer;
pub use error::TrainError;
pub use experiment::{
    Anneal, DataConfig, DictionaryForm, EmaConfig, Experiment, ExperimentError, ExperimentFile, FirstLayerConfig,
    Loaded, OptimizerConfig, OptimizerKind, Place, Places, RateFactors, RunConfig, Schedule, ScheduleConfig,
    ScheduleKind, Schema, TestTime, TrainConfig, Validation, compared_experiments, keys, names_a_folder, reference,
    reference_of, resolved_toml, same_training,
};
pub use runs::atomic::write_file;
pub use runs::checkpoint;
pub use runs::environment::{Environment, peak_memory};
pub use runs::exact;
pub use runs::folder::{RunFolder, RunFolderError, RunLock, default_path, holds_run, newest_run};
/// Arrays on the host, as checkpoints hold them.
pub use scn_interop::tensors;
