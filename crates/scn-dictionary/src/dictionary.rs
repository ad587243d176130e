//! A dictionary in the space in which it is learned.

/// `n` atoms of `p` values, one a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    /// Values p of an atom.
    pub dimension: usize,
    /// `[n, p]`.
    pub atoms: Vec<f32>,
}

impl Dictionary {
    /// Atoms `n`.
    pub fn count(&self) -> usize {
        self.atoms.len() / self.dimension
    }

    /// One atom.
    pub fn atom(&self, index: usize) -> &[f32] {
        &self.atoms[index * self.dimension..][..self.dimension]
    }

    /// `[p, n]`: what makes signals of codes.
    pub fn transposed(&self) -> Vec<f32> {
        let value = |row: usize| self.atoms.iter().skip(row).step_by(self.dimension).copied();
        (0..self.dimension).flat_map(value).collect()
    }

    /// The largest deviation of a product of two atoms from that of orthonormal ones.
    pub fn orthogonality(&self) -> f64 {
        let product = |a: usize, b: usize| -> f64 {
            let (a, b) = (self.atom(a), self.atom(b));
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let deviations = (0..self.count()).flat_map(|a| {
            (0..=a).map(move |b| {
                let expected = f64::from(a == b);
                (product(a, b) - expected).abs()
            })
        });
        deviations.fold(0.0, f64::max)
    }
}

/// Divides by the norm, unless it is 0 or no number: then nothing is changed, and it returns `false`.
pub(crate) fn normalize(atom: &mut [f32]) -> bool {
    let norm = atom.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let divides = norm > 0.0 && norm.is_finite();
    if divides {
        atom.iter_mut()
            .for_each(|value| *value = (f64::from(*value) / norm) as f32);
    }
    divides
}
