//! `L = λ_max(Q)` by power iteration in one workgroup, so that the number never leaves the device.

use cubecl::prelude::*;

use crate::workgroup::ATOMS_PER_UNIT;

/// Writes to `bound [1]` the largest eigenvalue of `quadratic [n, n]`, symmetric positive semidefinite, as the power
/// iteration from `start [n]` finds it, times `margin`, but at most the infinity norm; 0 for a zero matrix. The number
/// of atoms is a multiple of [`ATOMS_PER_UNIT`].
///
/// Launched as one cube of `units` units, which share the rows; sums over units run in a fixed order.
#[cube(launch_unchecked)]
pub(super) fn largest_eigenvalue_kernel(
    quadratic: &[f32],
    start: &[f32],
    bound: &mut [f32],
    margin: f32,
    blocks: usize,
    iterations: u32,
    #[comptime] atoms: usize,
    #[comptime] units: usize,
) {
    let unit = UNIT_POS as usize;
    let mut direction = Shared::<[f32]>::new_slice(atoms);
    let mut image = Shared::<[f32]>::new_slice(atoms);
    let mut partial = Shared::<[f32]>::new_slice(units);

    let mut row_sum = 0.0f32;
    let mut j = unit;
    while j < atoms {
        direction[j] = start[j];
        let mut sum = 0.0f32;
        for block in 0..blocks {
            #[unroll]
            for within in 0..ATOMS_PER_UNIT {
                sum += f32::abs(quadratic[(block * ATOMS_PER_UNIT + within) * atoms + j]);
            }
        }
        row_sum = f32::max(row_sum, sum);
        j += units;
    }
    partial[unit] = row_sum;
    sync_cube();
    let mut infinity_norm = 0.0f32;
    for other in 0..units {
        infinity_norm = f32::max(infinity_norm, partial[other]);
    }

    let mut norm = 0.0f32;
    for _iteration in 0..iterations {
        let mut sum = 0.0f32;
        let mut j = unit;
        while j < atoms {
            let mut product = 0.0f32;
            // Q is symmetric: down a column, neighbouring units read neighbouring numbers.
            for block in 0..blocks {
                #[unroll]
                for within in 0..ATOMS_PER_UNIT {
                    let k = block * ATOMS_PER_UNIT + within;
                    product += quadratic[k * atoms + j] * direction[k];
                }
            }
            image[j] = product;
            sum += product * product;
            j += units;
        }
        sync_cube();
        partial[unit] = sum;
        sync_cube();
        let mut squares = 0.0f32;
        for other in 0..units {
            squares += partial[other];
        }
        norm = f32::sqrt(squares);
        let mut j = unit;
        while j < atoms {
            direction[j] = if norm > 0.0f32 { image[j] / norm } else { 0.0f32 };
            j += units;
        }
        sync_cube();
    }
    if unit == 0 {
        bound[0] = f32::min(norm * margin, infinity_norm);
    }
}
