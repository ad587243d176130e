//! Signals of multi-layer models whose dictionaries meet the theorems' conditions, and of the same models where they are
//! not met: noise of bounded local energy is added, every pursuit is run, and supports and errors are held against what
//! the theorems ([`super::bounds`]) promise.

mod dictionary;
mod model;
mod pursuit;
mod report;
mod signal;
mod trial;

pub use dictionary::Dictionary;
pub use model::{AtomKind, LayerPlan, MODELS, Model, Plan};
pub use pursuit::{Solution, basis_pursuit, lasso, thresholding};
pub use report::{ModelReport, Report, Tally, TheoremReport};
pub use trial::{Outcome, Theorem};

use rayon::prelude::*;

use self::signal::{Density, Signal};

/// So many sparse signals for each dense one, whose problems take longer.
const SPARSE_FOR_DENSE: usize = 20;

/// How many signals are drawn, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Sparse signals of each model; a twentieth as many are dense.
    pub signals: usize,
    /// `ε₀ = ‖E‖ᴾ₂,∞`, the largest norm of the noise in a window of the first layer, where the deepest codes are about 1.
    pub noise: f64,
    /// Of dictionaries, signals and noise.
    pub seed: u64,
}

/// Draws signals of every model and runs every pursuit on each.
pub fn study(options: Options) -> Report {
    let dense = options.signals.div_ceil(SPARSE_FOR_DENSE);
    let models = MODELS.iter().enumerate().map(|(index, plan)| {
        let model = Model::new(plan, options.seed, index);
        let all: Vec<_> = [(Density::Sparse, options.signals), (Density::Dense, dense)]
            .into_iter()
            .flat_map(|(density, signals)| (0..signals).map(move |signal| (density, signal)))
            .collect();
        let outcomes: Vec<_> = all
            .into_par_iter()
            .map(|(density, signal)| {
                let mut random = signal::stream(options.seed, index, density, signal);
                let signal = Signal::draw(&model, density, options.noise, &mut random);
                Theorem::ALL.map(|theorem| theorem.trial(&model, &signal))
            })
            .collect();
        ModelReport::of(&model, &outcomes)
    });
    Report {
        sparse_signals: options.signals,
        dense_signals: dense,
        noise: options.noise,
        seed: options.seed,
        models: models.collect(),
    }
}
