//! Sparse-coding problems from files, solved on a device or by the plain solvers in f64, gradients included.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::{Device, Shape, Tensor, TensorData};
use scn_interop::archive::Dtype;
use scn_interop::figure::figure;
use scn_interop::problem::{Gradients, Problem, Solution, differences, to_safetensors};
use scn_ops::{DeviceRequest, sparse_code2d, sparse_code2d_vjp};
use scn_solver::reference;
use scn_solver::{SolveInfo, SolverError, SolverOptions};
use serde::Serialize;

use crate::{StudyError, write_file};

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The kernels of a device, in f32.
    Device(DeviceRequest),
    /// The plain solvers, in f64.
    Reference,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Engine; 3] = [
        Engine::Device(DeviceRequest::Cpu),
        Engine::Device(DeviceRequest::Wgpu),
        Engine::Reference,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Device(request) => request.name(),
            Engine::Reference => "reference",
        }
    }

    /// The usual relative KKT residual at which a problem is solved.
    pub fn tolerance(self) -> f64 {
        match self {
            Engine::Device(_) => 1e-6,
            Engine::Reference => 1e-12,
        }
    }

    /// The type of its numbers.
    fn dtype(self) -> Dtype {
        match self {
            Engine::Device(_) => Dtype::F32,
            Engine::Reference => Dtype::F64,
        }
    }
}

/// Mean and maximum over the problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    #[serde(serialize_with = "figure")]
    pub mean: f64,
    /// The largest.
    #[serde(serialize_with = "figure")]
    pub max: f64,
}

impl Spread {
    fn of(values: impl ExactSizeIterator<Item = f64> + Clone) -> Self {
        let count = values.len() as f64;
        Self {
            mean: values.clone().sum::<f64>() / count,
            max: values.fold(0.0, f64::max),
        }
    }
}

/// What is told of a solution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the kind of problem.
    pub kind: &'static str,
    /// Shapes of signals and dictionary by name.
    pub shapes: serde_json::Map<String, serde_json::Value>,
    /// Signals.
    pub problems: usize,
    /// Name of what computed.
    pub device: &'static str,
    /// Name of the solver.
    pub solver: &'static str,
    /// Relative KKT residual at which a problem is solved.
    pub tolerance: f64,
    /// Of the forward solves.
    pub iterations: Spread,
    /// Of the forward solves.
    pub kkt_residual: Spread,
    /// Share of the codes that are not 0.
    pub active: f64,
    /// Wall time.
    pub seconds: f64,
    /// The solution's file.
    pub out: String,
    /// The names in it.
    pub tensors: Vec<&'static str>,
    /// How far it is from the answers that the problem carries; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<BTreeMap<String, f64>>,
}

/// Solves that did not reach the tolerance.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsolved {
    /// What was solved, in words.
    pub what: &'static str,
    /// How many did not reach it.
    pub unsolved: usize,
    /// How many there were.
    pub of: usize,
    /// The largest residual.
    pub worst: f64,
}

/// A problem and what was found.
pub struct Solved {
    /// The problem.
    pub problem: Problem,
    /// The solution.
    pub solution: Solution,
    /// What computed.
    pub engine: Engine,
    /// With the problem's λ₂.
    pub options: SolverOptions,
    /// Wall time.
    pub seconds: f64,
}

/// Solves the problem that was read from `path`; `options` are without its λ₂. `open` opens the device of a request.
///
/// # Errors
/// [`StudyError::Problem`], [`StudyError::Solver`], [`StudyError::Codes`], [`StudyError::Gradients`], and those of `open`.
pub fn solve<E: From<StudyError>>(
    path: &Path,
    problem: Problem,
    engine: Engine,
    options: SolverOptions,
    open: impl FnOnce(DeviceRequest) -> Result<Device, E>,
) -> Result<Solved, E> {
    let options = SolverOptions {
        lambda2: problem.lambda2,
        ..options
    };
    let (solution, seconds) = match engine {
        Engine::Device(request) => {
            problem
                .check_f32()
                .map_err(|error| StudyError::of_problem(path, error))?;
            let device = open(request)?;
            let start = Instant::now();
            let solution = on_device(&problem, options, &device);
            (solution, start.elapsed().as_secs_f64())
        }
        Engine::Reference => {
            let start = Instant::now();
            let solution = by_reference(&problem, &options).map_err(|error| StudyError::Solver {
                path: path.to_path_buf(),
                error: Box::new(error),
            })?;
            (solution, start.elapsed().as_secs_f64())
        }
    };
    check_finite(path, &problem, &solution)?;
    Ok(Solved {
        problem,
        solution,
        engine,
        options,
        seconds,
    })
}

