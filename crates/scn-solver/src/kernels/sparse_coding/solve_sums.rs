//! What the solves of a batch report, summed over its pixels.

use rayon::prelude::*;

/// Partial sums of an image.
const LANES: usize = 16;

/// Sums over solves, forward or backward ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SolveSums {
    /// Iterations, or the prices of backward systems.
    pub iterations: f64,
    /// Relative residuals.
    pub residuals: f64,
    /// The largest residual, NaN where one is.
    pub largest: f64,
    /// How many ended at their cap, with a residual above the tolerance.
    pub capped: u64,
}

/// Sums of solves `[b, 2, pixels]`, as [`super::Solution`] and [`super::Gradients`] have them. Images are added up in f64 and
/// in their order, so that the sums do not depend on the number of threads.
///
/// # Panics
/// Where the solves are not of whole images.
pub fn solve_sums(solves: &[f32], pixels: usize, max_iterations: usize, tolerance: f64) -> SolveSums {
    let image = 2 * pixels;
    assert!(
        solves.is_empty() || (image > 0 && solves.len().is_multiple_of(image)),
        "{} values are not iterations and residuals of images of {pixels} pixels",
        solves.len()
    );
    let (cap, tolerance) = (max_iterations as f32, tolerance as f32);
    let images: Vec<SolveSums> = solves
        .par_chunks(image.max(1))
        .map(|solves| {
            let (iterations, residuals) = solves.split_at(pixels);
            of_image(iterations, residuals, cap, tolerance)
        })
        .collect();
    let mut total = SolveSums::default();
    for image in images {
        total.iterations += image.iterations;
        total.residuals += image.residuals;
        total.largest = total.largest.max(image.largest);
        total.capped += image.capped;
    }
    if total.residuals.is_nan() {
        total.largest = f64::NAN;
    }
    total
}

/// Sums of one image, in interleaved parts, which the compiler turns into vectors.
fn of_image(iterations: &[f32], residuals: &[f32], cap: f32, tolerance: f32) -> SolveSums {
    let (mut spent, mut left, mut largest, mut capped) =
        ([0.0f32; LANES], [0.0f32; LANES], [0.0f32; LANES], [0u32; LANES]);
    let parts = iterations.chunks(LANES).zip(residuals.chunks(LANES));
    for (iterations, residuals) in parts {
        for (i, (&iterations, &residual)) in iterations.iter().zip(residuals).enumerate() {
            spent[i] += iterations;
            left[i] += residual;
            largest[i] = largest[i].max(residual);
            capped[i] += u32::from(iterations >= cap && residual > tolerance);
        }
    }
    SolveSums {
        iterations: spent.iter().map(|&spent| f64::from(spent)).sum(),
        residuals: left.iter().map(|&left| f64::from(left)).sum(),
        largest: f64::from(largest.into_iter().fold(0.0, f32::max)),
        capped: capped.iter().map(|&capped| u64::from(capped)).sum(),
    }
}
