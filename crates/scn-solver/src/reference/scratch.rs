//! The working memory of the reference solvers, owned by the caller and reused from problem to problem.

use super::{Dictionary, Scalar};

/// Working memory for one problem of a dictionary with `n` atoms.
#[derive(Clone, Debug)]
pub struct Scratch<T> {
    /// `b = Dᵀx − λ₁`.
    pub(crate) linear: Vec<T>,
    /// `Qα` of the current iterate, freshly multiplied.
    pub(crate) product: Vec<T>,
    /// FISTA's `γ`.
    pub(crate) extrapolated: Vec<T>,
    /// `Qγ`.
    pub(crate) extrapolated_product: Vec<T>,
    /// FISTA's `α⁺`.
    pub(crate) next: Vec<T>,
    /// `Qα⁺`.
    pub(crate) next_product: Vec<T>,
}

impl<T: Scalar> Scratch<T> {
    /// Working memory for problems with `dictionary`, or with any other one of as many atoms.
    pub fn new(dictionary: &Dictionary<T>) -> Self {
        let zeros = || vec![T::ZERO; dictionary.atoms()];
        Self {
            linear: zeros(),
            product: zeros(),
            extrapolated: zeros(),
            extrapolated_product: zeros(),
            next: zeros(),
            next_product: zeros(),
        }
    }
}
