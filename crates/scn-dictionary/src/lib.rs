//! Unsupervised dictionaries of image patches: sparse coding and what it is compared with (Bowren, "A Sparse Coding
//! Interpretation of Neural Networks and Theoretical Implications").
//!
//! Patches are drawn and whitened (`scn-data`), a [method](methods) infers their codes and steps its dictionary, and a
//! run is kept as those of networks are (`scn-train`). Everything is computed by the kernels of `scn-solver`.

mod checkpoint;
mod dictionary;
mod error;
mod experiment;
mod figure;
mod frequency;
mod learner;
mod methods;
mod patches;
mod progress;
mod signals;
mod trainer;
mod update;

pub use checkpoint::DictionaryCheckpoint;
pub use dictionary::Dictionary;
pub use error::DictionaryError;
pub use experiment::{DictionaryConfig, DictionaryExperiment, is_dictionary_experiment, reference};
pub use figure::draw;
pub use frequency::{HIGH, Spectrum};
pub use learner::{Figures, Learner};
pub use methods::MethodKind;
pub use patches::Patches;
pub use progress::{Outcome, Progress, Report};
pub use signals::Signals;
pub use trainer::{Start, Trainer};
pub use update::nearest_orthogonal;
