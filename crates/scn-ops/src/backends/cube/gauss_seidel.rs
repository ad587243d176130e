//! The implicit system `(Q_ΛΛ + ridge·I) γ_Λ = (∂L/∂α)_Λ`, `γ = 0` elsewhere, of every pixel by Gauss–Seidel sweeps
//! over its active set `Λ = {j : αⱼ > 0}`, one tile a workgroup and all sweeps in one launch.

use cubecl::prelude::*;

use super::numbers::{
    Bits, Four, exceeds, inverse_of_unit, inverse_or_zero, is_zero, not_finite, one_where, or_else, relative_residual,
};
use super::problem::{report_solves, units};
use super::tile::{Extent, Registers, Tile, registers};
use crate::workgroup::{ATOMS_PER_UNIT, TilePlan};

/// Writes `gamma [b, n, h', w']`, and sweeps and relative residuals `solves [b, 2, h', w']`, for `codes` and `grad_codes` of the same shape and Q `[8·blocks, 8·blocks]`, by sweeps
/// until the residual is at most `tolerance` times the right side for every pixel of the tile, or `max_iterations`;
/// after `done` sweeps of launches before, from their gamma.
///
/// After a sweep the residuals that it met stand in for the residual; where they are small enough, and at the cap, the
/// residual itself is computed. Gradients that are not finite give NaN.
#[cube(launch_unchecked)]
pub(super) fn masked_gauss_seidel_kernel(
    codes: &[f32],
    grad_codes: &[f32],
    quadratic: &[Four],
    gamma: &mut [f32],
    solves: &mut [f32],
    extent: &Extent,
    ridge: f32,
    tolerance: f32,
    done: u32,
    max_iterations: u32,
    infinity: f32,
    not_a_number: f32,
    #[comptime] plan: TilePlan,
) {
    let mut tile = Tile::new(quadratic, extent, plan);
    let active = active_set(&tile, codes, extent);
    let mut solution = registers();
    let mut residual = registers();
    let mut certificate = Certificate::new(&mut tile, grad_codes, active, extent);
    if done > 0u32 {
        solution = tile.load_times(&*gamma, 0usize, inverse_of_unit(certificate.unit), extent);
    }

    let allowed = Four::broadcast(tolerance * tolerance);
    let mut sweeps = done;
    let mut uncertain = true.runtime();
    let mut running = true.runtime();
    while running {
        if uncertain {
            certificate.renew(
                &mut tile,
                grad_codes,
                quadratic,
                active,
                ridge,
                &mut solution,
                &mut residual,
                sweeps > 0u32,
                extent,
            );
            let left = certificate.left;
            running = tile.any(exceeds(left, allowed * certificate.right)) && sweeps < max_iterations;
        }
        if running {
            for block in 0..extent.blocks {
                if tile.block == block {
                    descend(
                        &mut tile,
                        quadratic,
                        active,
                        ridge,
                        &mut solution,
                        &mut residual,
                        extent,
                    );
                }
                tile.apply(quadratic, &mut residual, block, extent, false);
            }
            sweeps += 1u32;
            let met = tile.accumulated(0usize);
            uncertain = !tile.any(exceeds(met, allowed * certificate.right)) || sweeps == max_iterations;
        }
    }
    #[unroll]
    for j in 0..ATOMS_PER_UNIT {
        let broken = is_active(active, j) * is_zero(certificate.usable);
        solution[j] = or_else(is_zero(broken), solution[j] * certificate.unit, not_a_number);
    }
    tile.store(&solution, gamma, 0usize, extent);
    // A tile that an earlier launch has solved keeps its sweeps.
    if sweeps > done || done == 0u32 {
        let residual = relative_residual(certificate.left, certificate.right, infinity);
        report_solves(
            &tile,
            sweeps,
            residual,
            certificate.usable,
            not_a_number,
            solves,
            extent,
        );
    }
}

/// The active atoms of the unit's pixels, a bit each; read again, their codes would take more registers or time.
#[cube]
fn active_set(tile: &Tile, codes: &[f32], extent: &Extent) -> Bits {
    let codes = tile.load(codes, 0usize, extent);
    let mut active = Bits::broadcast(0u32);
    #[unroll]
    for j in 0..ATOMS_PER_UNIT {
        let positive = codes[j].greater_than(&Four::broadcast(0.0f32));
        active |= select_many(positive, bit(j), Bits::broadcast(0u32));
    }
    active
}

