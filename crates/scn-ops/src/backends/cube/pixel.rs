//! Where a pixel's numbers lie, and its certificate. One unit solves one pixel; column `unit` of the shared memory
//! belongs to it alone, so that no solve needs a barrier.

use cubecl::prelude::*;

/// The sizes of a layer. They are numbers that the kernels read, not constants of theirs: drivers that see short loops
/// of known length unroll them, for seconds.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Extent {
    /// Pixels of the batch.
    pub problems: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Atoms `n`.
    pub atoms: usize,
    /// Blocks of atoms, the last one padded: Q is `[8·blocks, 8·blocks]`.
    pub blocks: usize,
}

/// The index of a pixel's first atom in `[b, n, h', w']`; its atoms lie `pixels` apart.
#[cube]
pub(super) fn first_atom(pixel: usize, extent: &Extent) -> usize {
    (pixel / extent.pixels) * (extent.pixels * extent.atoms) + pixel % extent.pixels
}

/// The index of a pixel's iterations in `[b, 2, h', w']`; its residual lies `pixels` further.
#[cube]
pub(super) fn first_solve(pixel: usize, pixels: usize) -> usize {
    (pixel / pixels) * (pixels * 2usize) + pixel % pixels
}

/// `bⱼ = correlations − lambda1` of the pixel whose first atom lies at `first`, 0 for the atoms of the padding.
#[cube]
pub(super) fn linear_term(correlations: &[f32], lambda1: &[f32], first: usize, j: usize, extent: &Extent) -> f32 {
    let mut b = 0.0f32;
    if j < extent.atoms {
        b = correlations[first + j * extent.pixels] - lambda1[j];
    }
    b
}

/// Whether a number is NaN or infinite, by its bits: WGSL lets a compiler assume that comparisons meet neither.
#[cube]
pub(super) fn is_nan_or_infinite(value: f32) -> bool {
    (u32::reinterpret(value) & 0x7f80_0000u32) == 0x7f80_0000u32
}

/// The step bound `L`, or 1 for `Q = 0`, where every step length is as good.
#[cube]
pub(super) fn step_bound(lipschitz: f32) -> f32 {
    let mut bound = 1.0f32;
    if lipschitz > 0.0f32 {
        bound = lipschitz;
    }
    bound
}

/// `min(α, ∇/L)²`, an atom's part of `‖α − max(0, α − ∇/L)‖²` without the cancellation.
#[cube]
pub(super) fn squared_gap(code: f32, step: f32) -> f32 {
    let gap = f32::min(code, step);
    gap * gap
}

/// ρ from `‖α − max(0, α − ∇/L)‖²` and `‖α‖²`; for `α = 0` it is 0 at an optimum, else infinite.
#[cube]
pub(super) fn relative_residual(squared_gap: f32, squared_size: f32, infinity: f32) -> f32 {
    let mut residual = 0.0f32;
    if squared_gap > 0.0f32 {
        residual = infinity;
        if squared_size > 0.0f32 {
            residual = f32::sqrt(squared_gap / squared_size);
        }
    }
    residual
}
