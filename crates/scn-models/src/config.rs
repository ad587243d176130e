//! The `model` table of an experiment file.

mod csc;
mod kind;
mod lambda1;
mod residual;
mod solver;

use serde::{Deserialize, Serialize};

pub use csc::{CscConfig, ImplicitConfig};
pub use kind::ModelKind;
pub use lambda1::Lambda1Config;
pub use residual::{FilterConfig, ResidualConfig, StemKind};
pub use solver::SolverConfig;

use crate::ModelError;
use kind::kinds_with;

/// The `model` table as written: keys that are absent take the defaults of [`ResolvedModel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model; required.
    pub kind: ModelKind,
    /// SCN: the width K of the expansion layers. Default 1.
    pub width: Option<usize>,
    /// SCN: atoms of the first layer. Default 16; 8 in the authors' MNIST network.
    pub first_width: Option<usize>,
    /// Classes. Default: those of the dataset.
    pub classes: Option<usize>,
    /// SCN: side of the windows, odd. Default 3.
    pub kernel: Option<usize>,
    /// ResNet-18 and -34 and what is made of them: the front. Default `cifar`.
    pub stem: Option<StemKind>,
    /// SDNet-18-all: whether blocks add their input. Default true.
    pub shortcuts: Option<bool>,
    /// SCN: the solver.
    pub solver: Option<SolverConfig>,
    /// SCN: the sparsity weight.
    pub lambda1: Option<Lambda1Config>,
    /// SDNet: the convolutional sparse-coding layer.
    pub csc: Option<CscConfig>,
}

/// A model with every value filled in and checked.
#[derive(Clone, Debug, PartialEq)]
pub enum ResolvedModel {
    /// An SCN.
    Scn {
        /// K.
        width: usize,
        /// Atoms of the first layer.
        first_width: usize,
        /// Side of the windows.
        kernel: usize,
        /// The solver.
        solver: SolverConfig,
        /// λ₁.
        lambda1: Lambda1Config,
    },
    /// A pre-activation residual network.
    PreactResNet(ModelKind),
    /// Another residual network.
    ResNet(ResidualConfig),
}

/// Widest layer that is allowed: a bound on what a typing mistake can allocate.
const MAX_ATOMS: usize = 4096;
/// Largest window side.
const MAX_KERNEL: usize = 31;

impl ModelConfig {
    /// A model with its defaults.
    pub fn new(kind: ModelKind) -> Self {
        Self {
            kind,
            width: None,
            first_width: None,
            classes: None,
            kernel: None,
            stem: None,
            shortcuts: None,
            solver: None,
            lambda1: None,
            csc: None,
        }
    }

    /// Fills in the defaults and checks ranges and that no key belongs to another kind.
    ///
    /// # Errors
    /// [`ModelError`] with the key.
    pub fn resolve(&self) -> Result<ResolvedModel, ModelError> {
        if let Some(classes) = self.classes {
            range(
                "classes",
                classes,
                (2..=100_000).contains(&classes),
                "at least 2 and at most 100000",
            )?;
        }
        let present = [
            ("width", self.width.is_some()),
            ("first_width", self.first_width.is_some()),
            ("kernel", self.kernel.is_some()),
            ("stem", self.stem.is_some()),
            ("shortcuts", self.shortcuts.is_some()),
            ("solver", self.solver.is_some()),
            ("lambda1", self.lambda1.is_some()),
            ("csc", self.csc.is_some()),
        ];
        if let Some((key, _)) = present
            .into_iter()
            .find(|&(key, present)| present && !self.kind.has(key))
        {
            return Err(ModelError::Foreign {
                key,
                kind: self.kind.name(),
                owners: kinds_with(key).iter().map(|kind| kind.name()).collect(),
            });
        }
        match self.kind {
            ModelKind::Scn => self.resolve_scn(),
            ModelKind::PreactResnet164 | ModelKind::PreactResnet1001 | ModelKind::Wrn28x10 => {
                Ok(ResolvedModel::PreactResNet(self.kind))
            }
            _ => self.resolve_residual(),
        }
    }

    fn resolve_residual(&self) -> Result<ResolvedModel, ModelError> {
        let first = if self.kind.has("csc") {
            FilterConfig::ConvolutionalCoding(self.resolve_csc()?)
        } else if self.kind.has("solver") {
            let (solver, lambda1) = self.resolve_sparse_coding()?;
            FilterConfig::SparseCoding(solver, lambda1)
        } else {
            FilterConfig::Convolution
        };
        let others = match self.kind {
            ModelKind::Sdnet18All => first,
            _ => FilterConfig::Convolution,
        };
        Ok(ResolvedModel::ResNet(ResidualConfig {
            kind: self.kind,
            stem: self.stem.unwrap_or_default(),
            first,
            others,
            shortcuts: self.shortcuts.unwrap_or(true),
        }))
    }

