//! The `model` table of an experiment file.

use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// What can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Supervised deep sparse coding network (Sun, Nasrabadi & Tran, arXiv:1701.08349).
    Scn,
    /// ResNet-18 with a 3×3 stem (He et al., arXiv:1512.03385, as used on CIFAR).
    Resnet18,
    /// ResNet-34 with a 3×3 stem.
    Resnet34,
    /// ResNet-20 for CIFAR (He et al., section 4.2).
    Resnet20,
    /// ResNet-56 for CIFAR.
    Resnet56,
    /// ResNet-110 for CIFAR.
    Resnet110,
    /// ResNet-18 with a convolutional sparse-coding layer in front (Dai et al., arXiv:2210.12945).
    Sdnet18,
    /// ResNet-34 with the same.
    Sdnet34,
    /// Pre-activation ResNet-164 for CIFAR (He et al., arXiv:1603.05027).
    #[serde(rename = "preact-resnet164")]
    PreactResnet164,
    /// Pre-activation ResNet-1001 for CIFAR.
    #[serde(rename = "preact-resnet1001")]
    PreactResnet1001,
    /// The wide residual network WRN-28-10 (Zagoruyko & Komodakis, arXiv:1605.07146).
    #[serde(rename = "wrn-28-10")]
    Wrn28x10,
}

impl ModelKind {
    /// Name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Scn => "scn",
            ModelKind::Resnet18 => "resnet18",
            ModelKind::Resnet34 => "resnet34",
            ModelKind::Resnet20 => "resnet20",
            ModelKind::Resnet56 => "resnet56",
            ModelKind::Resnet110 => "resnet110",
            ModelKind::Sdnet18 => "sdnet18",
            ModelKind::Sdnet34 => "sdnet34",
            ModelKind::PreactResnet164 => "preact-resnet164",
            ModelKind::PreactResnet1001 => "preact-resnet1001",
            ModelKind::Wrn28x10 => "wrn-28-10",
        }
    }

    /// Whether a key below `model` means something to it.
    fn has(self, key: &str) -> bool {
        kinds_with(key).contains(&self)
    }
}

/// The solver of the sparse-coding layers, `model.solver`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// `coordinate-descent` (default), `fista` or `fista-restart`.
    #[serde(with = "method")]
    pub method: Method,
    /// A pixel's solve stops at a relative KKT residual ρ of at most this. Default 1e-4.
    pub tolerance: f64,
    /// The cap: sweeps or FISTA iterations. Default 50.
    pub max_iterations: usize,
    /// λ₂ of SCN eq. 1. Default 0.
    pub lambda2: f64,
    /// Ridge of the backward system. Default 1e-6, as in the authors' program.
    pub backward_ridge: f64,
    /// Relative residual at which the backward solve stops. Default 1e-4.
    pub backward_tolerance: f64,
    /// The cap on backward sweeps. Default 50.
    pub backward_max_iterations: usize,
}

impl Default for SolverConfig {
    fn default() -> Self {
        let SolverOptions {
            lambda2,
            forward,
            backward,
        } = SolverOptions::default();
        Self {
            method: forward.method,
            tolerance: forward.tolerance,
            max_iterations: forward.max_iterations,
            lambda2,
            backward_ridge: backward.ridge,
            backward_tolerance: backward.tolerance,
            backward_max_iterations: backward.max_iterations,
        }
    }
}

impl SolverConfig {
    /// As the solver crate takes it.
    pub fn options(&self) -> SolverOptions {
        SolverOptions {
            lambda2: self.lambda2,
            forward: ForwardOptions {
                method: self.method,
                tolerance: self.tolerance,
                max_iterations: self.max_iterations,
            },
            backward: BackwardOptions {
                ridge: self.backward_ridge,
                tolerance: self.backward_tolerance,
                max_iterations: self.backward_max_iterations,
            },
        }
    }
}

/// The sparsity weight of the sparse-coding layers, `model.lambda1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lambda1Config {
    /// Its value before training. Default 0.
    pub initial: f64,
    /// One value per atom instead of one per layer. Default false.
    pub per_atom: bool,
    /// Whether training changes it. Default true.
    pub learned: bool,
}

impl Default for Lambda1Config {
    fn default() -> Self {
        Self {
            initial: 0.0,
            per_atom: false,
            learned: true,
        }
    }
}

/// The kinds that have a key below `model`.
pub(crate) fn kinds_with(key: &str) -> &'static [ModelKind] {
    match key {
        "csc" => &[ModelKind::Sdnet18, ModelKind::Sdnet34],
        _ => &[ModelKind::Scn],
    }
}

/// The convolutional sparse-coding layer, `model.csc`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CscConfig {
    /// The weight λ of the 1-norm. Default 0.1.
    pub lambda: f64,
    /// Steps of FISTA. Default 2.
    pub steps: usize,
    /// The ridge μ. Default 0.
    pub mu: f64,
    /// Whether codes are non-negative. Default true.
    pub non_negative: bool,
}

impl Default for CscConfig {
    fn default() -> Self {
        Self {
            lambda: 0.1,
            steps: 2,
            mu: 0.0,
            non_negative: true,
        }
    }
}

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
    ResNet {
        /// Which.
        kind: ModelKind,
        /// SDNet: its first layer.
        csc: Option<CscConfig>,
    },
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
        let csc = self.kind.has("csc").then(|| self.csc.unwrap_or_default());
        if let Some(csc) = csc {
            for (key, value) in [("csc.lambda", csc.lambda), ("csc.mu", csc.mu)] {
                range(key, value, value >= 0.0 && value.is_finite(), "finite and at least 0")?;
            }
            range(
                "csc.steps",
                csc.steps,
                (1..=1000).contains(&csc.steps),
                "from 1 to 1000",
            )?;
        }
        Ok(ResolvedModel::ResNet { kind: self.kind, csc })
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
        let classes = Some(self.classes.unwrap_or(classes));
        Ok(match self.resolve()? {
            ResolvedModel::Scn {
                width,
                first_width,
                kernel,
                solver,
                lambda1,
            } => Self {
                kind: self.kind,
                width: Some(width),
                first_width: Some(first_width),
                classes,
                kernel: Some(kernel),
                solver: Some(solver),
                lambda1: Some(lambda1),
                csc: None,
            },
            ResolvedModel::PreactResNet(_) => Self {
                classes,
                ..self.clone()
            },
            ResolvedModel::ResNet { csc, .. } => Self {
                classes,
                csc,
                ..self.clone()
            },
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

mod method {
    //! [`Method`] by its name.

    use scn_solver::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        const NAMES: [&str; 3] = ["coordinate-descent", "fista", "fista-restart"];
        let name = String::deserialize(deserializer)?;
        Method::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}
