//! Cyclic coordinate descent, `αⱼ ← max(0, αⱼ + (bⱼ − (Qα)ⱼ)/Qⱼⱼ)`, one pixel a unit and all sweeps in one launch.

use cubecl::prelude::*;

use super::block::{BLOCK, Block, Four, diagonal};
use super::pixel::{
    Extent, first_atom, first_solve, is_nan_or_infinite, linear_term, relative_residual, squared_gap, step_bound,
};

/// Codes `[b, n, h', w']` and solves `[b, 2, h', w']` for `b = correlations − lambda1`, given Q `[8·blocks, 8·blocks]` and
/// L `[1]`, until ρ ≤ tolerance or `max_iterations`; `resumed` (0 or 1) continues from the codes and solves of a launch before.
///
/// After a sweep the steps it took stand in for the certificate, `Σ(δⱼQⱼⱼ/L)² ≤ tolerance²·‖α‖²`; where they are small
/// enough, and at the cap, the certificate itself is computed.
#[cube(launch_unchecked)]
pub(super) fn coordinate_descent_kernel(
    correlations: &[f32],
    lambda1: &[f32],
    quadratic: &[Four],
    lipschitz: &[f32],
    codes: &mut [f32],
    solves: &mut [f32],
    extent: &Extent,
    tolerance: f32,
    max_iterations: u32,
    infinity: f32,
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
    let solve = first_solve(pixel, extent.pixels);
    let bound = step_bound(lipschitz[0]);

    let mut residual = 0.0f32;
    let mut iterations = 0u32;
    if resumed == 1u32 {
        residual = solves[solve + extent.pixels];
        if is_nan_or_infinite(codes[first]) || residual <= tolerance {
            terminate!();
        }
        iterations = u32::cast_from(solves[solve]);
    }
    let mut broken = false.runtime();
    let mut gap = 0.0f32;
    for j in 0..extent.blocks * BLOCK {
        let mut code = 0.0f32;
        if resumed == 1u32 {
            if j < extent.atoms {
                code = codes[first + j * extent.pixels];
            }
        } else {
            let b = linear_term(correlations, lambda1, first, j, extent);
            broken = broken || is_nan_or_infinite(b);
            gap += squared_gap(0.0f32, -b / bound);
        }
        column[j * units + unit] = code;
    }
    if resumed == 0u32 && !broken {
        residual = relative_residual(gap, 0.0f32, infinity);
    }

    while residual > tolerance && iterations < max_iterations {
        let mut moved = 0.0f32;
        let mut size = 0.0f32;
        for block in 0..extent.blocks {
            let mut product = Block::product(quadratic, &column, block, extent.blocks, unit, units);
            #[unroll]
            for within in 0..BLOCK {
                let j = block * BLOCK + within;
                let diagonal = diagonal(quadratic, block, extent.blocks, within);
                if diagonal > 0.0f32 {
                    let b = linear_term(correlations, lambda1, first, j, extent);
                    let code = column[j * units + unit];
                    let updated = f32::max(code + (b - product.at(within)) / diagonal, 0.0f32);
                    let change = updated - code;
                    product.correct(quadratic, j, block, extent.blocks, change);
                    column[j * units + unit] = updated;
                    let step = change * diagonal / bound;
                    moved += step * step;
                    size += updated * updated;
                }
            }
        }
        iterations += 1u32;
        if moved <= tolerance * tolerance * size || iterations == max_iterations {
            let mut gap = 0.0f32;
            for block in 0..extent.blocks {
                let product = Block::product(quadratic, &column, block, extent.blocks, unit, units);
                #[unroll]
                for within in 0..BLOCK {
                    let j = block * BLOCK + within;
                    let gradient = product.at(within) - linear_term(correlations, lambda1, first, j, extent);
                    gap += squared_gap(column[j * units + unit], gradient / bound);
                }
            }
            residual = relative_residual(gap, size, infinity);
        }
    }

    for j in 0..extent.atoms {
        let mut code = column[j * units + unit];
        if broken {
            code = not_a_number;
        }
        codes[first + j * extent.pixels] = code;
    }
    if broken {
        residual = not_a_number;
    }
    solves[solve] = f32::cast_from(iterations);
    solves[solve + extent.pixels] = residual;
}
