//! Checkpoints of a dictionary: a folder as those of networks.
//!
//! ```text
//! dictionary.safetensors  weight [n, c, k, k], the atoms as images; filters [n, c, k, k], which make of patches what atoms
//!                         make of whitened ones; lambda [n], mean [m], whitening [p, m] and basis [m, p]
//! learner.safetensors     atoms [n, p] and what the next step needs
//! state.json              where learning stands
//! model.json              the experiment's table `dictionary`, and the seed
//! origin.json             the images, the program and the device
//! ```

use std::path::Path;

use scn_data::Whitening;
use scn_train::checkpoint::{CheckpointError, Origin, Position, Stored, json, read_files, write_files};
use scn_train::tensors::{self, Array, Arrays};
use scn_train::{DICTIONARY_FILE, exact};
use serde::{Deserialize, Serialize};

use crate::dictionary::Dictionary;
use crate::experiment::DictionaryConfig;
use crate::learner::{Learner, Sums};
use crate::signals::matrix_product;

const LEARNER: &str = "learner.safetensors";
const STATE: &str = "state.json";
const DESCRIPTION: &str = "model.json";
const ORIGIN: &str = "origin.json";
/// The tensor of [`LEARNER`] that holds the atoms.
const ATOMS: &str = "atoms";

/// Where learning stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Epochs that are done.
    pub(crate) epoch: usize,
    /// Batches of the next epoch that are done.
    pub(crate) batch: usize,
    /// Steps in all.
    pub(crate) step: usize,
    /// Patches in all.
    pub(crate) patches: usize,
    /// Seconds spent in steps.
    #[serde(with = "exact")]
    pub(crate) seconds: f64,
    /// Seconds of the unfinished epoch.
    #[serde(with = "exact")]
    pub(crate) epoch_seconds: f64,
    /// Sums of the unfinished epoch.
    pub(crate) sums: Sums,
}

impl State {
    pub(crate) fn position(&self) -> Position {
        Position {
            epochs: self.epoch,
            batches: self.batch,
            steps: self.step,
        }
    }
}

/// What the dictionary is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) dictionary: DictionaryConfig,
    pub(crate) seed: u64,
}

/// Everything a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct DictionaryCheckpoint {
    /// What others read.
    pub(crate) dictionary: Arrays,
    pub(crate) learner: Arrays,
    pub(crate) state: State,
    pub(crate) description: Description,
    pub(crate) origin: Origin,
}

impl DictionaryCheckpoint {
    pub(crate) fn new(
        learner: &Learner,
        whitening: &Whitening,
        state: State,
        description: Description,
        origin: Origin,
    ) -> Self {
        let Dictionary { dimension, atoms } = learner.dictionary();
        let (n, p, m) = (learner.dictionary().count(), *dimension, whitening.mean.len());
        let shape = description.dictionary.shape();
        let images = [n, shape.color.channels(), shape.side, shape.side];
        let array = |shape: &[usize], values: Vec<f32>| Array {
            shape: shape.to_vec(),
            values,
        };
        let mut dictionary = Arrays::from([
            (
                "weight".to_owned(),
                array(&images, as_images(learner.dictionary(), whitening)),
            ),
            (
                "filters".to_owned(),
                array(&images, matrix_product(atoms, &whitening.matrix, m)),
            ),
            ("mean".to_owned(), array(&[m], whitening.mean.clone())),
            ("whitening".to_owned(), array(&[p, m], whitening.matrix.clone())),
            ("basis".to_owned(), array(&[m, p], whitening.basis.clone())),
        ]);
        if let Some(lambda) = learner.lambda() {
            dictionary.insert("lambda".into(), array(&[n], lambda));
        }
        let mut state_of_learner = learner.state();
        state_of_learner.insert(ATOMS.into(), array(&[n, p], atoms.clone()));
        Self {
            dictionary,
            learner: state_of_learner,
            state,
            description,
            origin,
        }
    }

