//! The answer to a problem, and its file.

use safetensors::tensor::TensorView;
use scn_solver::SolveInfo;

use super::{Kind, Problem, transpose};
use crate::archive::Dtype;

/// The answer in the layout of a convolutional layer.
pub struct Solution {
    /// `[b, n, h', w']`.
    pub codes: Vec<f64>,
    /// Iterations and ρ of every output pixel `[b, h', w']`.
    pub solves: Vec<SolveInfo>,
    /// Where `grad_codes` was given.
    pub gradients: Option<Gradients>,
}

/// The gradients of `⟨grad_codes, codes⟩`.
pub struct Gradients {
    /// `[b, c, h, w]`.
    pub x: Vec<f64>,
    /// `[n, c, k, k]`.
    pub weight: Vec<f64>,
    /// `[n]`.
    pub lambda1: Vec<f64>,
    /// Of λ₂.
    pub lambda2: f64,
    /// Sweeps and relative residual of every pixel's linear system; a system that the CPU kernels factorised took 0 sweeps, 1 where its
    /// solution was refined.
    pub systems: Vec<SolveInfo>,
}

impl Gradients {
    /// Whether every value is finite.
    pub fn are_finite(&self) -> bool {
        let mut values = self
            .x
            .iter()
            .chain(&self.weight)
            .chain(&self.lambda1)
            .chain([&self.lambda2]);
        values.all(|value| value.is_finite())
    }
}

/// A tensor of the file to be written.
struct Output {
    name: &'static str,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

/// The tensors of an answer, as a safetensors file and as the names in it. Floats are stored as `dtype`, F64 or F32.
///
/// # Panics
/// Where the answer is not as large as the problem's geometry says.
pub fn to_safetensors(problem: &Problem, solution: &Solution, dtype: Dtype) -> (Vec<u8>, Vec<&'static str>) {
    let geometry = &problem.geometry;
    let [batch, n, rows, columns] = geometry.codes_shape();
    let (m, p) = (geometry.channels, geometry.width);
    let solves = match problem.kind {
        Kind::ElasticNet => vec![p],
        Kind::ConvLayer => vec![batch, rows, columns],
    };
    let float = |name, shape: &[usize], values: &[f64]| Output {
        name,
        shape: shape.to_vec(),
        dtype,
        bytes: match dtype {
            Dtype::F64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            _ => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
        },
    };
    let residuals: Vec<f64> = solution.solves.iter().map(|solve| solve.residual).collect();
    let iterations = solution
        .solves
        .iter()
        .flat_map(|solve| (solve.iterations as i32).to_le_bytes())
        .collect();
    let mut outputs = match problem.kind {
        Kind::ElasticNet => vec![
            float("codes", &[p, n], &transpose(&solution.codes, [n, p])),
            float("objective", &[p], &objectives(problem, &solution.codes)),
        ],
        Kind::ConvLayer => vec![float("codes", &geometry.codes_shape(), &solution.codes)],
    };
    outputs.push(float("kkt_residual", &solves, &residuals));
    outputs.push(Output {
        name: "iterations",
        shape: solves,
        dtype: Dtype::I32,
        bytes: iterations,
    });
    if let Some(gradients) = &solution.gradients {
        let [(_, x_shape), (_, dictionary_shape)] = problem.shapes();
        outputs.extend(match problem.kind {
            Kind::ElasticNet => [
                float("grad_X", &x_shape, &transpose(&gradients.x, [m, p])),
                float("grad_D", &dictionary_shape, &transpose(&gradients.weight, [n, m])),
            ],
            Kind::ConvLayer => [
                float("grad_x", &x_shape, &gradients.x),
                float("grad_weight", &dictionary_shape, &gradients.weight),
            ],
        });
        let lambda1 = match problem.lambda1.len() {
            1 => vec![gradients.lambda1.iter().sum()],
            _ => gradients.lambda1.clone(),
        };
        outputs.push(float("grad_lambda1", &problem.lambda1_shape, &lambda1));
        outputs.push(float("grad_lambda2", &problem.lambda2_shape, &[gradients.lambda2]));
    }
    let views = outputs.iter().map(|output| {
        let view = TensorView::new(output.dtype, output.shape.clone(), &output.bytes);
        let view = view.unwrap_or_else(|error| panic!("{} is not of the problem's geometry: {error}", output.name));
        (output.name, view)
    });
    let file = safetensors::serialize(views, None).unwrap_or_else(|error| panic!("numbers serialize: {error}"));
    (file, outputs.iter().map(|output| output.name).collect())
}

/// `½‖x − Dα‖² + λ₁ᵀα + ½λ₂‖α‖²` (SCN eq. 1) of every problem of an elastic net.
fn objectives(problem: &Problem, codes: &[f64]) -> Vec<f64> {
    let (m, n, p) = (
        problem.geometry.channels,
        problem.geometry.atoms,
        problem.geometry.width,
    );
    let objective = |column: usize| {
        let code: Vec<f64> = (0..n).map(|j| codes[j * p + column]).collect();
        let mut misfit: Vec<f64> = (0..m).map(|i| problem.x[i * p + column]).collect();
        for (j, &alpha) in code.iter().enumerate().filter(|(_, alpha)| **alpha != 0.0) {
            let atom = &problem.weight[j * m..(j + 1) * m];
            misfit
                .iter_mut()
                .zip(atom)
                .for_each(|(misfit, atom)| *misfit -= alpha * atom);
        }
        let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let lambda1 = |j: usize| problem.lambda1[if problem.lambda1.len() == 1 { 0 } else { j }];
        let linear: f64 = code.iter().enumerate().map(|(j, alpha)| lambda1(j) * alpha).sum();
        0.5 * squares(&misfit) + linear + 0.5 * problem.lambda2 * squares(&code)
    };
    (0..p).map(objective).collect()
}
