//! Orthogonal sparse coding (Bowren, section 2.2): the lasso with orthonormal atoms, whose solution is the soft threshold.

use scn_train::tensors::Arrays;

use super::{Inference, Method, soft_thresholds, weighted_magnitudes};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::{Surrogate, procrustes};

pub(super) struct Orthogonal {
    lambda: Vec<f32>,
    surrogate: Surrogate,
}

impl Orthogonal {
    pub(super) fn new(lambda: f64, atoms: usize, dimension: usize) -> Self {
        Self {
            lambda: vec![lambda as f32; atoms],
            surrogate: Surrogate::new(atoms, dimension),
        }
    }
}

impl Method for Orthogonal {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        Ok(Inference::exact(soft_thresholds(dictionary, signals, &self.lambda)))
    }

    fn penalty(&self, codes: &Signals) -> f64 {
        weighted_magnitudes(codes, &self.lambda)
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
        procrustes(dictionary, &self.surrogate)
    }

    fn lambda(&self, _: usize) -> Option<Vec<f32>> {
        Some(self.lambda.clone())
    }

    fn store(&self, arrays: &mut Arrays) {
        self.surrogate.store(arrays);
    }

    fn restore(&mut self, arrays: &Arrays) {
        self.surrogate.restore(arrays);
    }
}
