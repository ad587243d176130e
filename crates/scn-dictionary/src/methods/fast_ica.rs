//! Independent component analysis by the fixed-point iteration (Hyvärinen & Oja, Neural Computation 9(7), 1997) with
//! `g = tanh`: `W ← E[g(Wz)zᵀ] − diag(E[g'(Wz)]) W`, then the nearest orthogonal matrix (symmetric orthogonalisation).
//!
//! z is white, so that filters and basis functions are the same. Each batch is one step: a small one leaves the noise of
//! its means in the components.

use super::{Inference, Method};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::nearest_orthogonal;

pub(super) struct FastIca;

impl Method for FastIca {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        Ok(Inference::exact(signals.times(&dictionary.atoms)))
    }

    /// `Σ log cosh yⱼ`, which super-Gaussian components, as photographs have them, make smaller than a Gaussian would, and
    /// sub-Gaussian ones larger.
    fn penalty(&self, codes: &Signals) -> f64 {
        // log cosh y = |y| + log((1 + e^{−2|y|})/2), which does not overflow.
        codes.sum(|_, code| code.abs() + (-2.0 * code.abs()).exp().ln_1p() - std::f64::consts::LN_2)
    }

    fn reconstructs(&self) -> bool {
        false
    }

    fn is_orthogonal(&self) -> bool {
        true
    }

    fn step(
        &mut self,
        _: usize,
        dictionary: &mut Dictionary,
        signals: &Signals,
        codes: &Signals,
    ) -> Result<(), DictionaryError> {
        let (n, p, count) = (dictionary.count(), dictionary.dimension, signals.count() as f64);
        let activations = codes.map(|_, code| code.tanh());
        // g' = 1 − g².
        let slopes = activations.row_sums(|value| value * value);
        let products = signals.products(&activations);
        let target: Vec<f64> = (0..n * p)
            .map(|index| {
                let slope = 1.0 - slopes[index / p] / count;
                f64::from(products[index]) / count - slope * f64::from(dictionary.atoms[index])
            })
            .collect();
        let mut atoms = nearest_orthogonal(&target, n)?;
        // The iteration turns super-Gaussian components around at every step.
        for (new, old) in atoms.chunks_exact_mut(p).zip(dictionary.atoms.chunks_exact(p)) {
            let cosine: f32 = new.iter().zip(old).map(|(new, old)| new * old).sum();
            if cosine < 0.0 {
                new.iter_mut().for_each(|value| *value = -*value);
            }
        }
        dictionary.atoms = atoms;
        Ok(())
    }

    fn lambda(&self, _: usize) -> Option<Vec<f32>> {
        None
    }
}
