//! One theorem on one signal.

use serde::Serialize;

use super::model::Model;
use super::pursuit::{CERTIFIED, basis_pursuit, lasso, thresholding};
use super::signal::{Signal, patch_before};
use crate::theory::bounds::{LayerFigures, below, pursuit_weight, stability_bound, uniqueness_bound};
use crate::theory::norms::{Maps, patch_energy, patch_norm, stripe_norm};

/// The threshold lies here between the least and the largest that are admissible: the smaller, the smaller ε.
const THRESHOLD: f64 = 0.01;
/// Codes are recovered exactly up to this share of the largest.
const EXACT: f64 = 1e-8;

/// A theorem on layered pursuits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theorem {
    /// Layered basis pursuit without noise recovers the codes.
    ExactRecovery,
    /// Layered thresholding finds the support, with a bounded error.
    Thresholding,
    /// Layered basis pursuit with noise takes no false atom, finds all large entries, and has a bounded error.
    BasisPursuit,
}

/// What a pursuit made of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether the theorem's conditions hold in every layer.
    pub inside: bool,
    /// Whether all solves are certified.
    pub certified: bool,
    /// Whether every support is found.
    pub supports_equal: bool,
    /// Codes that are not 0 and should be.
    pub false_atoms: usize,
    /// Codes that are 0 and were to be found.
    pub missed: usize,
    /// The largest error of a layer, relative to what the theorem allows.
    pub error: f64,
}

impl Outcome {
    const START: Outcome = Outcome {
        inside: true,
        certified: true,
        supports_equal: true,
        false_atoms: 0,
        missed: 0,
        error: 0.0,
    };
}

impl Theorem {
    /// Every theorem.
    pub const ALL: [Theorem; 3] = [Theorem::ExactRecovery, Theorem::Thresholding, Theorem::BasisPursuit];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Theorem::ExactRecovery => "exact recovery by layered basis pursuit, without noise",
            Theorem::Thresholding => "layered thresholding",
            Theorem::BasisPursuit => "layered basis pursuit",
        }
    }

    /// Whether all is as the theorem promises.
    pub fn kept(self, outcome: &Outcome) -> bool {
        let found = match self {
            Theorem::ExactRecovery | Theorem::Thresholding => outcome.supports_equal,
            Theorem::BasisPursuit => outcome.false_atoms == 0 && outcome.missed == 0,
        };
        found && outcome.certified && outcome.error <= 1.0
    }

    /// Runs the pursuit layer by layer, each on what the one before found.
    pub(super) fn trial(self, model: &Model, signal: &Signal) -> Outcome {
        let mut outcome = Outcome::START;
        let mut epsilon = signal.noise;
        let mut input = match self {
            Theorem::ExactRecovery => signal.clean.clone(),
            Theorem::Thresholding | Theorem::BasisPursuit => signal.noisy.clone(),
        };
        for (index, (dictionary, codes)) in model.layers.iter().zip(&signal.codes).enumerate() {
            let (shape, patch) = (dictionary.code_shape(), patch_before(model.layers.get(index + 1)));
            let maps = |values| Maps { values, shape };
            let magnitudes = || codes.iter().map(|code| code.abs()).filter(|&magnitude| magnitude > 0.0);
            let figures = LayerFigures {
                coherence: dictionary.coherence(),
                stripe_norm: stripe_norm(maps(codes), dictionary.overlap()),
                patch_norm: patch_norm(maps(codes), patch),
                smallest: magnitudes().reduce(f64::min).unwrap_or_default(),
                largest: magnitudes().fold(0.0, f64::max),
            };
            let found;
            let to_find;
            (outcome.inside, found, epsilon, to_find) = match self {
                Theorem::ExactRecovery => {
                    let inside = below(figures.stripe_norm, uniqueness_bound(figures.coherence));
                    let solution = basis_pursuit(dictionary, &input);
                    outcome.certified &= solution.is_some();
                    let found = solution.unwrap_or_else(|| vec![0.0; codes.len()]);
                    (outcome.inside && inside, found, EXACT * figures.largest, 0.0)
                }
                Theorem::Thresholding => {
                    let [least, most] = figures.thresholds(epsilon);
                    let beta = match least < most {
                        true if most.is_finite() => least + THRESHOLD * (most - least),
                        true => least,
                        false => (least + most).max(0.0) / 2.0,
                    };
                    let found = thresholding(dictionary, &input, beta);
                    let bound = figures.thresholding_epsilon(epsilon, beta);
                    (outcome.inside && least < most, found, bound, 0.0)
                }
                Theorem::BasisPursuit => {
                    let inside = below(figures.stripe_norm, stability_bound(figures.coherence));
                    let solution = lasso(dictionary, &input, pursuit_weight(epsilon));
                    outcome.certified &= solution.kkt <= CERTIFIED;
                    let bound = figures.pursuit_epsilon(epsilon);
                    (
                        outcome.inside && inside,
                        solution.codes,
                        bound,
                        figures.found_above(bound),
                    )
                }
            };
            for (code, found) in codes.iter().zip(&found) {
                let (is, was_found) = (*code != 0.0, *found != 0.0);
                outcome.supports_equal &= is == was_found;
                outcome.false_atoms += usize::from(was_found && !is);
                outcome.missed += usize::from(is && !was_found && code.abs() > to_find);
            }
            let error: Vec<f64> = codes.iter().zip(&found).map(|(code, found)| found - code).collect();
            let error = patch_energy(maps(&error), patch);
            if error > 0.0 {
                outcome.error = outcome.error.max(error / epsilon);
            }
            input = found;
        }
        outcome
    }
}
