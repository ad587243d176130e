//! The implicit gradient of a layer: one masked solve per pixel and three products.
//!
//! With `Q_ΛΛ γ_Λ = g_Λ`: `∂L/∂x = Dγ`, `∂L/∂D = Σ xγᵀ − D Σ (γαᵀ + αγᵀ)`, `∂L/∂λ₁ = −Σ γ`, `∂L/∂λ₂ = −Σ αᵀγ`
//! (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix B).

use pulp::Simd;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::gauss_seidel::{Masked, Norms, residual, sweep};
use super::layout::{Padded, Tile, group_images};
use super::operator::Operator;
use super::product::{Packed, outer_product, product};
use super::simd::{SimdLevel, TileTask, mul_add, rows, rows_mut};
use super::stopping::Stopping;
use crate::profile::{Part, Stopwatch};
use crate::{BackwardOptions, ConvGeometry, SolverOptions};

/// At most this many partial sums over the batch exist at once; they are added in order.
const PARTIAL_SUMS: usize = 32;

/// Gradients of a loss with respect to everything the codes depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// `[b, c, h, w]`.
    pub x: Vec<f32>,
    /// `[n, c, k, k]`.
    pub weight: Vec<f32>,
    /// `[n]`.
    pub lambda1: Vec<f32>,
    /// Of the scalar λ₂.
    pub lambda2: f32,
}

/// The vector-Jacobian product of [`super::forward`] at its solution.
///
/// `x [b, c, h, w]`, `weight [n, c, k, k]`, `codes` and `grad_codes` `[b, n, h', w']`.
///
/// # Panics
/// Where a slice has not the length that the geometry says.
pub fn backward(
    geometry: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    codes: &[f32],
    grad_codes: &[f32],
    options: &SolverOptions,
    level: SimdLevel,
) -> Gradients {
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
        codes.len(),
        geometry.batch * n * pixels,
        "values of codes (left) are not those of {geometry:?}"
    );
    assert_eq!(
        grad_codes.len(),
        codes.len(),
        "values of grad_codes (left) are not those of {geometry:?}"
    );
    let mut gradients = Gradients {
        x: vec![0.0; x.len()],
        weight: vec![0.0; weight.len()],
        lambda1: vec![0.0; n],
        lambda2: 0.0,
    };
    if codes.is_empty() || image == 0 {
        return gradients;
    }
    let diagonal = (options.lambda2 + options.backward.ridge) as f32;
    let mut stopwatch = Stopwatch::start();
    let operator = Operator::new(weight, n, m, diagonal, level);
    stopwatch.lap_all(Part::Solver);
    let transposed = Packed::new(m, n, level.block(), |i, j| weight[j * m + i]);
    stopwatch.lap_all(Part::Convolution);
    let layer = Layer {
        geometry,
        operator,
        transposed,
        options: options.backward,
    };
    let group = group_images(geometry, level.tile());
    let images = geometry.batch.div_ceil(group).div_ceil(PARTIAL_SUMS) * group;
    let partial: Vec<Sums> = x
        .par_chunks(images * image)
        .zip(codes.par_chunks(images * n * pixels))
        .zip(grad_codes.par_chunks(images * n * pixels))
        .zip(gradients.x.par_chunks_mut(images * image))
        .map(|(((x, codes), grad_codes), grad_x)| {
            level.run(Groups {
                layer: &layer,
                images: group,
                x,
                codes,
                grad_codes,
                grad_x,
            })
        })
        .collect();
    stopwatch.skip();
    let sums = partial
        .into_iter()
        .reduce(Sums::add)
        .unwrap_or_else(|| panic!("a batch without groups has no codes"));
    gradients.lambda1.copy_from_slice(&sums.lambda1[..n]);
    gradients.lambda2 = -(0..n).map(|j| sums.codes_gamma[j * sums.width + j]).sum::<f32>();
    gradients
        .weight
        .par_chunks_exact_mut(m)
        .enumerate()
        .for_each(|(j, grad)| {
            for (i, grad) in grad.iter_mut().enumerate() {
                *grad = sums.patches_gamma[i * sums.width + j];
            }
            for (k, atom) in weight.chunks_exact(m).enumerate() {
                let coupling = sums.codes_gamma[k * sums.width + j] + sums.codes_gamma[j * sums.width + k];
                grad.iter_mut()
                    .zip(atom)
                    .for_each(|(grad, atom)| *grad -= coupling * atom);
            }
        });
    stopwatch.lap_all(Part::Convolution);
    gradients
}

