//! FISTA with or without gradient restart (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A; O'Donoghue & Candès,
//! 2015), one pixel a unit and all iterations in one launch.

use cubecl::prelude::*;

use super::block::{BLOCK, Block, Four};
use super::pixel::{
    Extent, first_atom, first_solve, is_nan_or_infinite, linear_term, relative_residual, squared_gap, step_bound,
};

/// Planes as large as the codes that the state holds besides one number a pixel: γ, Qγ and Qα.
pub(super) const STATE_PLANES: usize = 3;

/// Codes `[b, n, h', w']` and solves `[b, 2, h', w']` for `b = correlations − lambda1`, given Q `[8·blocks, 8·blocks]` and
/// L `[1]`, until ρ ≤ tolerance or `max_iterations`; `resumed` (0 or 1) continues from the codes, solves and state of a launch
/// before.
///
/// The shared memory holds α⁺, which every product reads; γ, Qγ and Qα are touched once an iteration and stay in
/// `state` ([`STATE_PLANES`] planes like the codes, then the momentum's s of every pixel).
#[cube(launch_unchecked)]
pub(super) fn fista_kernel(
    correlations: &[f32],
    lambda1: &[f32],
    quadratic: &[Four],
    lipschitz: &[f32],
    codes: &mut [f32],
    solves: &mut [f32],
    state: &mut [f32],
    extent: &Extent,
    tolerance: f32,
    max_iterations: u32,
    infinity: f32,
    not_a_number: f32,
    resumed: u32,
    gradient_restart: u32,
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
    let gamma = first;
    let gamma_product = gamma + extent.problems * extent.atoms;
    let product = gamma_product + extent.problems * extent.atoms;
    let momentum_state = STATE_PLANES * extent.problems * extent.atoms + pixel;

    let mut residual = 0.0f32;
    let mut iterations = 0u32;
    let mut s = 1.0f32;
    if resumed == 1u32 {
        residual = solves[solve + extent.pixels];
        if is_nan_or_infinite(codes[first]) || residual <= tolerance {
            terminate!();
        }
        iterations = u32::cast_from(solves[solve]);
        s = state[momentum_state];
    }
    let mut broken = false.runtime();
    if resumed == 0u32 {
        let mut gap = 0.0f32;
        for j in 0..extent.atoms {
            let b = linear_term(correlations, lambda1, first, j, extent);
            broken = broken || is_nan_or_infinite(b);
            gap += squared_gap(0.0f32, -b / bound);
            codes[first + j * extent.pixels] = 0.0f32;
            state[gamma + j * extent.pixels] = 0.0f32;
            state[gamma_product + j * extent.pixels] = 0.0f32;
            state[product + j * extent.pixels] = 0.0f32;
        }
        if !broken {
            residual = relative_residual(gap, 0.0f32, infinity);
        }
    }
    for j in extent.atoms..extent.blocks * BLOCK {
        column[j * units + unit] = 0.0f32;
    }

    while residual > tolerance && iterations < max_iterations {
        let mut against_momentum = 0.0f32;
        for j in 0..extent.atoms {
            let at = j * extent.pixels;
            let b = linear_term(correlations, lambda1, first, j, extent);
            let extrapolated = state[gamma + at];
            let next = f32::max(extrapolated + (b - state[gamma_product + at]) / bound, 0.0f32);
            against_momentum += (extrapolated - next) * (next - codes[first + at]);
            column[j * units + unit] = next;
        }
        let mut s_next = (1.0f32 + f32::sqrt(1.0f32 + 4.0f32 * s * s)) * 0.5f32;
        let mut momentum = (s - 1.0f32) / s_next;
        if gradient_restart == 1u32 && against_momentum > 0.0f32 {
            momentum = 0.0f32;
            s_next = 1.0f32;
        }
        s = s_next;

        let mut gap = 0.0f32;
        let mut size = 0.0f32;
        for block in 0..extent.blocks {
            let products = Block::product(quadratic, &column, block, extent.blocks, unit, units);
            #[unroll]
            for within in 0..BLOCK {
                let j = block * BLOCK + within;
                if j < extent.atoms {
                    let at = j * extent.pixels;
                    let b = linear_term(correlations, lambda1, first, j, extent);
                    let next = column[j * units + unit];
                    let next_product = products.at(within);
                    gap += squared_gap(next, (next_product - b) / bound);
                    size += next * next;
                    state[gamma + at] = next + momentum * (next - codes[first + at]);
                    // Q is linear, so that Qγ⁺ follows from Qα⁺ and Qα without another product.
                    state[gamma_product + at] = next_product + momentum * (next_product - state[product + at]);
                    state[product + at] = next_product;
                    codes[first + at] = next;
                }
            }
        }
        iterations += 1u32;
        residual = relative_residual(gap, size, infinity);
    }

    if broken {
        for j in 0..extent.atoms {
            codes[first + j * extent.pixels] = not_a_number;
        }
        residual = not_a_number;
    }
    state[momentum_state] = s;
    solves[solve] = f32::cast_from(iterations);
    solves[solve + extent.pixels] = residual;
}
