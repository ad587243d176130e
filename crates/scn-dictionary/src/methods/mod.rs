//! The methods, one file each: how the codes of signals are inferred, what is minimised, and how the dictionary is
//! stepped.

mod classical;
mod fast_ica;
mod non_negative;
mod orthogonal;
mod orthogonal_l0;
mod orthogonal_per_atom;
mod ridge;

use scn_solver::SolveInfo;
use scn_train::tensors::Arrays;

use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::experiment::DictionaryConfig;
use crate::signals::Signals;

/// The codes of signals.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inference {
    pub(crate) codes: Signals,
    /// Of the solver; `None` for closed forms, which are exact.
    pub(crate) solve: Option<SolveInfo>,
}

impl Inference {
    fn exact(codes: Signals) -> Self {
        Self { codes, solve: None }
    }
}

/// A way of learning a dictionary.
pub(crate) trait Method {
    /// Codes `[n]` of every signal.
    ///
    /// # Errors
    /// [`DictionaryError`] where they cannot be computed.
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError>;

    /// What is added to half the squared error of the reconstruction, summed over all signals.
    fn penalty(&self, codes: &Signals) -> f64;

    /// Whether the error of the reconstruction is minimised too.
    fn reconstructs(&self) -> bool {
        true
    }

    /// Whether atoms are kept orthonormal.
    fn is_orthogonal(&self) -> bool;

    /// Steps the dictionary by batch `step`, counted from 0.
    ///
    /// # Errors
    /// [`DictionaryError`] where it cannot be computed.
    fn step(
        &mut self,
        step: usize,
        dictionary: &mut Dictionary,
        signals: &Signals,
        codes: &Signals,
    ) -> Result<(), DictionaryError>;

    /// λ of every atom, where there is one.
    fn lambda(&self, atoms: usize) -> Option<Vec<f32>>;

    /// What later steps depend on besides the dictionary.
    fn store(&self, _arrays: &mut Arrays) {}

    /// Takes what [`Method::store`] wrote; names and shapes were checked.
    fn restore(&mut self, _arrays: &Arrays) {}
}

scn_keys::names! {
    /// How a dictionary is learned.
    pub enum MethodKind {
        /// Sparse coding: signed codes of the lasso, unit-norm atoms (Olshausen & Field, 1996).
        Classical = "classical",
        /// Non-negative sparse coding: codes at or above 0, unit-norm atoms (Hoyer, 2002).
        NonNegative = "non-negative",
        /// Orthogonal sparse coding: soft thresholds of the products with orthonormal atoms (Bowren, section 2.2).
        Orthogonal = "orthogonal",
        /// The same with a λ for each atom, from how much it is used (Bowren, section 3.2).
        OrthogonalPerAtom = "orthogonal-per-atom",
        /// Orthogonal sparse coding with the largest products kept (Schütze, Barth & Martinetz, 2016; Bowren, section 5.3).
        OrthogonalL0 = "orthogonal-l0",
        /// Ridge regression: codes in closed form, not sparse, unit-norm atoms (Bowren, section 5.2).
        Ridge = "ridge",
        /// Independent components (Hyvärinen & Oja, 1997), with tanh and symmetric orthogonalisation.
        FastIca = "fast-ica",
    }
}

impl MethodKind {
    /// Whether its atoms are orthonormal, so that there are no more of them than dimensions.
    pub fn is_orthogonal(self) -> bool {
        match self {
            MethodKind::Orthogonal | MethodKind::OrthogonalPerAtom | MethodKind::OrthogonalL0 | MethodKind::FastIca => {
                true
            }
            MethodKind::Classical | MethodKind::NonNegative | MethodKind::Ridge => false,
        }
    }
}

/// The method of an experiment, for atoms of `dimension` values.
pub(crate) fn method(config: &DictionaryConfig, dimension: usize) -> Box<dyn Method + Send> {
    let atoms = config.atoms;
    let lambda = config.lambda.unwrap_or_default();
    let solver = config.solver();
    match config.method {
        MethodKind::Classical => Box::new(classical::Classical::new(lambda, solver, atoms, dimension)),
        MethodKind::NonNegative => Box::new(non_negative::NonNegative::new(lambda, solver, atoms, dimension)),
        MethodKind::Orthogonal => Box::new(orthogonal::Orthogonal::new(lambda, atoms, dimension)),
        MethodKind::OrthogonalPerAtom => {
            Box::new(orthogonal_per_atom::OrthogonalPerAtom::new(lambda, atoms, dimension))
        }
        MethodKind::OrthogonalL0 => {
            let nonzeros = config.nonzeros.unwrap_or(atoms);
            Box::new(orthogonal_l0::OrthogonalL0::new(nonzeros, atoms, dimension))
        }
        MethodKind::Ridge => Box::new(ridge::Ridge::new(lambda, atoms, dimension)),
        MethodKind::FastIca => Box::new(fast_ica::FastIca),
    }
}

/// `Σ λⱼ |αⱼ|`.
fn weighted_magnitudes(codes: &Signals, lambda: &[f32]) -> f64 {
    codes.sum(|atom, code| f64::from(lambda[atom]) * code.abs())
}

/// Soft thresholds `S(dⱼᵀx, λⱼ)`: the exact codes where atoms are orthonormal (Bowren, eq. 14).
fn soft_thresholds(dictionary: &Dictionary, signals: &Signals, lambda: &[f32]) -> Signals {
    let products = signals.times(&dictionary.atoms);
    products.map(|atom, value| value - value.clamp(-lambda[atom], lambda[atom]))
}
