//! Ridge regression (Bowren, section 5.2): `min ½‖x − Dα‖² + ½λ‖α‖²`, whose codes `(DᵀD + λI)⁻¹Dᵀx` (eq. 76) are linear
//! in the signal; unit-norm atoms.

use nalgebra::DMatrix;
use scn_train::tensors::Arrays;

use super::{Inference, Method};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::{Surrogate, block_coordinate_descent};

pub(super) struct Ridge {
    lambda: f64,
    surrogate: Surrogate,
}

impl Ridge {
    pub(super) fn new(lambda: f64, atoms: usize, dimension: usize) -> Self {
        Self {
            lambda,
            surrogate: Surrogate::new(atoms, dimension),
        }
    }
}

impl Method for Ridge {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        let (n, p) = (dictionary.count(), dictionary.dimension);
        let atoms = DMatrix::from_row_iterator(n, p, dictionary.atoms.iter().map(|&value| f64::from(value)));
        let system = &atoms * atoms.transpose() + DMatrix::identity(n, n) * self.lambda;
        let factor = system.cholesky().ok_or(DictionaryError::Ridge(self.lambda))?;
        let filters = factor.solve(&atoms).transpose();
        let filters: Vec<f32> = filters.iter().map(|&value| value as f32).collect();
        Ok(Inference::exact(signals.times(&filters)))
    }

    fn penalty(&self, codes: &Signals) -> f64 {
        0.5 * self.lambda * codes.sum(|_, code| code * code)
    }

    fn is_orthogonal(&self) -> bool {
        false
    }

    fn step(
        &mut self,
        step: usize,
        dictionary: &mut Dictionary,
        signals: &Signals,
        codes: &Signals,
    ) -> Result<(), DictionaryError> {
        self.surrogate.add(step, signals, codes);
        block_coordinate_descent(dictionary, &mut self.surrogate, signals);
        Ok(())
    }

    fn lambda(&self, atoms: usize) -> Option<Vec<f32>> {
        Some(vec![self.lambda as f32; atoms])
    }

    fn store(&self, arrays: &mut Arrays) {
        self.surrogate.store(arrays);
    }

    fn restore(&mut self, arrays: &Arrays) {
        self.surrogate.restore(arrays);
    }
}
