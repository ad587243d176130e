//! FISTA on a tile of pixels (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A), with gradient restart per pixel
//! (O'Donoghue & Candès, 2015) as an option.

use pulp::Simd;

use super::aligned::Aligned;
use super::gauss_seidel::Norms;
use super::operator::Operator;
use super::product::product;
use super::simd::{mul_add, rows, rows_mut};

/// What FISTA keeps between iterations besides the codes α.
pub(super) struct Momentum {
    /// The extrapolated point γ.
    point: Aligned,
    /// The next codes α⁺.
    next: Aligned,
    /// The momentum parameter s of each pixel.
    s: Aligned,
    /// The weight `(s − 1)/s⁺` of each pixel.
    weight: Aligned,
    /// `(γ − α⁺)·(α⁺ − α)` of each pixel: positive where the momentum points uphill.
    uphill: Aligned,
}

impl Momentum {
    pub(super) fn new(atoms: usize, width: usize) -> Self {
        Self {
            point: Aligned::zeros(atoms * width),
            next: Aligned::zeros(atoms * width),
            s: Aligned::zeros(width),
            weight: Aligned::zeros(width),
            uphill: Aligned::zeros(width),
        }
    }

    /// Starts from α = γ = 0, s = 1.
    pub(super) fn reset(&mut self) {
        self.point.fill(0.0);
        self.s.fill(1.0);
    }

    /// One iteration. Returns the natural residual at γ and the norm of the new codes.
    #[inline(always)]
    pub(super) fn step<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        operator: &Operator,
        b: &[f32],
        codes: &mut [f32],
        restart: bool,
    ) -> Norms<S, V> {
        let zero = simd.splat_f32s(0.0);
        let inverse_lipschitz = simd.splat_f32s(1.0 / operator.lipschitz);
        let mut norms = Norms {
            residual: [zero; V],
            values: [zero; V],
        };
        let mut uphill = [zero; V];
        let b = rows::<S, V>(b);
        let codes = rows_mut::<S, V>(codes);
        let point = rows_mut::<S, V>(&mut self.point);
        let next = rows_mut::<S, V>(&mut self.next);
        for first in (0..operator.diagonal.len()).step_by(R) {
            let acc = std::array::from_fn(|r| b[first + r]);
            let acc = product(simd, operator.negated.block::<R>(first / R), point, acc);
            for r in 0..R {
                let j = first + r;
                for v in 0..V {
                    let code = simd.max_f32s(mul_add(simd, acc[r][v], inverse_lipschitz, point[j][v]), zero);
                    let residual = simd.sub_f32s(point[j][v], code);
                    next[j][v] = code;
                    norms.residual[v] = mul_add(simd, residual, residual, norms.residual[v]);
                    norms.values[v] = mul_add(simd, code, code, norms.values[v]);
                    uphill[v] = mul_add(simd, residual, simd.sub_f32s(code, codes[j][v]), uphill[v]);
                }
            }
        }
        rows_mut::<S, V>(&mut self.uphill)[0] = uphill;
        for ((s, weight), &uphill) in self.s.iter_mut().zip(self.weight.iter_mut()).zip(self.uphill.iter()) {
            if restart && uphill > 0.0 {
                *s = 1.0;
            }
            let following = 0.5 * (1.0 + (1.0 + 4.0 * *s * *s).sqrt());
            *weight = (*s - 1.0) / following;
            *s = following;
        }
        let weight = rows::<S, V>(&self.weight)[0];
        for ((codes, point), next) in codes.iter_mut().zip(point).zip(next) {
            for v in 0..V {
                point[v] = mul_add(simd, weight[v], simd.sub_f32s(next[v], codes[v]), next[v]);
                codes[v] = next[v];
            }
        }
        norms
    }
}
