//! FISTA on a tile of pixels (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A), with gradient restart per pixel
//! (O'Donoghue & Candès, 2015) as an option.
//!
//! With `p(α) = b/L + (I − Q/L)α`, a step from γ is `α⁺ = max(0, p(γ))`. As p is affine, `p(γ) = p(α) + w(p(α) − p(α₋))`
//! for `γ = α + w(α − α₋)`: each iteration forms p at the codes, not at γ, and so knows their exact residual
//! `α − max(0, p(α))`.

use pulp::Simd;

use super::quadratic::Quadratic;
use super::stopping::{Norms, Stopping};
use crate::SolverError;
use crate::kernels::aligned::Aligned;
use crate::kernels::product::{Packed, product};
use crate::kernels::simd::{TileShape, for_each_row, mul_add, rows, rows_mut};

/// `I − Q/L` of `n` atoms, padded to whole blocks with atoms that stay 0.
pub(crate) struct Step {
    matrix: Packed,
    /// What each row of the right-hand side is multiplied by: `1/L`, 0 for zero atoms and for the padding.
    scales: Vec<f32>,
}

impl Step {
    /// # Errors
    /// Those of [`Quadratic::lipschitz`].
    pub(crate) fn new(quadratic: &Quadratic, shape: TileShape) -> Result<Self, SolverError> {
        let n = quadratic.atoms();
        let padded = n.next_multiple_of(shape.block);
        let inverse_lipschitz = 1.0 / quadratic.lipschitz()?;
        let mut scales: Vec<f32> = (0..n)
            .map(|j| {
                if quadratic.at(j, j) > 0.0 {
                    inverse_lipschitz
                } else {
                    0.0
                }
            })
            .collect();
        scales.resize(padded, 0.0);
        Ok(Self {
            matrix: Packed::new(padded, padded, shape.block, |j, k| match (j < n && k < n, j == k) {
                (false, _) => 0.0,
                (true, own) => f32::from(own) - quadratic.at(j, k) * inverse_lipschitz,
            }),
            scales,
        })
    }

    /// Atoms, padded.
    pub(crate) fn atoms(&self) -> usize {
        self.scales.len()
    }

    /// What row j of the right-hand side is to be multiplied by.
    pub(crate) fn scale(&self, j: usize) -> f32 {
        self.scales[j]
    }
}

/// What FISTA keeps between iterations besides the codes α.
pub(crate) struct Momentum {
    /// α₋, and then the next codes.
    other: Aligned,
    /// `p(α₋)`, and then `p(α)`.
    target: Aligned,
    /// The momentum parameter s of each pixel.
    s: Aligned,
    /// The weight `w = (s − 1)/s⁺` of each pixel.
    weight: Aligned,
    /// `(γ − α⁺)·(α⁺ − α)` of each pixel: positive where the momentum points uphill.
    uphill: Aligned,
}

impl Momentum {
    pub(crate) fn new(atoms: usize, width: usize) -> Self {
        Self {
            other: Aligned::zeros(atoms * width),
            target: Aligned::zeros(atoms * width),
            s: Aligned::zeros(width),
            weight: Aligned::zeros(width),
            uphill: Aligned::zeros(width),
        }
    }

    /// Iterates from 0 until `stopping` ends it; returns the number of iterations and the norms at the codes.
    #[inline(always)]
    pub(crate) fn solve<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        step: &Step,
        rhs: &[f32],
        codes: &mut Aligned,
        restart: bool,
        stopping: &Stopping<S, V>,
    ) -> (usize, Norms<S, V>) {
        codes.fill(0.0);
        self.other.fill(0.0);
        self.target.copy_from_slice(rhs);
        self.s.fill(1.0);
        self.weight.fill(0.0);
        let mut iterations = 0;
        loop {
            let norms = if restart {
                self.iterate::<S, R, V, true>(simd, step, rhs, codes, iterations == 0)
            } else {
                self.iterate::<S, R, V, false>(simd, step, rhs, codes, iterations == 0)
            };
            if (iterations > 0 || stopping.max_iterations == 0) && stopping.ends(simd, iterations, &norms) {
                return (iterations, norms);
            }
            std::mem::swap(codes, &mut self.other);
            self.advance(restart);
            iterations += 1;
        }
    }

    /// Puts the next codes into `other`; returns the norms at the codes.
    #[inline(always)]
    fn iterate<S: Simd, const R: usize, const V: usize, const RESTART: bool>(
        &mut self,
        simd: S,
        step: &Step,
        rhs: &[f32],
        codes: &[f32],
        from_zero: bool,
    ) -> Norms<S, V> {
        let zero = simd.splat_f32s(0.0);
        let mut norms = Norms::zero(simd);
        let mut uphill = [zero; V];
        let weight = rows::<S, V>(&self.weight)[0];
        let (rhs, codes) = (rows::<S, V>(rhs), rows::<S, V>(codes));
        let known = if from_zero { &codes[..0] } else { codes };
        let other = rows_mut::<S, V>(&mut self.other);
        let target = rows_mut::<S, V>(&mut self.target);
        for block in 0..step.atoms() / R {
            let first = block * R;
            let mut acc = [[zero; V]; R];
            acc.copy_from_slice(&rhs[first..first + R]);
            let acc = product(simd, step.matrix.block::<R>(block), known, acc);
            let (codes, other) = (&codes[first..][..R], &mut other[first..][..R]);
            let target = &mut target[first..][..R];
            for_each_row!(R, r, {
                for v in 0..V {
                    let (code, previous, image) = (codes[r][v], other[r][v], acc[r][v]);
                    let residual = simd.sub_f32s(code, simd.max_f32s(image, zero));
                    norms.residual[v] = mul_add(simd, residual, residual, norms.residual[v]);
                    norms.values[v] = mul_add(simd, code, code, norms.values[v]);
                    let extrapolated = mul_add(simd, weight[v], simd.sub_f32s(image, target[r][v]), image);
                    let next = simd.max_f32s(extrapolated, zero);
                    if RESTART {
                        let point = mul_add(simd, weight[v], simd.sub_f32s(code, previous), code);
                        let change = simd.sub_f32s(next, code);
                        uphill[v] = mul_add(simd, simd.sub_f32s(point, next), change, uphill[v]);
                    }
                    target[r][v] = image;
                    other[r][v] = next;
                }
            });
        }
        if RESTART {
            rows_mut::<S, V>(&mut self.uphill)[0] = uphill;
        }
        norms
    }

    /// The momentum of the next step.
    #[inline(always)]
    fn advance(&mut self, restart: bool) {
        for ((s, weight), &uphill) in self.s.iter_mut().zip(self.weight.iter_mut()).zip(self.uphill.iter()) {
            if restart && uphill > 0.0 {
                *s = 1.0;
            }
            let following = 0.5 * (1.0 + (1.0 + 4.0 * *s * *s).sqrt());
            *weight = (*s - 1.0) / following;
            *s = following;
        }
    }
}