    fn resolve_csc(&self) -> Result<CscConfig, ModelError> {
        let csc = self.csc.unwrap_or_default();
        for (key, value) in [("csc.lambda", csc.lambda), ("csc.mu", csc.mu)] {
            range(key, value, value >= 0.0 && value.is_finite(), "finite and at least 0")?;
        }
        range(
            "csc.steps",
            csc.steps,
            (1..=1000).contains(&csc.steps),
            "from 1 to 1000",
        )?;
        if let Some(ImplicitConfig {
            tolerance,
            max_iterations,
        }) = csc.implicit
        {
            let allowed = tolerance >= 0.0 && tolerance.is_finite();
            range("csc.implicit.tolerance", tolerance, allowed, "finite and at least 0")?;
            let allowed = (1..=1_000_000).contains(&max_iterations);
            range(
                "csc.implicit.max_iterations",
                max_iterations,
                allowed,
                "from 1 to 1000000",
            )?;
        }
        Ok(csc)
    }

    fn resolve_sparse_coding(&self) -> Result<(SolverConfig, Lambda1Config), ModelError> {
        let (solver, lambda1) = (self.solver.unwrap_or_default(), self.lambda1.unwrap_or_default());
        for (key, value) in [
            ("solver.tolerance", solver.tolerance),
            ("solver.lambda2", solver.lambda2),
            ("solver.backward_ridge", solver.backward_ridge),
            ("solver.backward_tolerance", solver.backward_tolerance),
            ("lambda1.initial", lambda1.initial),
        ] {
            range(key, value, value >= 0.0 && value.is_finite(), "finite and at least 0")?;
        }
        for (key, value) in [
            ("solver.max_iterations", solver.max_iterations),
            ("solver.backward_max_iterations", solver.backward_max_iterations),
        ] {
            range(key, value, (1..=1_000_000).contains(&value), "from 1 to 1000000")?;
        }
        Ok((solver, lambda1))
    }

    fn resolve_scn(&self) -> Result<ResolvedModel, ModelError> {
        let width = self.width.unwrap_or(1);
        range("width", width, (1..=MAX_ATOMS / 64).contains(&width), "from 1 to 64")?;
        let first_width = self.first_width.unwrap_or(16);
        range(
            "first_width",
            first_width,
            (1..=MAX_ATOMS).contains(&first_width),
            "from 1 to 4096",
        )?;
        let kernel = self.kernel.unwrap_or(3);
        range(
            "kernel",
            kernel,
            kernel % 2 == 1 && kernel <= MAX_KERNEL,
            "odd and at most 31",
        )?;
        let (solver, lambda1) = self.resolve_sparse_coding()?;
        Ok(ResolvedModel::Scn {
            width,
            first_width,
            kernel,
            solver,
            lambda1,
        })
    }

    /// The table with every default written out.
    ///
    /// # Errors
    /// As [`ModelConfig::resolve`].
    pub fn with_defaults(&self, classes: usize) -> Result<Self, ModelError> {
        let filled = Self {
            classes: Some(self.classes.unwrap_or(classes)),
            ..Self::new(self.kind)
        };
        Ok(match self.resolve()? {
            ResolvedModel::Scn {
                width,
                first_width,
                kernel,
                solver,
                lambda1,
            } => Self {
                width: Some(width),
                first_width: Some(first_width),
                kernel: Some(kernel),
                solver: Some(solver),
                lambda1: Some(lambda1),
                ..filled
            },
            ResolvedModel::PreactResNet(_) => filled,
            ResolvedModel::ResNet(ResidualConfig {
                stem, first, shortcuts, ..
            }) => {
                let (csc, solver, lambda1) = match first {
                    FilterConfig::Convolution => (None, None, None),
                    FilterConfig::ConvolutionalCoding(csc) => (Some(csc), None, None),
                    FilterConfig::SparseCoding(solver, lambda1) => (None, Some(solver), Some(lambda1)),
                };
                Self {
                    stem: self.kind.has("stem").then_some(stem),
                    shortcuts: self.kind.has("shortcuts").then_some(shortcuts),
                    csc,
                    solver,
                    lambda1,
                    ..filled
                }
            }
        })
    }
}

fn range(key: &'static str, value: impl ToString, allowed: bool, expected: &'static str) -> Result<(), ModelError> {
    if allowed {
        Ok(())
    } else {
        Err(ModelError::Range {
            key,
            value: value.to_string(),
            expected,
        })
    }
}