struct Layer<'a> {
    geometry: &'a ConvGeometry,
    operator: Operator,
    /// D, of `m` rows.
    transposed: Packed,
    options: BackwardOptions,
}

/// Sums over pixels, with the atoms of γ padded to `width` columns.
struct Sums {
    width: usize,
    /// `Σ xγᵀ`, `[m, width]`.
    patches_gamma: Aligned,
    /// `Σ αγᵀ`, `[n, width]`.
    codes_gamma: Aligned,
    /// `−Σ γ`.
    lambda1: Vec<f32>,
}

impl Sums {
    fn add(mut self, other: Self) -> Self {
        let pairs = [
            (&mut self.patches_gamma[..], &other.patches_gamma[..]),
            (&mut self.codes_gamma[..], &other.codes_gamma[..]),
            (&mut self.lambda1[..], &other.lambda1[..]),
        ];
        for (sum, other) in pairs {
            sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        }
        self
    }
}

/// Consecutive groups of images that share one partial sum.
struct Groups<'a> {
    layer: &'a Layer<'a>,
    /// Images per group.
    images: usize,
    x: &'a [f32],
    codes: &'a [f32],
    grad_codes: &'a [f32],
    grad_x: &'a mut [f32],
}

impl TileTask for Groups<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> Sums {
        let geometry = self.layer.geometry;
        let (n, pixels) = (geometry.atoms, geometry.pixels());
        let image = geometry.channels * geometry.height * geometry.width;
        let width = V * S::F32_LANES;
        let mut stopwatch = Stopwatch::start();
        let mut tile = Tile::new(geometry, width);
        let mut scratch = Scratch::new::<S, R>(self.layer, &tile, width);
        let groups = self
            .x
            .chunks(self.images * image)
            .zip(self.grad_x.chunks_mut(self.images * image));
        let codes = self
            .codes
            .chunks(self.images * n * pixels)
            .zip(self.grad_codes.chunks(self.images * n * pixels));
        for ((x, grad_x), (codes, grad_codes)) in groups.zip(codes) {
            let images = x.len() / image;
            let padded = Padded::from_images(geometry, x);
            let mut padded_grad = Padded::zeros(geometry, images);
            stopwatch.lap(Part::Convolution, 0);
            for first in (0..images * pixels).step_by(width) {
                tile.place(first, images);
                tile.load(codes, n, &mut scratch.codes);
                tile.load(grad_codes, n, &mut scratch.rhs);
                scratch.solve::<S, R, V>(simd, self.layer, tile.pixels());
                stopwatch.lap(Part::Solver, scratch.half_products * (n * n * tile.pixels()) as u64);
                tile.pack(&padded, &mut scratch.patches);
                scratch.accumulate::<S, R, V>(simd);
                scratch.expand::<S, R, V>(simd, self.layer);
                tile.fold(&scratch.patches, &mut padded_grad);
                let products = 2 * n * geometry.patch() + n * n;
                stopwatch.lap(Part::Convolution, 2 * (products * tile.pixels()) as u64);
            }
            padded_grad.write_images(geometry, grad_x);
            stopwatch.lap(Part::Convolution, 0);
        }
        scratch.sums
    }
}

/// What one tile needs, allocated once a task. Rows are `[pixels of the tile]`.
struct Scratch {
    codes: Aligned,
    mask: Aligned,
    /// `g_Λ`.
    rhs: Aligned,
    gamma: Aligned,
    /// `[pixels of the tile][width]`.
    gamma_transposed: Aligned,
    /// First the patches, then the gradient that reaches them.
    patches: Aligned,
    norm: Aligned,
    stopping: Stopping,
    /// Products of Q and γ in the last solve, in halves: a first sweep from zero is one half.
    half_products: u64,
    sums: Sums,
}

