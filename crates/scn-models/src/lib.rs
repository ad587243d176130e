//! Deep sparse coding networks and the residual networks that they are compared with.
//!
//! A family is a folder with everything about it: the keys of its configuration, its layers, its forward pass, the
//! roles of its parameters, its summary. It is a [`Family`] and a [`Network`], and known by its line in `registry.rs`
//! beside the one here that names the folder. A member of a family is a row of [`Family::MEMBERS`].

pub mod mdeq;
pub mod ml_csc;
pub mod msd_csc;
pub mod msdnet;
pub mod preact_resnet;
pub mod res_csc;
pub mod resnet;
pub mod sc_cnn;
pub mod scn;
pub mod scn_resnet;
pub mod sdnet;

mod config;
mod error;
mod family;
mod initialization;
mod kind;
pub mod layers;
mod network;
mod orthonormal;
mod output;
mod pass;
mod registry;
mod roles;
mod summary;

pub use config::ModelConfig;
pub use error::ModelError;
pub use family::{Chosen, Family, Member, Misfit, NoKeys, Unused};
pub use initialization::Initializer;
pub use kind::ModelKind;
pub use layers::residual::StemKind;
pub use layers::{Lambda1Config, SolverConfig, SolverMethod};
pub use network::{Coded, CodingLayer, CodingSource, CodingUnit, Network, Observer, Reporting};
pub use output::{Backward, CodingReport, CodingSums, Equilibria, ImageCodes, Output, Solves};
pub use pass::{Pass, Sparsity, TrainingStep};
pub use registry::{Model, NetworkConfig};
pub use roles::{Constraint, Group, Role, Roles};
pub use summary::{LayerSummary, Summary};
