//! Orthogonal sparse coding with a λ for each atom (Bowren, section 3.2): `λⱼ = σ²/μⱼ` for the scale μⱼ of the Laplacian
//! prior of its coefficient and the variance σ² of the noise.
//!
//! μⱼ is the mean of `|dⱼᵀx|`, the maximum-likelihood scale of the coefficients before noise is taken off. That of the
//! codes themselves would not do: the rarer an atom is, the larger its λ becomes, until nothing uses it. σ² is such that
//! atoms that are alike have the λ of the experiment: `σ² = λ·mean μ`.

use scn_train::tensors::{Array, Arrays};

use super::{Inference, Method, soft_thresholds, weighted_magnitudes};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::{Surrogate, kept, procrustes};

/// Smallest μ of an atom beside the mean one: its λ stays finite.
const LEAST: f32 = 1e-3;
const SCALES: &str = "scales";

pub(super) struct OrthogonalPerAtom {
    lambda: f64,
    /// μ; all 0 before the first step.
    scales: Vec<f32>,
    surrogate: Surrogate,
}

impl OrthogonalPerAtom {
    pub(super) fn new(lambda: f64, atoms: usize, dimension: usize) -> Self {
        Self {
            lambda,
            scales: vec![0.0; atoms],
            surrogate: Surrogate::new(atoms, dimension),
        }
    }

    fn lambdas(&self) -> Vec<f32> {
        let mean = self.scales.iter().sum::<f32>() / self.scales.len() as f32;
        let lambda = |&scale: &f32| match mean > 0.0 {
            true => (self.lambda * f64::from(mean / scale.max(LEAST * mean))) as f32,
            false => self.lambda as f32,
        };
        self.scales.iter().map(lambda).collect()
    }
}

impl Method for OrthogonalPerAtom {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        Ok(Inference::exact(soft_thresholds(dictionary, signals, &self.lambdas())))
    }

    fn penalty(&self, codes: &Signals) -> f64 {
        weighted_magnitudes(codes, &self.lambdas())
    }

    fn is_orthogonal(&self) -> bool {
        true
    }

    fn step(
        &mut self,
        step: usize,
        dictionary: &mut Dictionary,
        signals: &Signals,
        codes: &Signals,
    ) -> Result<(), DictionaryError> {
        self.surrogate.add(step, signals, codes);
        procrustes(dictionary, &self.surrogate)?;
        // A mean of what older batches count less in, as in the surrogate: (1 − w)·old + w·new has these weights.
        let weight = 1.0 - kept(step);
        let sums = signals.times(&dictionary.atoms).row_sums(f32::abs);
        for (scale, sum) in self.scales.iter_mut().zip(sums) {
            let new = sum / signals.count() as f64;
            *scale = (f64::from(*scale) + weight * (new - f64::from(*scale))) as f32;
        }
        Ok(())
    }

    fn lambda(&self, _: usize) -> Option<Vec<f32>> {
        Some(self.lambdas())
    }

    fn store(&self, arrays: &mut Arrays) {
        self.surrogate.store(arrays);
        let (shape, values) = (vec![self.scales.len()], self.scales.clone());
        arrays.insert(SCALES.into(), Array { shape, values });
    }

    fn restore(&mut self, arrays: &Arrays) {
        self.surrogate.restore(arrays);
        if let Some(array) = arrays.get(SCALES) {
            self.scales.clone_from(&array.values);
        }
    }
}
