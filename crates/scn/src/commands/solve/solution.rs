//! Solves a problem on a device or by the reference, and writes the answer in the layout of the problem's file.

use burn::tensor::{Device, Shape, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use scn_ops::{sparse_code2d, sparse_code2d_vjp};
use scn_solver::{SolveInfo, SolverError, SolverOptions, reference};

use super::problem::{Kind, Problem, transpose};

/// The answer in the layout of a convolutional layer.
pub(super) struct Solution {
    /// `[b, n, h', w']`.
    pub(super) codes: Vec<f64>,
    /// Iterations and ρ of every output pixel `[b, h', w']`.
    pub(super) solves: Vec<SolveInfo>,
    pub(super) gradients: Option<Gradients>,
}

/// The gradients, where `grad_codes` was given.
pub(super) struct Gradients {
    /// `[b, c, h, w]`.
    pub(super) x: Vec<f64>,
    /// `[n, c, k, k]`.
    pub(super) weight: Vec<f64>,
    /// `[n]`.
    pub(super) lambda1: Vec<f64>,
    pub(super) lambda2: f64,
    /// Sweeps and relative residual of every pixel's linear system; devices do not report them.
    pub(super) systems: Option<Vec<SolveInfo>>,
}

impl Gradients {
    pub(super) fn are_finite(&self) -> bool {
        let mut values = self
            .x
            .iter()
            .chain(&self.weight)
            .chain(&self.lambda1)
            .chain([&self.lambda2]);
        values.all(|value| value.is_finite())
    }
}

/// By the reference solvers, in f64.
pub(super) fn by_reference(problem: &Problem, options: &SolverOptions) -> Result<Solution, SolverError> {
    let Problem {
        geometry,
        x,
        weight,
        lambda1,
        ..
    } = problem;
    let lambda1 = if lambda1.len() == 1 {
        vec![lambda1[0]; geometry.atoms]
    } else {
        lambda1.clone()
    };
    let solution = reference::forward(geometry, x, weight, &lambda1, options)?;
    let gradients = match &problem.grad_codes {
        Some(grad_codes) => Some(reference::backward(
            geometry,
            x,
            weight,
            &solution.codes,
            grad_codes,
            options,
        )?),
        None => None,
    };
    Ok(Solution {
        codes: solution.codes,
        solves: solution.info,
        gradients: gradients.map(|found| Gradients {
            x: found.x,
            weight: found.weight,
            lambda1: found.lambda1,
            lambda2: found.lambda2,
            systems: Some(found.info),
        }),
    })
}

/// By the kernels of a device, in f32.
pub(super) fn on_device(problem: &Problem, options: SolverOptions, device: &Device) -> Solution {
    let geometry = &problem.geometry;
    let [images, channels, kernel] = [geometry.batch, geometry.channels, geometry.kernel];
    let x = tensor(&problem.x, [images, channels, geometry.height, geometry.width], device);
    let weight = tensor(&problem.weight, [geometry.atoms, channels, kernel, kernel], device);
    let lambda1 = tensor(&problem.lambda1, [problem.lambda1.len()], device);
    let (codes, info) = sparse_code2d(x.clone(), weight.clone(), lambda1, geometry.stride, options);
    let gradients = problem.grad_codes.as_ref().map(|grad_codes| {
        let grad_codes = tensor(grad_codes, geometry.codes_shape(), device);
        let found = sparse_code2d_vjp(x, weight, codes.clone(), grad_codes, geometry.stride, options);
        Gradients {
            x: values(found.x),
            weight: values(found.weight),
            lambda1: values(found.lambda1),
            lambda2: values(found.lambda2).iter().sum(),
            systems: None,
        }
    });
    // `[b, 2, h', w']`: a plane of iterations and a plane of residuals for each image.
    let planes = values(info.solves);
    let image = |planes: &[f64]| -> Vec<SolveInfo> {
        let (iterations, residuals) = planes.split_at(planes.len() / 2);
        let solve = |(&iterations, &residual): (&f64, &f64)| SolveInfo {
            iterations: iterations as usize,
            residual,
        };
        iterations.iter().zip(residuals).map(solve).collect()
    };
    let solves = planes.chunks(2 * geometry.pixels()).flat_map(image).collect();
    Solution {
        codes: values(codes),
        solves,
        gradients,
    }
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A tensor of the file to be written.
struct Output {
    name: &'static str,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

/// The tensors of an answer, as a safetensors file and as the names in it. Floats are stored as `dtype`, F64 or F32.
pub(super) fn to_safetensors(
    problem: &Problem,
    solution: &Solution,
    dtype: Dtype,
) -> anyhow::Result<(Vec<u8>, Vec<&'static str>)> {
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
    let mut views = Vec::new();
    for output in &outputs {
        views.push((
            output.name,
            TensorView::new(output.dtype, output.shape.clone(), &output.bytes)?,
        ));
    }
    let names = outputs.iter().map(|output| output.name).collect();
    Ok((safetensors::serialize(views, None)?, names))
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
