//! Unit-norm atoms that lower the surrogate, one after the other, each to its minimiser given the others (Mairal, Bach,
//! Ponce & Sapiro, JMLR 11, 2010, algorithm 2): `dⱼ ← (bⱼ − Σ_{k≠j} aⱼₖ dₖ) / ‖·‖` for `A = Σ ααᵀ` and `B = Σ αxᵀ`.

use super::surrogate::Surrogate;
use crate::dictionary::{Dictionary, normalize};
use crate::signals::{Signals, matrix_product};

/// Atoms whose gradients come from one product; what they change for each other is added apart.
const BLOCK: usize = 32;
/// An atom that is used so much less than the mean atom is replaced.
const UNUSED: f32 = 1e-6;

/// One pass over the atoms. Those that no code uses are replaced by signals of the batch, the first by the first.
pub(crate) fn block_coordinate_descent(dictionary: &mut Dictionary, surrogate: &mut Surrogate, signals: &Signals) {
    let (n, p) = (dictionary.count(), dictionary.dimension);
    let usage = |surrogate: &Surrogate, atom: usize| surrogate.codes[atom * n + atom];
    let mean = (0..n).map(|atom| usage(surrogate, atom)).sum::<f32>() / n as f32;
    let mut unseen = 0..signals.count();
    for first in (0..n).step_by(BLOCK) {
        let block = first..n.min(first + BLOCK);
        let fitted = matrix_product(&surrogate.codes[block.start * n..block.end * n], &dictionary.atoms, p);
        let mut residuals: Vec<f32> = surrogate.signals[block.start * p..block.end * p]
            .iter()
            .zip(fitted)
            .map(|(sum, fitted)| sum - fitted)
            .collect();
        for atom in block.clone() {
            let used = usage(surrogate, atom);
            let old = dictionary.atom(atom).to_vec();
            let mut new = if used > UNUSED * mean {
                let residual = &residuals[(atom - first) * p..][..p];
                old.iter().zip(residual).map(|(old, r)| used * old + r).collect()
            } else {
                // Of the others' residuals this atom's part is too small to matter.
                surrogate.forget(atom);
                unseen.next().map_or_else(|| old.clone(), |index| signals.column(index))
            };
            if !normalize(&mut new) {
                continue;
            }
            for later in atom + 1..block.end {
                let coupling = surrogate.codes[later * n + atom];
                let residual = &mut residuals[(later - first) * p..][..p];
                for (r, (new, old)) in residual.iter_mut().zip(new.iter().zip(&old)) {
                    *r -= coupling * (new - old);
                }
            }
            dictionary.atoms[atom * p..][..p].copy_from_slice(&new);
        }
    }
}
