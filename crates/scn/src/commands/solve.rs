//! `scn solve`: solves sparse-coding problems from a safetensors file, gradients included.

mod expected;
mod problem;
mod solution;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use safetensors::Dtype;
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolveInfo, SolverOptions};
use scn_train::{DeviceChoice, write_file};
use serde::Serialize;

use self::problem::Problem;
use self::solution::Solution;
use super::eval::SolverName;
use crate::exit::{BadInput, Usage};
use crate::output::{check_target, print, print_json};
use crate::{device, log};

/// The tolerance where none is given, in f32 and in f64.
const TOLERANCE: f64 = 1e-6;
const REFERENCE_TOLERANCE: f64 = 1e-12;
/// Largest cap on iterations that is allowed.
const MAX_ITERATIONS: usize = 1_000_000;

/// Solve sparse-coding problems from a file, gradients included
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn solve problem.safetensors --out solution.safetensors
  scn solve problem.safetensors --out exact.safetensors --device reference
  scn solve problem.safetensors --out solution.safetensors --solver fista --tolerance 1e-5 --json
  scn solve fixture.safetensors --out solution.safetensors --device wgpu --expect 1e-4

A problem is a safetensors file of F32 or F64 tensors, of one of two kinds:
  elastic-net  D [m, n], X [p, m], lambda1 [1] or [n], lambda2 [1], and optionally grad_codes [p, n]
  conv-layer   x [b, c, h, w], weight [n, c, k, k], lambda1 [1] or [n], lambda2 [1], and optionally
               stride [1] (1 where it is absent) and grad_codes [b, n, h', w']

The solution holds codes, kkt_residual and iterations, of elastic nets objective, and where
grad_codes is given grad_X and grad_D, or grad_x and grad_weight, and grad_lambda1 and
grad_lambda2. It is computed and stored in F32, by the reference in F64. A file that --out names
is replaced.

A problem may carry its known answer, tensors named as those of the solution. With --expect these are
compared: of the codes the largest difference relative to the largest code, of everything else the
norm of the difference relative to the norm. The exit code is 1 where one is larger than BOUND.")]
pub(crate) struct Args {
    /// The problem, a safetensors file
    problem: PathBuf,
    /// Where the solution is written
    #[arg(long, value_name = "SOLUTION")]
    out: PathBuf,
    /// The kernels of a device, or the plain solvers in f64
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
    /// The solver
    #[arg(long, value_enum, default_value = "coordinate-descent")]
    solver: SolverName,
    /// Relative KKT residual at which a problem is solved [default: 1e-6, of the reference 1e-12]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Cap on iterations or sweeps, forward and backward
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_iterations: usize,
    /// Compare the solution with the answers that the problem carries, and fail beyond this difference
    #[arg(long, value_name = "BOUND")]
    expect: Option<f64>,
    /// Threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What computes, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    Cpu,
    Wgpu,
    Reference,
}

impl DeviceName {
    fn name(self) -> &'static str {
        match self {
            DeviceName::Cpu => "cpu",
            DeviceName::Wgpu => "wgpu",
            DeviceName::Reference => "reference",
        }
    }
}

/// Mean and maximum over the problems.
#[derive(Serialize)]
struct Spread {
    mean: f64,
    max: f64,
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

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    kind: &'static str,
    shapes: serde_json::Map<String, serde_json::Value>,
    problems: usize,
    device: &'static str,
    solver: &'static str,
    tolerance: f64,
    iterations: Spread,
    kkt_residual: Spread,
    /// Share of the codes that are not 0.
    active: f64,
    seconds: f64,
    out: String,
    tensors: Vec<&'static str>,
    /// From the answers that the problem carries; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<BTreeMap<String, f64>>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    let options = options(&args)?;
    check_target(&args.out, &args.problem, "problem")?;
    let problem = Problem::read(&args.problem)?;
    for name in &problem.unknown {
        eprintln!(
            "warning: {}: `{name}` means nothing in this kind of problem and is ignored",
            args.problem.display()
        );
    }
    let options = SolverOptions {
        lambda2: problem.lambda2,
        ..options
    };
    let (solution, seconds) = solve(&args, &problem, options)?;
    check_finite(&args.problem, &problem, &solution)?;
    warn_unsolved(&args, options.forward.tolerance, &solution);

