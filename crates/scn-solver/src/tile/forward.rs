//! The forward solve of a layer: codes and their certificate.

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::fista::Momentum;
use super::gauss_seidel::{NonNegative, Norms, residual, sweep};
use super::layout::{Padded, Tile, group_images};
use super::operator::Operator;
use super::product::{Packed, product};
use super::simd::{SimdLevel, TileTask, mul_add, rows, rows_mut};
use super::stopping::Stopping;
use crate::profile::{Part, Stopwatch};
use crate::{ConvGeometry, ForwardOptions, Method, SolverOptions};

/// Codes of a batch and what their solves report.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// `[b, n, h', w']`.
    pub codes: Vec<f32>,
    /// `[b, 2, h', w']`: iterations, and the relative natural residual ρ.
    pub solves: Vec<f32>,
    /// `[b, n]`: at how many pixels of each image an atom is active.
    pub active: Vec<f32>,
}

/// Solves the non-negative elastic net (SCN eq. 1) at every output pixel.
///
/// `x [b, c, h, w]`, `weight [n, c, k, k]`, `lambda1 [n]`. A tile stops when each of its pixels has ρ ≤ tolerance, or
/// at the cap. A pixel whose patch or problem is not finite gets NaN codes and residual after 0 iterations.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn forward(
    geometry: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    lambda1: &[f32],
    options: &SolverOptions,
    level: SimdLevel,
) -> Solution {
    let (n, m, pixels) = (geometry.atoms, geometry.patch(), geometry.pixels());
    let image = geometry.channels * geometry.height * geometry.width;
    assert_eq!(
        x.len(),
        geometry.batch * image,
        "values of x (left) are not those of {geometry:?}"
    );
    assert_eq!(
        weight.len(),
        n * m,
        "values of weight (left) are not those of {geometry:?}"
    );
    assert_eq!(
        lambda1.len(),
        n,
        "values of lambda1 (left) are not those of {geometry:?}"
    );
    let mut solution = Solution {
        codes: vec![0.0; geometry.batch * n * pixels],
        solves: vec![0.0; geometry.batch * 2 * pixels],
        active: vec![0.0; geometry.batch * n],
    };
    // Without atoms, patches or pixels the codes are empty or zero.
    if solution.codes.is_empty() || image == 0 {
        return solution;
    }
    let mut stopwatch = Stopwatch::start();
    let operator = Operator::new(weight, n, m, options.lambda2 as f32, level);
    stopwatch.lap_all(Part::Solver);
    let dictionary = Packed::new(n, m, level.block(), |j, i| weight[j * m + i]);
    stopwatch.lap_all(Part::Convolution);
    let layer = Layer {
        geometry,
        operator,
        dictionary,
        lambda1,
        options: options.forward,
    };
    let images = group_images(geometry, level.tile());
    x.par_chunks(images * image)
        .zip(solution.codes.par_chunks_mut(images * n * pixels))
        .zip(solution.solves.par_chunks_mut(images * 2 * pixels))
        .zip(solution.active.par_chunks_mut(images * n))
        .for_each(|(((x, codes), solves), active)| {
            level.run(Group {
                layer: &layer,
                x,
                codes,
                solves,
                active,
            })
        });
    solution
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    operator: Operator,
    dictionary: Packed,
    lambda1: &'a [f32],
    options: ForwardOptions,
}

/// Some images of the batch and their part of the solution.
struct Group<'a> {
    layer: &'a Layer<'a>,
    x: &'a [f32],
    codes: &'a mut [f32],
    solves: &'a mut [f32],
    active: &'a mut [f32],
}

impl TileTask for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Self {
            layer,
            x,
            codes,
            solves,
            active,
        } = self;
        let mut stopwatch = Stopwatch::start();
        let width = V * S::F32_LANES;
        let (n, pixels) = (layer.geometry.atoms, layer.geometry.pixels());
        let images = codes.len() / (n * pixels);
        let padded = Padded::from_images(layer.geometry, x);
        let mut tile = Tile::new(layer.geometry, width);
        let mut scratch = Scratch::new(layer, tile.patches(layer.geometry.patch()), width);
        for first in (0..images * pixels).step_by(width) {
            tile.place(first, images);
            tile.pack(&padded, &mut scratch.patches);
            scratch.correlate::<S, R, V>(simd, layer);
            stopwatch.lap(
                Part::Convolution,
                2 * (n * layer.geometry.patch() * tile.pixels()) as u64,
            );
            scratch.solve::<S, R, V>(simd, layer, tile.pixels());
            tile.store(&scratch.codes, n, codes);
            tile.store(&scratch.report, 2, solves);
            tile.count_active(&scratch.codes, n, active);
            stopwatch.lap(Part::Solver, scratch.half_products * (n * n * tile.pixels()) as u64);
        }
    }
}

