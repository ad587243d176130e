//! Sparse coding with signed codes: the lasso, by coordinate descent, and unit-norm atoms.

use scn_solver::kernels::lasso;
use scn_solver::{ForwardOptions, SimdLevel};
use scn_train::tensors::Arrays;

use super::{Inference, Method, weighted_magnitudes};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::{Surrogate, block_coordinate_descent};

pub(super) struct Classical {
    lambda: Vec<f32>,
    solver: ForwardOptions,
    surrogate: Surrogate,
}

impl Classical {
    pub(super) fn new(lambda: f64, solver: ForwardOptions, atoms: usize, dimension: usize) -> Self {
        Self {
            lambda: vec![lambda as f32; atoms],
            solver,
            surrogate: Surrogate::new(atoms, dimension),
        }
    }
}

impl Method for Classical {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        let ForwardOptions {
            tolerance,
            max_iterations,
            ..
        } = self.solver;
        let found = lasso(
            signals.values(),
            &dictionary.atoms,
            &self.lambda,
            tolerance,
            max_iterations,
            SimdLevel::detect(),
        )?;
        Ok(Inference {
            codes: Signals::laid_out(self.lambda.len(), signals, found.codes),
            solve: Some(found.worst),
        })
    }

    fn penalty(&self, codes: &Signals) -> f64 {
        weighted_magnitudes(codes, &self.lambda)
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
