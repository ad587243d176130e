//! The mutual coherence of a convolutional dictionary (Papyan, Sulam & Elad, "Working locally thinking globally", IEEE
//! Transactions on Signal Processing 65, 2017): `μ(D) = max |d̂ᵢᵀ d̂ⱼ|` over the different columns of the matrix D, which
//! holds every atom at every position. Two columns share places only where their shift is a multiple of the stride and
//! smaller than the window, so that μ is the largest of the atoms' correlations there. Atoms are whole: the border of
//! an image, which cuts some, does not count.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::atoms::{Atoms, Overlap};

/// Atoms count as repeated from this correlation on: f32 tells no direction from another that is as near.
const REPEATED: f64 = 1.0 - 1e-10;

/// Two columns of a convolutional dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// An atom.
    pub atom: usize,
    /// Another, or the same at another position.
    pub other: usize,
    /// Rows and columns of the code from the first to the second.
    pub shift: [isize; 2],
}

/// How alike the columns of a dictionary are.
#[derive(Clone, Debug, PartialEq)]
pub struct Coherence {
    /// μ, from 0 to 1; 0 where no two columns share a place.
    pub value: f64,
    /// The first pair that has it; none where it is 0.
    pub pair: Option<Pair>,
    /// Every atom that repeats an earlier one up to its scale and sign, perhaps shifted: μ is 1 then.
    pub repeated: Vec<Pair>,
}

/// Multiply-adds that [`coherence`] takes.
pub fn work(atoms: &Atoms, overlap: &Overlap) -> f64 {
    let shared = |&shift: &isize| (atoms.kernel() - shift.unsigned_abs()) as f64;
    let places: f64 = overlap.places.iter().map(shared).sum();
    let count = atoms.count() as f64;
    0.5 * count * (count + 1.0) * places * places * atoms.channels() as f64
}

/// The coherence of atoms that meet as `overlap` says, and its pair. Atoms of zeros take no part.
pub fn coherence(atoms: &Atoms, overlap: &Overlap) -> Coherence {
    let rows: Vec<Row> = (0..atoms.count())
        .into_par_iter()
        .filter(|&atom| atoms.norms[atom] > 0.0)
        .map(|atom| Row::of(atoms, overlap, atom))
        .collect();
    let mut value = 0.0;
    let mut pair = None;
    let mut repeated = BTreeMap::new();
    for row in rows {
        if row.value > value {
            (value, pair) = (row.value, row.pair);
        }
        for found in row.repeated {
            repeated.entry(found.other).or_insert(found);
        }
    }
    let repeated: Vec<_> = repeated.into_values().collect();
    // Rounding may leave equal atoms on either side of 1.
    let value = if repeated.is_empty() { f64::min(value, 1.0) } else { 1.0 };
    Coherence { value, pair, repeated }
}

/// The correlations of one atom with itself and those after it.
struct Row {
    value: f64,
    pair: Option<Pair>,
    repeated: Vec<Pair>,
}

impl Row {
    fn of(atoms: &Atoms, overlap: &Overlap, atom: usize) -> Self {
        let mut row = Row {
            value: 0.0,
            pair: None,
            repeated: Vec::new(),
        };
        for other in (atom..atoms.count()).filter(|&other| atoms.norms[other] > 0.0) {
            let mut repeats = false;
            for (vertical, rows) in overlap.places.iter().enumerate() {
                for (horizontal, columns) in overlap.places.iter().enumerate() {
                    // Of an atom and itself, one of two opposite shifts says it all.
                    if other == atom && (*rows, *columns) <= (0, 0) {
                        continue;
                    }
                    let found = atoms.correlation(atom, other, [*rows, *columns]).abs();
                    let shift = [overlap.positions[vertical], overlap.positions[horizontal]];
                    let pair = Pair { atom, other, shift };
                    if found > row.value {
                        (row.value, row.pair) = (found, Some(pair));
                    }
                    if found >= REPEATED && !repeats {
                        repeats = true;
                        row.repeated.push(pair);
                    }
                }
            }
        }
        row
    }
}
