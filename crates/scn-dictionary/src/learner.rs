//! A dictionary that learns, one batch at a time: codes → figures → step.

use scn_solver::SolveInfo;
use scn_train::exact;
use scn_train::tensors::Arrays;
use serde::{Deserialize, Serialize};

use crate::dictionary::{Dictionary, normalize};
use crate::error::DictionaryError;
use crate::experiment::DictionaryConfig;
use crate::methods::{Inference, Method, method};
use crate::signals::Signals;
use crate::update::nearest_orthogonal;

/// Sums over patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    patches: usize,
    #[serde(with = "exact")]
    reconstruction: f64,
    #[serde(with = "exact")]
    penalty: f64,
    nonzeros: u64,
    /// Of all codes together.
    codes: u64,
    iterations: Option<usize>,
    #[serde(with = "exact")]
    residual: f64,
}

/// Means over patches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// What is minimised, for a patch: `reconstruction + penalty`.
    pub objective: f64,
    /// Half the squared error of the reconstruction; 0 where a method does not minimise it.
    pub reconstruction: f64,
    /// The rest of the objective.
    pub penalty: f64,
    /// The share of codes that are not 0.
    pub activity: f64,
    /// The most sweeps of a solve; `None` for closed forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// The largest relative residual of the optimality conditions of a code; `None` for closed forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<f64>,
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Sums) {
        self.patches += other.patches;
        self.reconstruction += other.reconstruction;
        self.penalty += other.penalty;
        self.nonzeros += other.nonzeros;
        self.codes += other.codes;
        self.iterations = self.iterations.max(other.iterations);
        self.residual = self.residual.max(other.residual);
    }

    pub(crate) fn patches(&self) -> usize {
        self.patches
    }

    pub(crate) fn figures(&self) -> Figures {
        let mean = |sum: f64| sum / self.patches.max(1) as f64;
        Figures {
            objective: mean(self.reconstruction + self.penalty),
            reconstruction: mean(self.reconstruction),
            penalty: mean(self.penalty),
            activity: self.nonzeros as f64 / self.codes.max(1) as f64,
            iterations: self.iterations,
            residual: self.iterations.map(|_| self.residual),
        }
    }
}

/// A dictionary and its method.
pub struct Learner {
    pub(crate) dictionary: Dictionary,
    pub(crate) method: Box<dyn Method + Send>,
    config: DictionaryConfig,
}

impl Learner {
    /// Atoms from `start`: its first signals that are not 0, normalised, or made orthonormal where the method asks for it.
    ///
    /// # Errors
    /// [`DictionaryError::FewPatches`].
    pub fn new(config: &DictionaryConfig, start: &Signals) -> Result<Self, DictionaryError> {
        let mut learner = Self::empty(config);
        let (count, dimension) = (config.atoms, start.rows());
        let mut atoms = Vec::with_capacity(count * dimension);
        let mut found = 0;
        for index in 0..start.count() {
            let mut atom = start.column(index);
            if found < count && normalize(&mut atom) {
                atoms.extend(atom);
                found += 1;
            }
        }
        if found < count {
            return Err(DictionaryError::FewPatches {
                found,
                drawn: start.count(),
                atoms: count,
            });
        }
        if learner.method.is_orthogonal() {
            atoms = orthonormal(atoms, count, dimension)?;
        }
        learner.dictionary = Dictionary { dimension, atoms };
        Ok(learner)
    }

    /// With atoms that are 0, for those of a checkpoint to take their places.
    pub(crate) fn empty(config: &DictionaryConfig) -> Self {
        let dimension = config.dimension();
        Self {
            dictionary: Dictionary {
                dimension,
                atoms: vec![0.0; config.atoms * dimension],
            },
            method: method(config, dimension),
            config: config.clone(),
        }
    }

    /// The atoms as they are.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// λ of every atom; `None` for methods without.
    pub fn lambda(&self) -> Option<Vec<f32>> {
        self.method.lambda(self.dictionary.count())
    }

    /// Codes of signals, `[n]` each, with what the objective makes of them.
    ///
    /// # Errors
    /// [`DictionaryError::Solver`], [`DictionaryError::Ridge`].
    pub fn codes(&self, signals: &Signals) -> Result<(Signals, Figures), DictionaryError> {
        let inference = self.method.infer(&self.dictionary, signals)?;
        let sums = self.sums(signals, &inference);
        Ok((inference.codes, sums.figures()))
    }

    /// One step by batch `step`, counted from 0. Returns the figures of its codes before the step.
    ///
    /// # Errors
    /// As [`Learner::codes`], and [`DictionaryError::NoCodes`] in the first step.
    pub fn step(&mut self, step: usize, signals: &Signals) -> Result<Figures, DictionaryError> {
        self.summed_step(step, signals).map(|sums| sums.figures())
    }

    /// As [`Learner::step`], with sums.
    pub(crate) fn summed_step(&mut self, step: usize, signals: &Signals) -> Result<Sums, DictionaryError> {
        let inference = self.method.infer(&self.dictionary, signals)?;
        let sums = self.sums(signals, &inference);
        if let (0, 0, Some(lambda)) = (step, sums.nonzeros, self.config.lambda) {
            return Err(DictionaryError::NoCodes {
                lambda,
                largest: signals.times(&self.dictionary.atoms).largest().into(),
            });
        }
        self.method
            .step(step, &mut self.dictionary, signals, &inference.codes)?;
        Ok(sums)
    }

    fn sums(&self, signals: &Signals, Inference { codes, solve }: &Inference) -> Sums {
        let reconstruction = match self.method.reconstructs() {
            true => {
                let made = codes.times(&self.dictionary.transposed());
                let error = |(x, made): (&f32, &f32)| f64::from(x - made).powi(2);
                0.5 * signals.values().iter().zip(made.values()).map(error).sum::<f64>()
            }
            false => 0.0,
        };
        let nonzeros = codes.values().iter().filter(|code| **code != 0.0).count();
        Sums {
            patches: signals.count(),
            reconstruction,
            penalty: self.method.penalty(codes),
            nonzeros: nonzeros as u64,
            codes: (codes.count() * codes.rows()) as u64,
            iterations: solve.map(|SolveInfo { iterations, .. }| iterations),
            residual: solve.map_or(0.0, |SolveInfo { residual, .. }| residual),
        }
    }

    /// What later steps depend on besides the atoms.
    pub(crate) fn state(&self) -> Arrays {
        let mut arrays = Arrays::new();
        self.method.store(&mut arrays);
        arrays
    }
}

/// The nearest orthonormal atoms. Where signals are linearly dependent, unit vectors take part too.
fn orthonormal(atoms: Vec<f32>, count: usize, dimension: usize) -> Result<Vec<f32>, DictionaryError> {
    /// What unit vectors count beside atoms of norm 1.
    const PART: f64 = 1e-3;
    let unit = |index: usize| {
        if index / dimension == index % dimension {
            PART
        } else {
            0.0
        }
    };
    let target: Vec<f64> = atoms
        .iter()
        .enumerate()
        .map(|(index, &value)| f64::from(value) + unit(index))
        .collect();
    nearest_orthogonal(&target, count)
}
