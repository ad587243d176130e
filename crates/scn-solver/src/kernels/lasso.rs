//! The lasso of many signals with one dictionary: signed codes, where those of a sparse-coding layer are not negative.
//!
//! `min ½‖x − Dα‖² + Σ λⱼ|αⱼ|` (Bowren, eq. 1) by coordinate descent: each sweep sets one code after the other to its
//! minimiser, `αⱼ ← S(uⱼ, λⱼ/Qⱼⱼ)` with the soft threshold S (Friedman, Hastie & Tibshirani, J. Stat. Softw. 33(1), 2010,
//! eq. 5). Splitting codes into two non-negative parts would take four times the arithmetic, and a code that changes its
//! sign would creep by 2λ a sweep.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::product::{Packed, product};
use super::simd::{SimdLevel, TileTask, rows, rows_mut};
use super::solve::quadratic::Quadratic;
use super::solve::stopping::Stopping;
use super::solve::sweeps::{Halves, Rule, System};
use crate::{SolveInfo, SolverError, validation};

/// Signals of a group: a whole number of tiles at every SIMD level.
pub const GROUP: usize = 48;

/// Codes of groups of signals and what their solves report.
#[derive(Clone, Debug, PartialEq)]
pub struct LassoSolution {
    /// `[groups, n, GROUP]`.
    pub codes: Vec<f32>,
    /// The most sweeps of a tile, and the largest relative natural residual `‖α − S(α − ∇/L, λ/L)‖ / ‖α‖` of a signal.
    pub worst: SolveInfo,
}

/// Solves the lasso of every signal of `x [groups, m, GROUP]` with `weight [n, m]`, one atom a row, and `lambda [n]`.
///
/// A tile of signals stops when each of them has ρ ≤ tolerance, or at the cap. An atom whose squared norm is below the
/// normal range of f32 counts as zero: its code is 0.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in any argument, or where finite atoms overflow in `DᵀD`;
/// [`SolverError::Negative`] for λ or a tolerance below 0.
///
/// # Panics
/// Where the slices have not the lengths of their shapes.
pub fn lasso(
    x: &[f32],
    weight: &[f32],
    lambda: &[f32],
    tolerance: f64,
    max_iterations: usize,
    level: SimdLevel,
) -> Result<LassoSolution, SolverError> {
    let n = lambda.len();
    let m = weight.len().checked_div(n).unwrap_or(0);
    assert_eq!(weight.len(), n * m, "a weight [{n}, m]");
    assert!(
        x.len().is_multiple_of((m * GROUP).max(1)),
        "{} values are no groups of {GROUP} signals of {m}",
        x.len()
    );
    validation::finite("x", x)?;
    validation::finite_and_nonnegative("lambda", lambda)?;
    validation::finite_and_nonnegative("tolerance", &[tolerance])?;
    let groups = x.len().checked_div(m * GROUP).unwrap_or(0);
    let mut codes = vec![0.0; groups * n * GROUP];
    let none = SolveInfo {
        iterations: 0,
        residual: 0.0,
    };
    if codes.is_empty() {
        return Ok(LassoSolution { codes, worst: none });
    }
    let shape = level.shape();
    let quadratic = Quadratic::new(weight, n, m, 0.0, level)?;
    let system = System::new(&quadratic, shape);
    let problem = Problem {
        dictionary: Packed::new(n, m, shape.block, |j, i| weight[j * m + i] * system.scale(j)),
        thresholds: (0..system.atoms())
            .map(|j| lambda.get(j).map_or(0.0, |lambda| lambda * system.scale(j)))
            .collect(),
        inverse_lipschitz: 1.0 / quadratic.lipschitz()?,
        system,
        signal: m,
        atoms: n,
        tolerance: tolerance as f32,
        max_iterations,
    };
    let reports = x
        .par_chunks(m * GROUP)
        .zip(codes.par_chunks_mut(n * GROUP))
        .map(|(x, codes)| {
            let problem = &problem;
            level.run(Group { problem, x, codes })
        });
    // The largest of numbers, whatever the order in which they come.
    let worst = reports.reduce(
        || none,
        |a, b| SolveInfo {
            iterations: a.iterations.max(b.iterations),
            residual: a.residual.max(b.residual),
        },
    );
    Ok(LassoSolution { codes, worst })
}

