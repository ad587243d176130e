//! FISTA for the non-negative elastic net (Sun, Nasrabadi & Tran, arXiv:1701.08349, appendix A, algorithm 1; Beck &
//! Teboulle, SIAM J. Imaging Sci. 2(1), 2009):
//!
//! `α⁺ = max(0, γ + (b − Qγ)/L)`, `s⁺ = (1 + √(1 + 4s²))/2`, `γ⁺ = α⁺ + (s − 1)/s⁺·(α⁺ − α)`.
//!
//! The listing in the paper lacks the square root and writes x for α. Gradient restart (O'Donoghue & Candès, Found.
//! Comput. Math. 15, 2015, section 3.2) begins anew from `α⁺` whenever the step taken from γ points against the
//! momentum, `(γ − α⁺)ᵀ(α⁺ − α) > 0`.

use super::{Dictionary, Scalar, Scratch};
use crate::{ForwardOptions, SolveInfo};

/// Minimises one problem given by `scratch.linear = b [n]` from `α = 0`, writing `codes [n]`.
pub(crate) fn fista<T: Scalar>(
    dictionary: &Dictionary<T>,
    options: &ForwardOptions,
    gradient_restart: bool,
    codes: &mut [T],
    scratch: &mut Scratch<T>,
) -> SolveInfo {
    let n = dictionary.atoms();
    let lipschitz = dictionary.step_bound();
    let Scratch {
        linear: b,
        product,
        extrapolated: gamma,
        extrapolated_product: gamma_product,
        next,
        next_product,
    } = scratch;
    for start in [&mut *codes, product, gamma, gamma_product] {
        start.fill(T::ZERO);
    }
    let mut s = 1.0f64;
    let mut info = SolveInfo {
        iterations: 0,
        residual: dictionary.natural_residual(b, codes, product),
    };
    while info.residual > options.tolerance && info.iterations < options.max_iterations {
        let mut against_momentum = 0.0;
        for j in 0..n {
            next[j] = (gamma[j] + (b[j] - gamma_product[j]) / lipschitz).positive_part();
            against_momentum += ((gamma[j] - next[j]) * (next[j] - codes[j])).to_f64();
        }
        dictionary.multiply_quadratic(next, next_product);

        let (momentum, s_next) = if gradient_restart && against_momentum > 0.0 {
            (T::ZERO, 1.0)
        } else {
            let s_next = (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0;
            (T::from_f64((s - 1.0) / s_next), s_next)
        };
        s = s_next;
        for j in 0..n {
            gamma[j] = next[j] + momentum * (next[j] - codes[j]);
            // Q is linear, so that Qγ⁺ follows from Qα⁺ and Qα without another product.
            gamma_product[j] = next_product[j] + momentum * (next_product[j] - product[j]);
        }
        codes.copy_from_slice(next);
        product.copy_from_slice(next_product);
        info.iterations += 1;
        info.residual = dictionary.natural_residual(b, codes, product);
    }
    info
}