/// What one tile needs, allocated once a group. Rows are `[pixels of the tile]`.
struct Scratch {
    patches: Aligned,
    /// `b = Dᵀx − λ₁`.
    b: Aligned,
    codes: Aligned,
    /// Iterations and ρ.
    report: Aligned,
    /// 0 where a pixel's b is finite, else NaN.
    defect: Aligned,
    momentum: Option<Momentum>,
    stopping: Stopping,
    /// Products of Q and the codes in the last solve, in halves: a first sweep from zero is one half.
    half_products: u64,
}

impl Scratch {
    fn new(layer: &Layer, patches: Aligned, width: usize) -> Self {
        let atoms = layer.operator.diagonal.len();
        Self {
            patches,
            b: Aligned::zeros(atoms * width),
            codes: Aligned::zeros(atoms * width),
            report: Aligned::zeros(2 * width),
            defect: Aligned::zeros(width),
            momentum: (layer.options.method != Method::CoordinateDescent).then(|| Momentum::new(atoms, width)),
            stopping: Stopping::new(layer.options.tolerance, width),
            half_products: 0,
        }
    }

    /// `b = Dᵀx − λ₁` of the tile's patches.
    #[inline(always)]
    fn correlate<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer) {
        let zero = simd.splat_f32s(0.0);
        let mut defect = [zero; V];
        let patches = rows::<S, V>(&self.patches);
        let patches = &patches[..layer.geometry.patch()];
        let b = rows_mut::<S, V>(&mut self.b);
        for (i, b) in b.chunks_exact_mut(R).enumerate() {
            let acc = std::array::from_fn(|r| {
                [simd.splat_f32s(layer.lambda1.get(i * R + r).map_or(0.0, |&lambda1| -lambda1)); V]
            });
            let acc = product(simd, layer.dictionary.block::<R>(i), patches, acc);
            for r in 0..R {
                b[r] = acc[r];
                for v in 0..V {
                    // Zero times infinity or NaN is NaN.
                    defect[v] = mul_add(simd, acc[r][v], zero, defect[v]);
                }
            }
        }
        rows_mut::<S, V>(&mut self.defect)[0] = defect;
    }

    /// Solves the tile's first `pixels` problems.
    #[inline(always)]
    fn solve<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer, pixels: usize) {
        let width = V * S::F32_LANES;
        let defective = self.defect[..pixels].iter().filter(|v| v.is_nan()).count();
        let mut iterations = 0;
        self.half_products = 0;
        self.codes.fill(0.0);
        self.stopping.reset(pixels);
        if defective < pixels {
            self.neutralize(width, defective);
            iterations = self.iterate::<S, R, V>(simd, layer);
        }
        let (spent, residuals) = self.report.split_at_mut(width);
        for p in 0..pixels {
            let defect = self.defect[p];
            spent[p] = if defect.is_nan() { 0.0 } else { iterations as f32 };
            residuals[p] = if defect.is_nan() {
                defect
            } else {
                self.stopping.relative(p)
            };
        }
        if defective > 0 {
            for (codes, _) in self.codes.chunks_exact_mut(width).zip(layer.lambda1) {
                codes
                    .iter_mut()
                    .zip(self.defect.iter())
                    .for_each(|(code, defect)| *code += defect);
            }
        }
    }

    /// Gives defective pixels a problem whose solution is 0, so that they do not hold up their tile.
    fn neutralize(&mut self, width: usize, defective: usize) {
        if defective > 0 {
            for b in self.b.chunks_exact_mut(width) {
                b.iter_mut()
                    .zip(self.defect.iter())
                    .filter(|(_, defect)| defect.is_nan())
                    .for_each(|(b, _)| *b = -1.0);
            }
        }
    }

    /// Iterates until every pixel's ρ is at most the tolerance; returns the iterations.
    #[inline(always)]
    fn iterate<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer) -> usize {
        let Self {
            b,
            codes,
            momentum,
            stopping,
            half_products,
            ..
        } = self;
        let operator = &layer.operator;
        let rule = NonNegative {
            inverse_lipschitz: 1.0 / operator.lipschitz,
        };
        if let Some(momentum) = momentum {
            momentum.reset();
        }
        let restart = layer.options.method == Method::FistaRestart;
        for iteration in 0..layer.options.max_iterations {
            *half_products += if momentum.is_none() && iteration == 0 { 1 } else { 2 };
            let norms: Norms<S, V> = match momentum {
                None => sweep::<S, _, R, V>(simd, operator, b, codes, rule, iteration == 0),
                Some(momentum) => momentum.step::<S, R, V>(simd, operator, b, codes, restart),
            };
            if stopping.promises(&norms, None) {
                *half_products += 2;
                if stopping.confirms(&residual::<S, _, R, V>(simd, operator, b, codes, rule), None) {
                    return iteration + 1;
                }
            }
        }
        *half_products += 2;
        stopping.confirms(&residual::<S, _, R, V>(simd, operator, b, codes, rule), None);
        layer.options.max_iterations
    }
}