struct Problem {
    /// D, its atoms divided by `Qⱼⱼ`.
    dictionary: Packed,
    system: System,
    /// `λⱼ/Qⱼⱼ`, padded to whole blocks.
    thresholds: Vec<f32>,
    inverse_lipschitz: f32,
    /// m.
    signal: usize,
    /// n.
    atoms: usize,
    tolerance: f32,
    max_iterations: usize,
}

/// The soft threshold of each row, and the natural residual that it makes.
#[derive(Clone, Copy)]
struct SoftThreshold<'a, const V: usize> {
    thresholds: &'a [f32],
    inverse_lipschitz: f32,
}

/// The nearest number to `value` from `−threshold` to `threshold`: what the soft threshold takes away.
#[inline(always)]
fn clamp<S: Simd>(simd: S, value: S::f32s, threshold: S::f32s) -> S::f32s {
    simd.max_f32s(simd.min_f32s(value, threshold), simd.neg_f32s(threshold))
}

impl<S: Simd, const V: usize> Rule<S> for SoftThreshold<'_, V> {
    #[inline(always)]
    fn project(self, simd: S, at: usize, u: S::f32s) -> S::f32s {
        simd.sub_f32s(u, clamp(simd, u, simd.splat_f32s(self.thresholds[at / V])))
    }

    #[inline(always)]
    fn residual(self, simd: S, at: usize, value: S::f32s, u: S::f32s, diagonal: f32) -> S::f32s {
        let step = diagonal * self.inverse_lipschitz;
        let gradient = simd.mul_f32s(simd.sub_f32s(value, u), simd.splat_f32s(step));
        let threshold = simd.splat_f32s(self.thresholds[at / V] * step);
        // Without the cancellation of value against what the threshold leaves of it.
        simd.add_f32s(gradient, clamp(simd, simd.sub_f32s(value, gradient), threshold))
    }
}

struct Group<'a> {
    problem: &'a Problem,
    x: &'a [f32],
    codes: &'a mut [f32],
}

impl TileTask for Group<'_> {
    type Output = SolveInfo;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> SolveInfo {
        let Self { problem, x, codes } = self;
        let width = V * S::F32_LANES;
        let padded = problem.system.atoms();
        let mut signals = Aligned::zeros(problem.signal * width);
        let [mut b, mut values] = [Aligned::zeros(padded * width), Aligned::zeros(padded * width)];
        let mut relative = Aligned::zeros(width);
        let mut halves = Halves::new(padded, width);
        let rule = SoftThreshold::<V> {
            thresholds: &problem.thresholds,
            inverse_lipschitz: problem.inverse_lipschitz,
        };
        let stopping = Stopping {
            tolerance: problem.tolerance,
            max_iterations: problem.max_iterations,
            reference: None,
        };
        let (mut iterations, mut residual) = (0, 0.0f32);
        for first in (0..GROUP).step_by(width) {
            for (target, row) in signals.chunks_exact_mut(width).zip(x.chunks_exact(GROUP)) {
                target.copy_from_slice(&row[first..first + width]);
            }
            let zero = [[simd.splat_f32s(0.0); V]; R];
            for (block, target) in rows_mut::<S, V>(&mut b).as_chunks_mut::<R>().0.iter_mut().enumerate() {
                *target = product(simd, problem.dictionary.block::<R>(block), rows::<S, V>(&signals), zero);
            }
            let (spent, norms) = halves.solve::<S, _, R, V>(simd, &problem.system, &b, &mut values, rule, &stopping);
            rows_mut::<S, V>(&mut relative)[0] = stopping.relative(simd, &norms);
            iterations = iterations.max(spent);
            residual = relative.iter().fold(residual, |largest, &value| largest.max(value));
            let stored = codes.chunks_exact_mut(GROUP).zip(values.chunks_exact(width));
            for (target, row) in stored.take(problem.atoms) {
                target[first..first + width].copy_from_slice(row);
            }
        }
        SolveInfo {
            iterations,
            residual: residual.into(),
        }
    }
}