impl Scratch {
    fn new<S: Simd, const R: usize>(layer: &Layer, tile: &Tile, width: usize) -> Self {
        let atoms = layer.operator.diagonal.len();
        let rows = layer.geometry.patch().div_ceil(R) * R;
        let columns = atoms.div_ceil(S::F32_LANES) * S::F32_LANES;
        Self {
            codes: Aligned::zeros(atoms * width),
            mask: Aligned::zeros(atoms * width),
            rhs: Aligned::zeros(atoms * width),
            gamma: Aligned::zeros(atoms * width),
            gamma_transposed: Aligned::zeros(width * columns),
            patches: tile.patches(rows),
            norm: Aligned::zeros(width),
            stopping: Stopping::new(layer.options.tolerance, width),
            half_products: 0,
            sums: Sums {
                width: columns,
                patches_gamma: Aligned::zeros(rows * columns),
                codes_gamma: Aligned::zeros(atoms * columns),
                lambda1: vec![0.0; atoms],
            },
        }
    }

    /// `(Q_ΛΛ + ridge·I) γ_Λ = g_Λ` for the tile's first `pixels` pixels; γ is 0 in idle lanes.
    #[inline(always)]
    fn solve<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer, pixels: usize) {
        let zero = simd.splat_f32s(0.0);
        let one = simd.splat_f32s(1.0);
        let mut norm = [zero; V];
        let rhs = rows_mut::<S, V>(&mut self.rhs);
        let mask = rows_mut::<S, V>(&mut self.mask);
        for ((rhs, mask), codes) in rhs.iter_mut().zip(mask.iter_mut()).zip(rows::<S, V>(&self.codes)) {
            for v in 0..V {
                mask[v] = simd.select_f32s(simd.greater_than_f32s(codes[v], zero), one, zero);
                rhs[v] = simd.mul_f32s(rhs[v], mask[v]);
                norm[v] = mul_add(simd, rhs[v], rhs[v], norm[v]);
            }
        }
        rows_mut::<S, V>(&mut self.norm)[0] = norm;
        self.half_products = 0;
        self.gamma.fill(0.0);
        self.stopping.reset(pixels);
        let (operator, fixed) = (&layer.operator, Some(&self.norm[..]));
        let rule = Masked {
            mask: rows::<S, V>(&self.mask),
        };
        for iteration in 0..layer.options.max_iterations {
            let norms: Norms<S, V> =
                sweep::<S, _, R, V>(simd, operator, &self.rhs, &mut self.gamma, rule, iteration == 0);
            self.half_products += if iteration == 0 { 1 } else { 2 };
            if self.stopping.promises(&norms, fixed) {
                self.half_products += 2;
                let residual = residual::<S, _, R, V>(simd, operator, &self.rhs, &self.gamma, rule);
                if self.stopping.confirms(&residual, fixed) {
                    break;
                }
            }
        }
    }

    /// Adds the tile to the sums over pixels.
    #[inline(always)]
    fn accumulate<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let pixels = V * S::F32_LANES;
        let Sums {
            width,
            patches_gamma,
            codes_gamma,
            lambda1,
        } = &mut self.sums;
        for (j, (gamma, sum)) in self.gamma.chunks_exact(pixels).zip(lambda1).enumerate() {
            for (p, &gamma) in gamma.iter().enumerate() {
                self.gamma_transposed[p * *width + j] = gamma;
            }
            let total = rows::<S, V>(gamma)[0]
                .into_iter()
                .fold(simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b));
            *sum -= simd.reduce_sum_f32s(total);
        }
        outer_product::<S, R>(
            simd,
            &self.patches,
            &self.gamma_transposed,
            patches_gamma,
            pixels,
            *width,
        );
        outer_product::<S, R>(simd, &self.codes, &self.gamma_transposed, codes_gamma, pixels, *width);
    }

    /// Replaces the patches by `Dγ`, the gradient that reaches them.
    #[inline(always)]
    fn expand<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, layer: &Layer) {
        let gamma = &rows::<S, V>(&self.gamma)[..layer.geometry.atoms];
        for (i, patches) in rows_mut::<S, V>(&mut self.patches).chunks_exact_mut(R).enumerate() {
            let zero = [[simd.splat_f32s(0.0); V]; R];
            patches.copy_from_slice(&product(simd, layer.transposed.block::<R>(i), gamma, zero));
        }
    }
}
