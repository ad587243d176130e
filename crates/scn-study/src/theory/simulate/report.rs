//! What is told of a simulation.

use scn_interop::figure::figure;
use serde::Serialize;

use super::model::Model;
use super::trial::{Outcome, Theorem};
use crate::theory::bounds::{stability_bound, uniqueness_bound};

/// What is found and shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Sparse signals of each model.
    pub sparse_signals: usize,
    /// Dense ones.
    pub dense_signals: usize,
    /// ε₀.
    pub noise: f64,
    /// Of dictionaries, signals and noise.
    pub seed: u64,
    /// One for each model.
    pub models: Vec<ModelReport>,
}

/// A model and what became of its signals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// From the signal on.
    pub layers: Vec<LayerReport>,
    /// One for each theorem.
    pub theorems: Vec<TheoremReport>,
}

/// A dictionary of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// n.
    pub atoms: usize,
    /// c.
    pub channels: usize,
    /// k.
    pub kernel: usize,
    /// Rows and columns from one atom to the next.
    pub stride: usize,
    /// μ.
    pub coherence: f64,
    /// ½(1 + 1/μ).
    pub uniqueness_bound: Option<f64>,
    /// ⅓(1 + 1/μ).
    pub stability_bound: Option<f64>,
}

/// A theorem on the signals of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TheoremReport {
    /// The theorem.
    pub theorem: Theorem,
    /// Signals that meet its conditions in every layer.
    pub inside: Tally,
    /// The others, of which it says nothing.
    pub outside: Tally,
}

/// What a pursuit made of some signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Signals.
    pub signals: usize,
    /// Those that came out as the theorem promises.
    pub kept: usize,
    /// Those whose supports were all found.
    pub supports_equal: usize,
    /// Those with codes that should be 0.
    pub with_false_atoms: usize,
    /// Those with a solve that is not certified.
    pub uncertified: usize,
    /// The largest error relative to the theorem's bound.
    #[serde(serialize_with = "figure")]
    pub worst_error: f64,
}

impl Tally {
    fn add(&mut self, theorem: Theorem, outcome: &Outcome) {
        self.signals += 1;
        self.kept += usize::from(theorem.kept(outcome));
        self.supports_equal += usize::from(outcome.supports_equal);
        self.with_false_atoms += usize::from(outcome.false_atoms > 0);
        self.uncertified += usize::from(!outcome.certified);
        self.worst_error = self.worst_error.max(outcome.error);
    }
}

impl ModelReport {
    pub(super) fn of(model: &Model, outcomes: &[[Outcome; Theorem::ALL.len()]]) -> Self {
        let layers = model.layers.iter().map(|dictionary| {
            let [atoms, channels, kernel, _] = dictionary.shape();
            let coherence = dictionary.coherence();
            LayerReport {
                atoms,
                channels,
                kernel,
                stride: dictionary.stride(),
                coherence,
                uniqueness_bound: uniqueness_bound(coherence),
                stability_bound: stability_bound(coherence),
            }
        });
        let theorems = Theorem::ALL.into_iter().enumerate().map(|(index, theorem)| {
            let (mut inside, mut outside) = (Tally::default(), Tally::default());
            for outcome in outcomes.iter().map(|outcomes| &outcomes[index]) {
                let tally = if outcome.inside { &mut inside } else { &mut outside };
                tally.add(theorem, outcome);
            }
            TheoremReport {
                theorem,
                inside,
                outside,
            }
        });
        Self {
            name: model.plan.name,
            doc: model.plan.doc,
            layers: layers.collect(),
            theorems: theorems.collect(),
        }
    }
}
