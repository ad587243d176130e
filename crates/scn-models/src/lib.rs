//! Deep sparse coding networks and the residual networks that they are compared with.
//!
//! A new model is one file in `models/`, one kind in [`ModelKind`] and one arm in [`Model`].

mod config;
mod error;
mod initialization;
pub mod layers;
mod models;
mod output;
mod pass;
mod summary;

pub use config::{
    CscConfig, FilterConfig, ImplicitConfig, Lambda1Config, ModelConfig, ModelKind, ResidualConfig, ResolvedModel,
    SolverConfig, StemKind,
};
pub use error::ModelError;
pub use models::{Block, Model, PreactResNet, ResNet, Scn, Shortcut};
pub use output::{LayerSolves, Output};
pub use pass::{Pass, Sparsity};
pub use summary::{LayerSummary, Summary};
