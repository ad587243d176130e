//! What the solvers share: the forward certificate `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖` of the problems `½αᵀQα − bᵀα` of a
//! tile, and the reports. Residuals are `r = b − Qα = −∇`.

use cubecl::prelude::*;

use super::numbers::{Four, is_zero, not_finite, one_where, or_else, relative_residual, squared_gap};
use super::tile::{Extent, Registers, Tile};
use crate::workgroup::{ATOMS_PER_UNIT, PIXELS_PER_UNIT};

/// What is known of the unit's pixels.
#[derive(CubeType)]
pub(super) struct Certificate {
    /// ρ, 0 for unusable pixels.
    pub rho: Four,
    /// 1 for pixels whose `b = correlations − lambda1` is finite where no λ₁ is negative, else 0.
    pub usable: Four,
}

#[cube]
impl Certificate {
    /// Of pixels that are still to be certified.
    pub(super) fn new() -> Self {
        Certificate {
            rho: Four::broadcast(0.0f32),
            usable: Four::broadcast(0.0f32),
        }
    }

    /// Sets `residual` to `b − Qα` anew, without the rounding of the updates, and certifies the codes α in `solution`, which
    /// are 0 unless `begun`. Both become 0 at unusable pixels, which then keep nobody waiting.
    pub(super) fn renew(
        &mut self,
        tile: &mut Tile,
        correlations: &[f32],
        lambda1: &[f32],
        quadratic: &[Four],
        bound: f32,
        infinity: f32,
        solution: &mut Registers,
        residual: &mut Registers,
        begun: bool,
        extent: &Extent,
    ) {
        let mut broken = Four::broadcast(0.0f32);
        let b = tile.load(correlations, 0usize, extent);
        #[unroll]
        for within in 0..ATOMS_PER_UNIT {
            residual[within] = b[within];
            let j = tile.atom(within);
            if j < extent.atoms {
                let lambda = Four::broadcast(lambda1[j]);
                residual[within] -= lambda;
                broken += one_where(Four::broadcast(0.0f32).greater_than(&lambda));
            }
            broken += not_finite(residual[within]);
        }
        if begun {
            tile.apply_to_all(quadratic, &*solution, residual, extent);
        }
        let mut gap = Four::broadcast(0.0f32);
        let mut size = Four::broadcast(0.0f32);
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            gap += squared_gap(solution[j], -residual[j] / Four::broadcast(bound));
            size += solution[j] * solution[j];
        }
        tile.sum(gap, size, broken, extent);
        let usable = is_zero(tile.accumulated(2usize));
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            solution[j] = or_else(usable, solution[j], 0.0f32);
            residual[j] = or_else(usable, residual[j], 0.0f32);
        }
        let rho = relative_residual(tile.accumulated(0usize), tile.accumulated(1usize), infinity);
        self.rho = or_else(usable, rho, 0.0f32);
        self.usable = usable;
    }
}

/// The index of a pixel's iterations in `[b, 2, h', w']`; its residual lies `pixels` further.
#[cube]
fn first_solve(pixel: usize, extent: &Extent) -> usize {
    (pixel / extent.pixels) * (extent.pixels * 2usize) + pixel % extent.pixels
}

/// Writes codes `[b, n, h', w']`, and iterations and ρ `[b, 2, h', w']`: at unusable pixels NaN, after 0 iterations.
#[cube]
pub(super) fn report(
    tile: &Tile,
    solution: &mut Registers,
    iterations: u32,
    certificate: &Certificate,
    not_a_number: f32,
    codes: &mut [f32],
    solves: &mut [f32],
    extent: &Extent,
) {
    let usable = certificate.usable;
    #[unroll]
    for j in 0..ATOMS_PER_UNIT {
        solution[j] = or_else(usable, solution[j], not_a_number);
    }
    tile.store(&*solution, codes, 0usize, extent);
    report_solves(tile, iterations, certificate.rho, usable, not_a_number, solves, extent);
}

/// Writes iterations and relative residuals `[b, 2, h', w']`: at unusable pixels NaN, after 0 iterations.
#[cube]
pub(super) fn report_solves(
    tile: &Tile,
    iterations: u32,
    residual: Four,
    usable: Four,
    not_a_number: f32,
    solves: &mut [f32],
    extent: &Extent,
) {
    let iterations = Four::broadcast(f32::cast_from(iterations)) * usable;
    let residual = or_else(usable, residual, not_a_number);
    #[unroll]
    for lane in 0..PIXELS_PER_UNIT {
        if tile.speaks_for(lane, extent) {
            let solve = first_solve(tile.pixel(lane), extent);
            solves[solve] = iterations.extract(lane);
            solves[solve + extent.pixels] = residual.extract(lane);
        }
    }
}
