//! The experiment file: what is trained on what, how, and where.
//!
//! A file is TOML. It is loaded in five steps: parse, apply the overrides, refuse unknown and missing keys, fill the
//! structs, and check values and their combination. Every refusal names the key and its place, see
//! [`ExperimentError`].

mod comparison_file;
mod config;
mod data;
mod error;
mod first_layer;
mod keys;
mod load;
mod optimizer;
mod places;
mod print;
mod reference;
mod run;
mod same_training;
mod schedule;
mod suggestion;
mod train;
mod validate;

pub use comparison_file::compared_experiments;
pub use config::{Experiment, names_a_folder};
pub use data::{DataConfig, Validation};
pub use error::{ExperimentError, Place};
pub use first_layer::{DictionaryForm, FirstLayerConfig};
pub use keys::{Schema, keys};
pub use load::{ExperimentFile, Loaded};
pub use optimizer::{OptimizerConfig, OptimizerKind, RateFactors};
pub use places::Places;
pub use print::resolved_toml;
pub use reference::{reference, reference_of};
pub use run::{RunConfig, TestTime};
pub use same_training::same_training;
pub use schedule::{Anneal, Schedule, ScheduleConfig, ScheduleKind};
pub use train::{EmaConfig, TrainConfig};
