//! Orthogonal sparse coding with so many codes that are not 0 (Schütze, Barth & Martinetz, IEEE Trans. Comput. Imaging
//! 2(3), 2016; Bowren, section 5.3): `min ½‖x − Dα‖²` with `‖α‖₀ ≤ k` keeps the k products `dⱼᵀx` of largest magnitude.

use scn_train::tensors::Arrays;

use super::{Inference, Method};
use crate::dictionary::Dictionary;
use crate::error::DictionaryError;
use crate::signals::Signals;
use crate::update::{Surrogate, procrustes};

pub(super) struct OrthogonalL0 {
    nonzeros: usize,
    surrogate: Surrogate,
}

impl OrthogonalL0 {
    pub(super) fn new(nonzeros: usize, atoms: usize, dimension: usize) -> Self {
        Self {
            nonzeros,
            surrogate: Surrogate::new(atoms, dimension),
        }
    }
}

impl Method for OrthogonalL0 {
    fn infer(&self, dictionary: &Dictionary, signals: &Signals) -> Result<Inference, DictionaryError> {
        let products = signals.times(&dictionary.atoms);
        let mut columns = products.columns();
        for codes in columns.chunks_exact_mut(dictionary.count()) {
            let mut order: Vec<usize> = (0..codes.len()).collect();
            // Stable: of equals those of earlier atoms are kept.
            order.sort_by(|&a, &b| codes[b].abs().total_cmp(&codes[a].abs()));
            order.iter().skip(self.nonzeros).for_each(|&atom| codes[atom] = 0.0);
        }
        let zeros = vec![0.0; dictionary.count()];
        Ok(Inference::exact(Signals::centred(&columns, &zeros)))
    }

    fn penalty(&self, _: &Signals) -> f64 {
        0.0
    }

    fn is_orthogonal(&self) -> bool {
        true
    }

    fn step(
        &mut self,
        step: usize,
        dictionary: &mut Dictionary,
        signals: &Signals,
        codes: &Signals,
    ) -> Result<(), DictionaryError> {
        self.surrogate.add(step, signals, codes);
        procrustes(dictionary, &self.surrogate)
    }

    fn lambda(&self, _: usize) -> Option<Vec<f32>> {
        None
    }

    fn store(&self, arrays: &mut Arrays) {
        self.surrogate.store(arrays);
    }

    fn restore(&mut self, arrays: &Arrays) {
        self.surrogate.restore(arrays);
    }
}
