//! The implicit system `(Q_ΛΛ + ridge·I) γ_Λ = (∂L/∂α)_Λ`, `γ = 0` elsewhere, of every pixel by Gauss–Seidel sweeps
//! over its active set `Λ = {j : αⱼ > 0}`, all sweeps in one launch.

use cubecl::prelude::*;

use super::block::{BLOCK, Block, Four, diagonal};
use super::pixel::{Extent, first_atom, is_nan_or_infinite};

/// Writes `gamma [b, n, h', w']` for `codes` and `grad_codes` of the same shape and Q `[8·blocks, 8·blocks]`, by at most
/// `sweeps` sweeps; `resumed` (0 or 1) continues from the gamma of a launch before.
///
/// After a sweep the residuals that it met stand in for the residual; where they are small enough the residual itself
/// is computed. Gradients that are not finite give NaN.
#[cube(launch_unchecked)]
pub(super) fn masked_gauss_seidel_kernel(
    codes: &[f32],
    grad_codes: &[f32],
    quadratic: &[Four],
    gamma: &mut [f32],
    extent: &Extent,
    ridge: f32,
    tolerance: f32,
    sweeps: u32,
    not_a_number: f32,
    resumed: u32,
    #[comptime] column_length: usize,
    #[comptime] units: usize,
) {
    let pixel = ABSOLUTE_POS;
    if pixel >= extent.problems {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let mut column = Shared::<[f32]>::new_slice(column_length);
    let first = first_atom(pixel, extent);

    let mut broken = false.runtime();
    let mut right_side = 0.0f32;
    for j in 0..extent.blocks * BLOCK {
        let mut solution = 0.0f32;
        if j < extent.atoms {
            let at = first + j * extent.pixels;
            if resumed == 1u32 {
                solution = gamma[at];
            }
            if codes[at] > 0.0f32 {
                broken = broken || is_nan_or_infinite(grad_codes[at]);
                right_side += grad_codes[at] * grad_codes[at];
            }
        }
        column[j * units + unit] = solution;
    }

    let enough = tolerance * tolerance * right_side;
    let mut left = right_side;
    if resumed == 1u32 {
        left = squared_residual(codes, grad_codes, quadratic, &column, first, unit, ridge, extent, units);
    }
    let mut running = left > enough && !broken;
    let mut sweep = 0u32;
    while running && sweep < sweeps {
        let mut met = 0.0f32;
        for block in 0..extent.blocks {
            let mut product = Block::product(quadratic, &column, block, extent.blocks, unit, units);
            #[unroll]
            for within in 0..BLOCK {
                let j = block * BLOCK + within;
                let diagonal = diagonal(quadratic, block, extent.blocks, within) + ridge;
                if is_active(codes, first, j, extent) && diagonal > 0.0f32 {
                    let solution = column[j * units + unit];
                    let residual = grad_codes[first + j * extent.pixels] - (product.at(within) + ridge * solution);
                    let change = residual / diagonal;
                    product.correct(quadratic, j, block, extent.blocks, change);
                    column[j * units + unit] = solution + change;
                    met += residual * residual;
                }
            }
        }
        sweep += 1u32;
        if met <= enough {
            left = squared_residual(codes, grad_codes, quadratic, &column, first, unit, ridge, extent, units);
            running = left > enough;
        }
    }

    for j in 0..extent.atoms {
        let mut solution = column[j * units + unit];
        if broken && codes[first + j * extent.pixels] > 0.0f32 {
            solution = not_a_number;
        }
        gamma[first + j * extent.pixels] = solution;
    }
}

#[cube]
fn is_active(codes: &[f32], first: usize, j: usize, extent: &Extent) -> bool {
    let mut active = false.runtime();
    if j < extent.atoms {
        active = codes[first + j * extent.pixels] > 0.0f32;
    }
    active
}

/// `‖g_Λ − (Q_ΛΛ + ridge·I) γ_Λ‖²`.
#[cube]
fn squared_residual(
    codes: &[f32],
    grad_codes: &[f32],
    quadratic: &[Four],
    column: &Shared<[f32]>,
    first: usize,
    unit: usize,
    ridge: f32,
    extent: &Extent,
    #[comptime] units: usize,
) -> f32 {
    let mut sum = 0.0f32;
    for block in 0..extent.blocks {
        let product = Block::product(quadratic, column, block, extent.blocks, unit, units);
        #[unroll]
        for within in 0..BLOCK {
            let j = block * BLOCK + within;
            if is_active(codes, first, j, extent) {
                let solved = product.at(within) + ridge * column[j * units + unit];
                let residual = grad_codes[first + j * extent.pixels] - solved;
                sum += residual * residual;
            }
        }
    }
    sum
}