    /// The atoms as images and their shape `[n, c, k]`.
    pub fn weight(&self) -> (&[f32], [usize; 3]) {
        let config = &self.description.dictionary;
        let shape = [config.atoms, config.color.channels(), config.patch];
        (&self.dictionary["weight"].values, shape)
    }

    /// The table `dictionary` of its experiment.
    pub fn config(&self) -> &DictionaryConfig {
        &self.description.dictionary
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> usize {
        self.state.epoch
    }

    /// The learner as it was.
    pub(crate) fn restored(&self) -> Learner {
        let mut learner = Learner::empty(&self.description.dictionary);
        learner.dictionary.atoms.clone_from(&self.learner[ATOMS].values);
        learner.method.restore(&self.learner);
        learner
    }

    pub(crate) fn whitening(&self) -> Whitening {
        let values = |name: &str| self.dictionary[name].values.clone();
        Whitening {
            mean: values("mean"),
            matrix: values("whitening"),
            basis: values("basis"),
        }
    }

    /// The shapes of the tensors of both files.
    fn shapes(config: &DictionaryConfig) -> [tensors::Shapes; 2] {
        let (n, p, m) = (config.atoms, config.dimension(), config.shape().values());
        let images = vec![n, config.color.channels(), config.patch, config.patch];
        let learner = Learner::empty(config);
        let mut dictionary = tensors::Shapes::from([
            ("weight".to_owned(), images.clone()),
            ("filters".to_owned(), images),
            ("mean".to_owned(), vec![m]),
            ("whitening".to_owned(), vec![p, m]),
            ("basis".to_owned(), vec![m, p]),
        ]);
        if learner.lambda().is_some() {
            dictionary.insert("lambda".into(), vec![n]);
        }
        let mut state = tensors::shapes(&learner.state());
        state.insert(ATOMS.into(), vec![n, p]);
        [dictionary, state]
    }
}

impl Stored for DictionaryCheckpoint {
    fn save(&self, path: &Path, previous: Option<&Path>) -> Result<(), CheckpointError> {
        let files = vec![
            (DICTIONARY_FILE, tensors::to_safetensors(&self.dictionary)),
            (LEARNER, tensors::to_safetensors(&self.learner)),
            (STATE, json(&self.state)),
            (DESCRIPTION, json(&self.description)),
            (ORIGIN, json(&self.origin)),
        ];
        write_files(path, previous, files)
    }

    fn load(path: &Path) -> Result<Self, CheckpointError> {
        read_files(path, |files| {
            let description: Description = files.parsed(DESCRIPTION)?;
            let checked = description.dictionary.check_claims();
            checked.map_err(|reason| files.content(DESCRIPTION, reason))?;
            let [dictionary, learner] = [files.arrays(DICTIONARY_FILE)?, files.arrays(LEARNER)?];
            let expected = Self::shapes(&description.dictionary);
            for (name, expected, found) in [
                (DICTIONARY_FILE, &expected[0], &dictionary),
                (LEARNER, &expected[1], &learner),
            ] {
                tensors::check(expected, found).map_err(|error| files.content(name, error.to_string()))?;
            }
            Ok(Self {
                dictionary,
                learner,
                state: files.parsed(STATE)?,
                description,
                origin: files.parsed(ORIGIN)?,
            })
        })
    }

    fn steps(path: &Path) -> Result<usize, CheckpointError> {
        read_files(path, |files| files.parsed::<State>(STATE)).map(|state| state.step)
    }

    fn position(&self) -> Position {
        self.state.position()
    }
}

/// The atoms as images, `[n, c, k, k]`.
pub(crate) fn as_images(dictionary: &Dictionary, whitening: &Whitening) -> Vec<f32> {
    let m = whitening.mean.len();
    let basis = transposed(&whitening.basis, m, dictionary.dimension);
    matrix_product(&dictionary.atoms, &basis, m)
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let column = |column: usize| (0..rows).map(move |row| values[row * columns + column]);
    (0..columns).flat_map(column).collect()
}