impl Solved {
    /// Writes the solution's file, and tells what is in it.
    ///
    /// # Errors
    /// [`StudyError::Write`].
    pub fn store(&self, out: &Path) -> Result<Report, StudyError> {
        let (bytes, tensors) = to_safetensors(&self.problem, &self.solution, self.engine.dtype());
        write_file(out, &bytes).map_err(|error| StudyError::Write {
            file: PathBuf::from(out),
            error,
        })?;
        let solves = &self.solution.solves;
        let active = self.solution.codes.iter().filter(|&&code| code > 0.0).count();
        let shapes = self.problem.shapes();
        Ok(Report {
            kind: self.problem.kind.name(),
            shapes: shapes
                .into_iter()
                .map(|(name, shape)| (name.to_owned(), shape.into()))
                .collect(),
            problems: solves.len(),
            device: self.engine.name(),
            solver: self.options.forward.method.name(),
            tolerance: self.options.forward.tolerance,
            iterations: Spread::of(solves.iter().map(|solve| solve.iterations as f64)),
            kkt_residual: Spread::of(solves.iter().map(|solve| solve.residual)),
            active: active as f64 / self.solution.codes.len() as f64,
            seconds: self.seconds,
            out: out.display().to_string(),
            tensors,
            differences: None,
        })
    }

    /// How far the solution is from the answers that the problem's file carries, see [`differences`].
    ///
    /// # Errors
    /// [`StudyError::Problem`] where it carries none.
    pub fn differences(&self, problem: &Path) -> Result<BTreeMap<String, f64>, StudyError> {
        let (bytes, _) = to_safetensors(&self.problem, &self.solution, self.engine.dtype());
        differences(problem, &bytes).map_err(|error| StudyError::of_problem(problem, error))
    }

    /// What did not reach the tolerance.
    pub fn unsolved(&self) -> Vec<Unsolved> {
        let gradients = self.solution.gradients.as_ref();
        let systems = gradients.map(|gradients| &gradients.systems[..]);
        let tolerance = self.options.forward.tolerance;
        let all = [
            ("problems", &self.solution.solves[..]),
            ("gradient systems", systems.unwrap_or_default()),
        ];
        let found = all.into_iter().map(|(what, solves)| {
            // A residual of NaN is not solved either.
            let unsolved = solves
                .iter()
                .map(|solve| solve.residual)
                .filter(|residual| residual.is_nan() || *residual > tolerance);
            Unsolved {
                what,
                unsolved: unsolved.clone().count(),
                of: solves.len(),
                worst: unsolved.fold(0.0, f64::max),
            }
        });
        found.filter(|found| found.unsolved > 0).collect()
    }
}

fn check_finite(path: &Path, problem: &Problem, solution: &Solution) -> Result<(), StudyError> {
    if !solution.codes.iter().all(|code| code.is_finite()) {
        return Err(StudyError::Codes(path.to_path_buf()));
    }
    let gradients = solution.gradients.as_ref();
    if gradients.is_some_and(|gradients| !gradients.are_finite()) {
        return Err(StudyError::Gradients {
            path: path.to_path_buf(),
            remedy: match problem.lambda2 == 0.0 {
                true => "set `lambda2` above 0",
                false => "set a larger `lambda2`",
            },
        });
    }
    Ok(())
}

/// By the reference solvers, in f64.
fn by_reference(problem: &Problem, options: &SolverOptions) -> Result<Solution, SolverError> {
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
            systems: found.info,
        }),
    })
}

/// By the kernels of a device, in f32.
fn on_device(problem: &Problem, options: SolverOptions, device: &Device) -> Solution {
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
            systems: solve_infos(found.solves, geometry.pixels()),
        }
    });
    Solution {
        codes: values(codes),
        solves: solve_infos(info.solves, geometry.pixels()),
        gradients,
    }
}

/// Of solves `[b, 2, h', w']`: for each image a plane of iterations and a plane of residuals, of so many `pixels`.
fn solve_infos(solves: Tensor<4>, pixels: usize) -> Vec<SolveInfo> {
    let planes = values(solves);
    let image = |planes: &[f64]| -> Vec<SolveInfo> {
        let (iterations, residuals) = planes.split_at(planes.len() / 2);
        let solve = |(&iterations, &residual): (&f64, &f64)| SolveInfo {
            iterations: iterations as usize,
            residual,
        };
        iterations.iter().zip(residuals).map(solve).collect()
    };
    planes.chunks(2 * pixels).flat_map(image).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
