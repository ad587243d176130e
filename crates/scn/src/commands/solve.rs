//! `scn solve`: solves sparse-coding problems from a safetensors file, gradients included.

use std::path::PathBuf;
use std::process::ExitCode;

use scn_interop::problem::Problem;
use scn_solver::{BackwardOptions, ForwardOptions, Method, SolverOptions};
use scn_study::StudyError;
use scn_study::solve::{Engine, Report, Solved, Unsolved, solve};

use crate::arguments::one_of;
use crate::exit::Usage;
use crate::output::{check_target, print, print_json};
use crate::stderr::say;
use crate::{device, log};

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
    #[arg(long, value_parser = one_of(Engine::ALL, Engine::name), default_value = "cpu")]
    device: Engine,
    /// The solver
    #[arg(long, value_parser = one_of(Method::ALL, Method::name), default_value = "coordinate-descent")]
    solver: Method,
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

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    let options = options(&args)?;
    check_target(&args.out, &args.problem, "problem")?;
    let problem = Problem::read(&args.problem).map_err(|error| StudyError::of_problem(&args.problem, error))?;
    for name in &problem.unknown {
        say!(
            "warning: {}: `{name}` means nothing in this kind of problem and is ignored",
            args.problem.display()
        );
    }
    let open = |request| device::open(request, args.threads);
    let solved = solve(&args.problem, problem, args.device, options, open)?;
    for unsolved in solved.unsolved() {
        say!("{}", warning(&args, &solved, &unsolved));
    }
    let mut report = solved.store(&args.out)?;
    if args.expect.is_some() {
        report.differences = Some(solved.differences(&args.problem)?);
    }
    if args.json {
        print_json(&report)?;
    } else {
        let shapes = solved.problem.shapes();
        let shapes = shapes.map(|(name, shape)| format!("{name} {shape:?}")).join(", ");
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

/// The options of the command line, without λ₂.
fn options(args: &Args) -> Result<SolverOptions, Usage> {
    let default = args.device.tolerance();
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
            method: args.solver,
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

/// Says what did not reach the tolerance.
fn warning(args: &Args, solved: &Solved, found: &Unsolved) -> String {
    let Unsolved {
        what,
        unsolved,
        of,
        worst,
    } = found;
    let remedy = match solved.engine {
        Engine::Reference => "raise --max-iterations or --tolerance",
        Engine::Device(_) => "raise --max-iterations or --tolerance, or use --device reference, which computes in f64",
    };
    format!(
        "warning: {}: {unsolved} of {of} {what} stopped at a relative residual of up to {worst:.1e}, above the tolerance \
         {:e}: {remedy}",
        args.problem.display(),
        solved.options.forward.tolerance
    )
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
