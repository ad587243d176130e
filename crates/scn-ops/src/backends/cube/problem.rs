//! What the solvers share: the forward certificate `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖` of the problems `½αᵀQα − bᵀα` of a
//! tile, and the reports. Residuals are `r = b − Qα = −∇`.

use cubecl::prelude::*;

use super::numbers::{
    Four, inverse_of_unit, is_zero, not_finite, one_where, or_else, relative_residual, squared_gap, unit_below,
};
use super::tile::{Extent, Registers, Tile};
use crate::workgroup::{ATOMS_PER_UNIT, PIXELS_PER_UNIT};

/// What is known of the unit's pixels.
#[derive(CubeType)]
pub(super) struct Certificate {
    /// ρ, 0 for unusable pixels.
    pub rho: Four,
    /// 1 for pixels whose `b = correlations − lambda1` is finite where no λ₁ is negative, else 0.
    pub usable: Four,
    /// What codes and residuals are in units of: see [`units`].
    pub unit: Four,
}

#[cube]
impl Certificate {
    /// Of pixels that are still to be certified.
    pub(super) fn new(tile: &mut Tile, correlations: &[f32], lambda1: &[f32], extent: &Extent) -> Self {
        let mut size = Four::broadcast(0.0f32);
        let b = right_side(&*tile, correlations, lambda1, extent);
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            size += max(b[j], -b[j]);
        }
        Certificate {
            rho: Four::broadcast(0.0f32),
            usable: Four::broadcast(0.0f32),
            unit: units(tile, size, extent),
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
        let b = right_side(&*tile, correlations, lambda1, extent);
        let per_unit = inverse_of_unit(self.unit);
        #[unroll]
        for within in 0..ATOMS_PER_UNIT {
            broken += not_finite(b[within]);
            residual[within] = b[within] * per_unit;
            let j = tile.atom(within);
            if j < extent.atoms {
                broken += one_where(Four::broadcast(0.0f32).greater_than(&Four::broadcast(lambda1[j])));
            }
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

/// The unit's numbers of `b = correlations − lambda1`, 0 for the atoms of the padding.
#[cube]
fn right_side(tile: &Tile, correlations: &[f32], lambda1: &[f32], extent: &Extent) -> Registers {
    let mut b = tile.load(correlations, 0usize, extent);
    #[unroll]
    for within in 0..ATOMS_PER_UNIT {
        let j = tile.atom(within);
        if j < extent.atoms {
            b[within] -= Four::broadcast(lambda1[j]);
        }
    }
    b
}

/// What the problems of the unit's pixels are solved in units of, given the 1-norms of the unit's part of their right
/// sides: powers of two near those of the whole.
#[cube]
pub(super) fn units(tile: &mut Tile, size: Four, extent: &Extent) -> Four {
    let zero = Four::broadcast(0.0f32);
    tile.sum(size, zero, zero, extent);
    let unit = unit_below(tile.accumulated(0usize));
    // Sums are started again only after a vote.
    tile.any(false);
    unit
}

/// The index of a pixel's iterations in `[b, 2, h', w']`; its residual lies `pixels` further.
#[cube]
fn first_solve(pixel: usize, extent: &Extent) -> usize {
    (pixel / extent.pixels) * (extent.pixels * 2usize) + pixel % extent.pixels
}

/// Writes codes `[b, n, h', w']` in units of 1, and iterations and ρ `[b, 2, h', w']`: at unusable pixels NaN, after 0 iterations.
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
        solution[j] = or_else(usable, solution[j] * certificate.unit, not_a_number);
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