/// The bit of the unit's atom `j`.
#[cube]
fn bit(#[comptime] j: usize) -> Bits {
    Bits::broadcast(comptime!(1u32 << j))
}

/// 1 for the pixels at which the unit's atom `j` is active, else 0.
#[cube]
fn is_active(active: Bits, #[comptime] j: usize) -> Four {
    one_where((active & bit(j)).equal(&bit(j)))
}

/// What is known of the unit's pixels.
#[derive(CubeType)]
struct Certificate {
    /// `‖(∂L/∂α − (Q + ridge·I)γ)_Λ‖²`, 0 for unusable pixels.
    left: Four,
    /// `‖(∂L/∂α)_Λ‖²`, 0 for unusable pixels.
    right: Four,
    /// 1 for pixels whose `(∂L/∂α)_Λ` is finite, else 0.
    usable: Four,
    /// What γ and residuals are in units of: see [`units`].
    unit: Four,
}

#[cube]
impl Certificate {
    /// Of pixels that are still to be certified.
    fn new(tile: &mut Tile, grad_codes: &[f32], active: Bits, extent: &Extent) -> Self {
        let mut size = Four::broadcast(0.0f32);
        let grad = tile.load(grad_codes, 0usize, extent);
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            size += or_else(is_active(active, j), max(grad[j], -grad[j]), 0.0f32);
        }
        Certificate {
            left: Four::broadcast(0.0f32),
            right: Four::broadcast(0.0f32),
            usable: Four::broadcast(0.0f32),
            unit: units(tile, size, extent),
        }
    }

    /// Sets `residual` to `∂L/∂α − (Q + ridge·I)γ` anew, of which only the active atoms matter, and measures it; γ in
    /// `solution` is 0 unless `begun`. Both become 0 at unusable pixels, which then keep nobody waiting.
    fn renew(
        &mut self,
        tile: &mut Tile,
        grad_codes: &[f32],
        quadratic: &[Four],
        active: Bits,
        ridge: f32,
        solution: &mut Registers,
        residual: &mut Registers,
        begun: bool,
        extent: &Extent,
    ) {
        let mut broken = Four::broadcast(0.0f32);
        let mut right = Four::broadcast(0.0f32);
        let grad = tile.load(grad_codes, 0usize, extent);
        let per_unit = inverse_of_unit(self.unit);
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            let grad = or_else(is_active(active, j), grad[j], 0.0f32);
            broken += not_finite(grad);
            let grad = grad * per_unit;
            right += grad * grad;
            residual[j] = grad - Four::broadcast(ridge) * solution[j];
        }
        if begun {
            tile.apply_to_all(quadratic, &*solution, residual, extent);
        }
        let mut left = Four::broadcast(0.0f32);
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            let residual = residual[j] * is_active(active, j);
            left += residual * residual;
        }
        tile.sum(left, right, broken, extent);
        let usable = is_zero(tile.accumulated(2usize));
        #[unroll]
        for j in 0..ATOMS_PER_UNIT {
            solution[j] = or_else(usable, solution[j], 0.0f32);
            residual[j] = or_else(usable, residual[j], 0.0f32);
        }
        self.left = or_else(usable, tile.accumulated(0usize), 0.0f32);
        self.right = or_else(usable, tile.accumulated(1usize), 0.0f32);
        self.usable = usable;
    }
}

/// Updates the active γ of the unit's block one after the other, corrects the block's residuals, publishes the changes
/// and accumulates the squares of the residuals that it met.
#[cube]
fn descend(
    tile: &mut Tile,
    quadratic: &[Four],
    active: Bits,
    ridge: f32,
    solution: &mut Registers,
    residual: &mut Registers,
    extent: &Extent,
) {
    let mut met = Four::broadcast(0.0f32);
    #[unroll]
    for j in 0..ATOMS_PER_UNIT {
        let inverse = inverse_or_zero(tile.diagonal(quadratic, j, extent) + ridge);
        let mut descent = Four::broadcast(0.0f32);
        if inverse > 0.0f32 {
            descent = residual[j] * is_active(active, j);
        }
        let change = descent * Four::broadcast(inverse);
        solution[j] += change;
        tile.correct(quadratic, residual, j, change, extent);
        residual[j] -= Four::broadcast(ridge) * change;
        tile.publish(j, change);
        met += descent * descent;
    }
    tile.accumulate(0usize, met);
}
