//! The guarantees of layered sparse coding, held against dictionaries, trained networks and simulated signals: mutual
//! coherence ([`coherence`]), local norms of codes ([`norms`]), what the theorems ask and promise ([`bounds`]), a file of
//! weights ([`dictionary`]), a network ([`network`]) and signals of a multi-layer model ([`simulate`]).

pub mod atoms;
pub mod bounds;
pub mod coherence;
pub mod dictionary;
pub mod network;
pub mod norms;
pub mod simulate;

use atoms::{Atoms, Overlap};

use crate::StudyError;

/// Multiply-adds of correlations that are not begun: an hour's work.
const MOST_WORK: f64 = 1e13;

/// Checks that there is an atom with a direction in what is called `what`.
///
/// # Errors
/// [`StudyError::ZeroAtoms`].
fn some_atoms(atoms: &Atoms, what: impl Fn() -> String) -> Result<(), StudyError> {
    match atoms.norms.iter().any(|&norm| norm > 0.0) {
        true => Ok(()),
        false => Err(StudyError::ZeroAtoms {
            what: what(),
            atoms: atoms.count(),
        }),
    }
}

/// Checks that the correlations of what is called `what` can be computed.
///
/// # Errors
/// [`StudyError::Correlations`].
fn check_work(atoms: &Atoms, overlap: &Overlap, what: impl Fn() -> String) -> Result<(), StudyError> {
    let work = coherence::work(atoms, overlap);
    if work <= MOST_WORK {
        return Ok(());
    }
    Err(StudyError::Correlations {
        what: what(),
        work,
        most: MOST_WORK,
    })
}
