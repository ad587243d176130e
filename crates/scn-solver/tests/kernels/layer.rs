//! A random sparse-coding layer to try the kernels on.

use scn_solver::{ConvGeometry, SimdLevel, SolverError, SolverOptions, kernels};

use crate::common::Noise;

/// A random layer: x, weight, lambda1, grad_codes.
#[derive(Clone)]
pub struct Layer {
    pub geometry: ConvGeometry,
    pub x: Vec<f32>,
    pub weight: Vec<f32>,
    pub lambda1: Vec<f32>,
    pub grad_codes: Vec<f32>,
    pub options: SolverOptions,
}

impl Layer {
    pub fn random(x: [usize; 4], weight: [usize; 4], stride: usize, lambda2: f64) -> Self {
        let geometry = ConvGeometry::new(x, weight, stride).unwrap();
        let mut noise = Noise::seeded(7);
        let mut uniform = |len: usize, scale: f32| -> Vec<f32> {
            let numbers = noise.uniform(len, -1.0, 1.0);
            numbers.into_iter().map(|number| scale * number).collect()
        };
        let mut options = SolverOptions {
            lambda2,
            ..SolverOptions::default()
        };
        options.forward.tolerance = 2e-7;
        options.forward.max_iterations = 5000;
        options.backward.tolerance = 1e-6;
        options.backward.max_iterations = 5000;
        options.backward.ridge = 0.0;
        let scale = (1.0 / geometry.patch().max(1) as f32).sqrt();
        Self {
            geometry,
            x: uniform(x.iter().product(), 1.0),
            weight: uniform(weight.iter().product(), 3.0 * scale),
            lambda1: uniform(geometry.atoms, 0.1).iter().map(|v| v.abs()).collect(),
            grad_codes: uniform(geometry.codes_shape().iter().product(), 1.0),
            options,
        }
    }

    pub fn forward(&self, level: SimdLevel) -> kernels::Solution {
        self.try_forward(level).unwrap()
    }

    pub fn try_forward(&self, level: SimdLevel) -> Result<kernels::Solution, SolverError> {
        kernels::forward(
            &self.geometry,
            &self.x,
            None,
            &self.weight,
            &self.lambda1,
            &self.options,
            level,
        )
    }

    pub fn backward(&self, codes: &[f32], level: SimdLevel) -> kernels::Gradients {
        self.try_backward(codes, level).unwrap()
    }

    pub fn try_backward(&self, codes: &[f32], level: SimdLevel) -> Result<kernels::Gradients, SolverError> {
        kernels::backward(
            &self.geometry,
            &self.x,
            None,
            &self.weight,
            codes,
            &self.grad_codes,
            &self.options,
            true,
            level,
        )
    }
}
