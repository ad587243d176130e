//! Deep sparse coding networks and the residual networks that they are compared with.
//!
//! A new model is one file in `models/`, one kind in [`ModelKind`] and one arm in [`Model`].

mod config;
mod error;
mod initialization;
pub mod layers;
mod models;
mod output;
mod summary;

pub use config::{CscConfig, Lambda1Config, ModelConfig, ModelKind, ResolvedModel, SolverConfig};
pub use error::ModelError;
pub use models::{Model, PreactResNet, ResNet, Scn, Stem};
pub use output::{LayerSolves, Output};
pub use summary::{LayerSummary, Summary};
