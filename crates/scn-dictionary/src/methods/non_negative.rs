//! Sparse coding with codes at or above 0: the elastic net of a sparse-coding layer at λ₂ = 0, a signal for a pixel.

use scn_solver::kernels::{GROUP, forward};
use scn_solver::{ForwardOptions, SimdLevel, SolveInfo, SolverOptions};
use scn_train::tensors::Arrays;

use super::{Inference, Method, weighted_magnitudes};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::{Signals, geometry};
use crate::update::{Surrogate, block_coordinate_descent};

pub(super) struct NonNegative {
    lambda: Vec<f32>,
    options: SolverOptions,
    surrogate: Surrogate,
}

impl NonNegative {
    pub(super) fn new(lambda: f64, forward: ForwardOptions, atoms: usize, dimension: usize) -> Self {
        Self {
            lambda: vec![lambda as f32; atoms],
            options: SolverOptions {
                forward,
                ..SolverOptions::default()
            },
            surrogate: Surrogate::new(atoms, dimension),
        }
    }
}

impl Method for NonNegative {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        let groups = signals.values().len() / (signals.rows() * GROUP);
        let found = forward(
            &geometry([groups, signals.rows(), 1, GROUP], dictionary.count()),
            signals.values(),
            None,
            &dictionary.atoms,
            &self.lambda,
            &self.options,
            SimdLevel::detect(),
        )?;
        let reports = found.solves.chunks_exact(2 * GROUP);
        let (mut iterations, mut residual) = (0.0f32, 0.0f32);
        for (spent, residuals) in reports.map(|report| report.split_at(GROUP)) {
            iterations = spent.iter().copied().fold(iterations, f32::max);
            residual = residuals.iter().copied().fold(residual, f32::max);
        }
        Ok(Inference {
            codes: Signals::laid_out(self.lambda.len(), signals, found.codes),
            solve: Some(SolveInfo {
                iterations: iterations as usize,
                residual: residual.into(),
            }),
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
