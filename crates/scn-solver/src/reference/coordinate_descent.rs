//! Cyclic coordinate descent (Gauss–Seidel) for the non-negative elastic net: one sweep is
//!
//! `αⱼ ← max(0, αⱼ + (bⱼ − (Qα)ⱼ)/Qⱼⱼ)`, j = 1..n,
//!
//! the exact minimisation over each code in turn (Friedman, Hastie & Tibshirani, J. Stat. Softw. 33(1), 2010, eq. 5).

use super::vector::add_scaled;
use super::{Dictionary, Scalar, Scratch};
use crate::{ForwardOptions, SolveInfo};

/// Minimises one problem given by `scratch.linear = b [n]` from `α = 0`, writing `codes [n]`. Atoms with `Qⱼⱼ = 0`
/// keep the code 0.
pub(crate) fn coordinate_descent<T: Scalar>(
    dictionary: &Dictionary<T>,
    options: &ForwardOptions,
    codes: &mut [T],
    scratch: &mut Scratch<T>,
) -> SolveInfo {
    let Scratch { linear: b, product, .. } = scratch;
    codes.fill(T::ZERO);
    product.fill(T::ZERO);
    let mut info = SolveInfo {
        iterations: 0,
        residual: dictionary.natural_residual(b, codes, product),
    };
    while info.residual > options.tolerance && info.iterations < options.max_iterations {
        for j in 0..dictionary.atoms() {
            let row = dictionary.quadratic_row(j);
            if row[j] > T::ZERO {
                let updated = (codes[j] + (b[j] - product[j]) / row[j]).positive_part();
                if updated != codes[j] {
                    add_scaled(product, updated - codes[j], row);
                    codes[j] = updated;
                }
            }
        }
        // A fresh product: the certificate must not carry the rounding of the updates.
        dictionary.multiply_quadratic(codes, product);
        info.iterations += 1;
        info.residual = dictionary.natural_residual(b, codes, product);
    }
    info
}
