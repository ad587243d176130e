//! FISTA with or without gradient restart (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A; O'Donoghue & Candès,
//! 2015), one tile a workgroup and all iterations in one launch; momentum and restarts are each pixel's own.
//!
//! What an iteration adds to the codes, `δ = α⁺ − α`, carries it: `γ⁺ = α⁺ + m·δ`, and as Q is linear the residual
//! there is `r + (1 + m)·d` with `r = b − Qα` and `d = −Qδ`, so that one product an iteration serves.

use cubecl::prelude::*;

use super::numbers::{Four, exceeds, inverse_of_unit, squared_gap, step_bound};
use super::problem::{Certificate, report};
use super::tile::{Extent, Tile, registers};
use crate::workgroup::{ATOMS_PER_UNIT, PIXELS_PER_UNIT, TilePlan};

/// Planes like the codes that a later launch needs: δ and d.
pub(super) const STATE_PLANES: usize = 2;

/// Numbers of every pixel that it needs besides: s and m.
pub(super) const STATE_NUMBERS: usize = 2;

/// Codes `[b, n, h', w']` and solves `[b, 2, h', w']` for `b = correlations − lambda1`, given Q `[8·blocks, 8·blocks]` and
/// L `[1]`, until ρ ≤ tolerance for every pixel of the tile or `max_iterations`; after `done` iterations of launches
/// before, from their codes and state ([`STATE_PLANES`] like the codes, then [`STATE_NUMBERS`] of all pixels).
///
/// `‖γ − max(0, γ − ∇/L)‖` at the extrapolated γ, which every iteration meets, stands in for the certificate; where it is
/// small enough, to begin with and at the cap, the residuals at α are computed anew and the certificate from them.
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
    done: u32,
    max_iterations: u32,
    infinity: f32,
    not_a_number: f32,
    gradient_restart: u32,
    #[comptime] plan: TilePlan,
) {
    let mut tile = Tile::new(quadratic, extent, plan);
    let bound = step_bound(lipschitz[0]);
    let bounds = Four::broadcast(tolerance);
    let plane = extent.problems * extent.atoms;
    let mut solution = registers();
    let mut residual = registers();
    let mut change = registers();
    let mut change_residual = registers();
    let mut s = Four::broadcast(1.0f32);
    let mut m = Four::broadcast(0.0f32);
    let mut certificate = Certificate::new(&mut tile, correlations, lambda1, extent);
    if done > 0u32 {
        // The state is kept in the units of the problem, which are the same in every launch.
        solution = tile.load_times(&*codes, 0usize, inverse_of_unit(certificate.unit), extent);
        change = tile.load(&*state, 0usize, extent);
        change_residual = tile.load(&*state, plane, extent);
        s = load_momentum(&tile, &*state, 2 * plane, extent);
        m = load_momentum(&tile, &*state, 2 * plane + extent.problems, extent);
    }

    let mut iterations = done;
    let mut uncertain = true.runtime();
    let mut running = true.runtime();
    while running {
        if uncertain {
            certificate.renew(
                &mut tile,
                correlations,
                lambda1,
                quadratic,
                bound,
                infinity,
                &mut solution,
                &mut residual,
                iterations > 0u32,
                extent,
            );
            let rho = certificate.rho;
            running = tile.any(exceeds(rho, bounds)) && iterations < max_iterations;
        }
        if running {
            let mut gap = Four::broadcast(0.0f32);
            let mut size = Four::broadcast(0.0f32);
            let mut against_momentum = Four::broadcast(0.0f32);
            #[unroll]
            for j in 0..ATOMS_PER_UNIT {
                let gamma = solution[j] + m * change[j];
                let step = (residual[j] + m * change_residual[j]) / Four::broadcast(bound);
                let next = max(gamma + step, Four::broadcast(0.0f32));
                change[j] = next - solution[j];
                solution[j] = next;
                change_residual[j] = Four::broadcast(0.0f32);
                gap += squared_gap(gamma, -step);
                size += next * next;
                against_momentum += (gamma - next) * change[j];
            }
            for block in 0..extent.blocks {
                if tile.block == block {
                    #[unroll]
                    for j in 0..ATOMS_PER_UNIT {
                        tile.publish(j, change[j]);
                    }
                    tile.accumulate(0usize, gap);
                    tile.accumulate(1usize, size);
                    tile.accumulate(2usize, against_momentum);
                }
                tile.apply(quadratic, &mut change_residual, block, extent, true);
            }
            #[unroll]
            for j in 0..ATOMS_PER_UNIT {
                residual[j] += change_residual[j];
            }
            iterations += 1u32;

            let four = Four::broadcast(4.0f32);
            let one = Four::broadcast(1.0f32);
            let s_next = (one + Four::sqrt(one + four * s * s)) * Four::broadcast(0.5f32);
            m = (s - one) / s_next;
            s = s_next;
            if gradient_restart == 1u32 {
                let against = tile.accumulated(2usize).greater_than(&Four::broadcast(0.0f32));
                m = select_many(against, Four::broadcast(0.0f32), m);
                s = select_many(against, one, s);
            }

            let gap = tile.accumulated(0usize);
            let size = tile.accumulated(1usize);
            uncertain = !tile.any(exceeds(gap, bounds * bounds * size)) || iterations == max_iterations;
        }
    }
    // A tile that an earlier launch has solved keeps its iterations.
    if iterations > done || done == 0u32 {
        tile.store(&change, state, 0usize, extent);
        tile.store(&change_residual, state, plane, extent);
        store_momentum(&tile, s, state, 2 * plane, extent);
        store_momentum(&tile, m, state, 2 * plane + extent.problems, extent);
        report(
            &tile,
            &mut solution,
            iterations,
            &certificate,
            not_a_number,
            codes,
            solves,
            extent,
        );
    }
}

#[cube]
fn load_momentum(tile: &Tile, state: &[f32], start: usize, extent: &Extent) -> Four {
    let mut numbers = Four::broadcast(0.0f32);
    #[unroll]
    for lane in 0..PIXELS_PER_UNIT {
        let pixel = min(tile.pixel(lane), extent.problems - 1);
        numbers.insert(lane, state[start + pixel]);
    }
    numbers
}

#[cube]
fn store_momentum(tile: &Tile, numbers: Four, state: &mut [f32], start: usize, extent: &Extent) {
    #[unroll]
    for lane in 0..PIXELS_PER_UNIT {
        if tile.speaks_for(lane, extent) {
            state[start + tile.pixel(lane)] = numbers.extract(lane);
        }
    }
}
