//! Cyclic coordinate descent, `αⱼ ← max(0, αⱼ + (bⱼ − (Qα)ⱼ)/Qⱼⱼ)`, one tile a workgroup and all sweeps in one launch.
//! The owners of a block change its codes one after the other, so that the result is that of plain coordinate descent.

use cubecl::prelude::*;

use super::numbers::{Four, exceeds, inverse_of_unit, inverse_or_zero, step_bound};
use super::problem::{Certificate, report};
use super::tile::{Extent, Registers, Tile, registers};
use crate::workgroup::{ATOMS_PER_UNIT, TilePlan};

/// Codes `[b, n, h', w']` and solves `[b, 2, h', w']` for `b = correlations − lambda1`, given Q `[8·blocks, 8·blocks]` and
/// L `[1]`, until ρ ≤ tolerance for every pixel of the tile or `max_iterations`; after `done` iterations of launches
/// before, from their codes.
///
/// After a sweep the steps it took stand in for the certificate, `Σ(δⱼQⱼⱼ/L)² ≤ tolerance²·‖α‖²`; where they are small
/// enough, to begin with and at the cap, the residuals are computed anew and the certificate from them.
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
    done: u32,
    max_iterations: u32,
    infinity: f32,
    not_a_number: f32,
    #[comptime] plan: TilePlan,
) {
    let mut tile = Tile::new(quadratic, extent, plan);
    let bound = step_bound(lipschitz[0]);
    let bounds = Four::broadcast(tolerance);
    let mut solution = registers();
    let mut residual = registers();
    let mut certificate = Certificate::new(&mut tile, correlations, lambda1, extent);
    if done > 0u32 {
        solution = tile.load_times(&*codes, 0usize, inverse_of_unit(certificate.unit), extent);
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
            for block in 0..extent.blocks {
                if tile.block == block {
                    descend(&mut tile, quadratic, bound, &mut solution, &mut residual, extent);
                }
                tile.apply(quadratic, &mut residual, block, extent, false);
            }
            iterations += 1u32;
            let moved = tile.accumulated(0usize);
            let size = tile.accumulated(1usize);
            uncertain = !tile.any(exceeds(moved, bounds * bounds * size)) || iterations == max_iterations;
        }
    }
    // A tile that an earlier launch has solved keeps its iterations.
    if iterations > done || done == 0u32 {
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

/// Updates the codes of the unit's block one after the other, corrects the block's residuals, publishes the changes and
/// accumulates `Σ(δⱼQⱼⱼ/L)²` and `‖α‖²`.
#[cube]
fn descend(
    tile: &mut Tile,
    quadratic: &[Four],
    bound: f32,
    solution: &mut Registers,
    residual: &mut Registers,
    extent: &Extent,
) {
    let mut moved = Four::broadcast(0.0f32);
    let mut size = Four::broadcast(0.0f32);
    #[unroll]
    for j in 0..ATOMS_PER_UNIT {
        let diagonal = tile.diagonal(quadratic, j, extent);
        let code = solution[j];
        let step = residual[j] * Four::broadcast(inverse_or_zero(diagonal));
        let updated = max(code + step, Four::broadcast(0.0f32));
        let change = updated - code;
        solution[j] = updated;
        tile.correct(quadratic, residual, j, change, extent);
        tile.publish(j, change);
        let step = change * Four::broadcast(diagonal / bound);
        moved += step * step;
        size += updated * updated;
    }
    tile.accumulate(0usize, moved);
    tile.accumulate(1usize, size);
}