    let dtype = if args.device == DeviceName::Reference {
        Dtype::F64
    } else {
        Dtype::F32
    };
    let (bytes, tensors) = solution::to_safetensors(&problem, &solution, dtype)?;
    write_file(&args.out, &bytes).with_context(|| format!("cannot write {}", args.out.display()))?;

    let differences = args.expect.map(|_| compare(&args.problem, &bytes)).transpose()?;

    let solves = &solution.solves;
    let active = solution.codes.iter().filter(|&&code| code > 0.0).count();
    let report = Report {
        kind: problem.kind.name(),
        shapes: problem
            .shapes()
            .into_iter()
            .map(|(name, shape)| (name.to_owned(), shape.into()))
            .collect(),
        problems: solves.len(),
        device: args.device.name(),
        solver: options.forward.method.name(),
        tolerance: options.forward.tolerance,
        iterations: Spread::of(solves.iter().map(|solve| solve.iterations as f64)),
        kkt_residual: Spread::of(solves.iter().map(|solve| solve.residual)),
        active: active as f64 / solution.codes.len() as f64,
        seconds,
        out: args.out.display().to_string(),
        tensors,
        differences,
    };
    if args.json {
        print_json(&report)?;
    } else {
        let shapes = problem
            .shapes()
            .map(|(name, shape)| format!("{name} {shape:?}"))
            .join(", ");
        print(&describe(&report, &shapes))?;
    }
    for (name, difference) in report.differences.iter().flatten() {
        // A difference of NaN is none that was expected.
        let too_far = |bound: &f64| difference.is_nan() || difference > bound;
        if let Some(bound) = args.expect.filter(too_far) {
            anyhow::bail!(
                "{}: `{name}` is {difference:.1e} from the answer in the problem, more than the {bound:e} of --expect",
                args.problem.display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The differences from the answers in the problem's file of a solution, given as a file's bytes.
fn compare(problem: &Path, solution: &[u8]) -> Result<BTreeMap<String, f64>, BadInput> {
    let fail = |message: String| BadInput(format!("{}: {message}", problem.display()));
    let bytes = std::fs::read(problem).map_err(|error| fail(format!("cannot read the problem: {error}")))?;
    expected::differences(&bytes, solution).map_err(fail)
}

/// The options of the command line, without λ₂.
fn options(args: &Args) -> Result<SolverOptions, Usage> {
    let default = if args.device == DeviceName::Reference {
        REFERENCE_TOLERANCE
    } else {
        TOLERANCE
    };
    let tolerance = args.tolerance.unwrap_or(default);
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(Usage(format!(
            "--tolerance is {tolerance}: expected a finite number above 0, such as {default:e}"
        )));
    }
    let max_iterations = args.max_iterations;
    if !(1..=MAX_ITERATIONS).contains(&max_iterations) {
        return Err(Usage(format!(
            "--max-iterations is {max_iterations}: expected 1 to {MAX_ITERATIONS}"
        )));
    }
    if let Some(bound) = args.expect.filter(|bound| !(*bound >= 0.0 && bound.is_finite())) {
        return Err(Usage(format!(
            "--expect is {bound}: expected a finite number of at least 0, such as 1e-4"
        )));
    }
    Ok(SolverOptions {
        lambda2: 0.0,
        forward: ForwardOptions {
            method: Method::from(args.solver),
            tolerance,
            max_iterations,
        },
        backward: BackwardOptions {
            ridge: 0.0,
            tolerance,
            max_iterations,
        },
    })
}

/// Refuses, before anything is computed, to write where a file cannot be or over the problem.
/// The solution and the seconds that it took.
fn solve(args: &Args, problem: &Problem, options: SolverOptions) -> anyhow::Result<(Solution, f64)> {
    let choice = match args.device {
        DeviceName::Cpu => DeviceChoice::Cpu,
        DeviceName::Wgpu => DeviceChoice::Wgpu,
        DeviceName::Reference => {
            let start = Instant::now();
            let solution = solution::by_reference(problem, &options)
                .map_err(|error| BadInput(format!("{}: {error}: scale the problem down", args.problem.display())))?;
            return Ok((solution, start.elapsed().as_secs_f64()));
        }
    };
    problem.check_f32(&args.problem)?;
    let device = device::open(choice, args.threads)?;
    let start = Instant::now();
    let solution = solution::on_device(problem, options, &device);
    Ok((solution, start.elapsed().as_secs_f64()))
}

fn check_finite(path: &Path, problem: &Problem, solution: &Solution) -> Result<(), BadInput> {
    if !solution.codes.iter().all(|code| code.is_finite()) {
        let message = "the codes overflow: scale the problem down, or use --device reference, which computes in f64";
        return Err(BadInput(format!("{}: {message}", path.display())));
    }
    if solution
        .gradients
        .as_ref()
        .is_some_and(|gradients| !gradients.are_finite())
    {
        let remedy = if problem.lambda2 == 0.0 {
            "set `lambda2` above 0"
        } else {
            "set a larger `lambda2`"
        };
        let message = "the gradients overflow, as where the active atoms are linearly dependent";
        return Err(BadInput(format!(
            "{}: {message}: {remedy}, or leave `grad_codes` out",
            path.display()
        )));
    }
    Ok(())
}

/// Says on standard error what did not reach the tolerance.
fn warn_unsolved(args: &Args, tolerance: f64, solution: &Solution) {
    let systems = solution
        .gradients
        .as_ref()
        .and_then(|gradients| gradients.systems.as_deref());
    for (what, solves) in [
        ("problems", &solution.solves[..]),
        ("gradient systems", systems.unwrap_or_default()),
    ] {
        // A residual of NaN is not solved either.
        let unsolved: Vec<&SolveInfo> = solves
            .iter()
            .filter(|solve| solve.residual.is_nan() || solve.residual > tolerance)
            .collect();
        if unsolved.is_empty() {
            continue;
        }
        let worst = unsolved.iter().map(|solve| solve.residual).fold(0.0, f64::max);
        let remedy = match args.device {
            DeviceName::Reference => "raise --max-iterations or --tolerance",
            _ => "raise --max-iterations or --tolerance, or use --device reference, which computes in f64",
        };
        eprintln!(
            "warning: {}: {} of {} {what} stopped at a relative residual of up to {worst:.1e}, above the tolerance \
             {tolerance:e}: {remedy}",
            args.problem.display(),
            unsolved.len(),
            solves.len(),
        );
    }
}

fn describe(report: &Report, shapes: &str) -> String {
    let Report {
        kind,
        problems,
        device,
        solver,
        tolerance,
        iterations,
        kkt_residual,
        ..
    } = report;
    format!(
        "problem     {kind}, {shapes}: {problems} to solve\n\
         solver      {solver} on {device} to {tolerance:e}\n\
         iterations  mean {:.1}, max {}\n\
         residual    mean {:.1e}, max {:.1e}\n\
         active      {:.1} %\n\
         seconds     {:.4}\n\
         solution    {}: {}\n{}",
        iterations.mean,
        iterations.max,
        kkt_residual.mean,
        kkt_residual.max,
        100.0 * report.active,
        report.seconds,
        report.out,
        report.tensors.join(", "),
        report.differences.as_ref().map_or_else(String::new, |differences| {
            let each = differences.iter().map(|(name, value)| format!("{name} {value:.1e}"));
            format!("difference  {}\n", each.collect::<Vec<_>>().join(", "))
        })
    )
}
