//! The sums over all batches that the update of a dictionary needs, older batches counting less (Mairal, Bach, Ponce &
//! Sapiro, JMLR 11, 2010, algorithm 1 and section 3.4.2).

use scn_train::tensors::{Array, Arrays};

use crate::signals::Signals;

/// After t batches the sums so far count `(1 − 1/t)^ρ` times, so that batch s counts about `(s/t)^ρ`.
const FORGETTING: i32 = 3;

const CODES: &str = "surrogate.codes";
const SIGNALS: &str = "surrogate.signals";

/// `½ Σ ‖x − Dα‖²` of the past as a function of D.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Surrogate {
    /// `Σ ααᵀ [n, n]`.
    pub(crate) codes: Vec<f32>,
    /// `Σ αxᵀ [n, p]`.
    pub(crate) signals: Vec<f32>,
    atoms: usize,
}

impl Surrogate {
    pub(crate) fn new(atoms: usize, dimension: usize) -> Self {
        Self {
            codes: vec![0.0; atoms * atoms],
            signals: vec![0.0; atoms * dimension],
            atoms,
        }
    }

    /// Adds batch `step`, counted from 0.
    pub(crate) fn add(&mut self, step: usize, signals: &Signals, codes: &Signals) {
        let kept = kept(step) as f32;
        let sums = [
            (&mut self.codes, codes.products(codes)),
            (&mut self.signals, signals.products(codes)),
        ];
        for (sums, batch) in sums {
            sums.iter_mut()
                .zip(batch)
                .for_each(|(sum, new)| *sum = kept * *sum + new);
        }
    }

    /// Forgets an atom that is replaced.
    pub(crate) fn forget(&mut self, atom: usize) {
        let (n, p) = (self.atoms, self.signals.len() / self.atoms);
        self.codes[atom * n..][..n].fill(0.0);
        self.codes.iter_mut().skip(atom).step_by(n).for_each(|sum| *sum = 0.0);
        self.signals[atom * p..][..p].fill(0.0);
    }

    pub(crate) fn store(&self, arrays: &mut Arrays) {
        for (name, values) in [(CODES, &self.codes), (SIGNALS, &self.signals)] {
            let shape = vec![self.atoms, values.len() / self.atoms];
            let values = values.clone();
            arrays.insert(name.into(), Array { shape, values });
        }
    }

    /// The sums in `arrays`, whose shapes were checked.
    pub(crate) fn restore(&mut self, arrays: &Arrays) {
        for (name, values) in [(CODES, &mut self.codes), (SIGNALS, &mut self.signals)] {
            if let Some(array) = arrays.get(name) {
                values.clone_from(&array.values);
            }
        }
    }
}

/// What sums over the batches before `step` are multiplied by.
pub(crate) fn kept(step: usize) -> f64 {
    (1.0 - 1.0 / (step + 1) as f64).powi(FORGETTING)
}
