//! The whitened patches of an experiment.

use scn_data::{Draw, PatchSource, Pool, Split, Whitening, WhiteningKind, read};

use crate::error::DictionaryError;
use crate::experiment::{DictionaryConfig, DictionaryExperiment};
use crate::signals::Signals;

/// Patches that statistics are taken from: for each value of a patch, and at least.
const STATISTICS: (usize, usize) = (10, 20_000);
/// Patches that are drawn for each atom to start from, as some may be the mean patch.
const STARTS: usize = 4;

/// Draws patches and whitens them.
#[derive(Debug)]
pub struct Patches {
    source: PatchSource,
    kind: WhiteningKind,
    seed: u64,
    /// The images of an epoch.
    pool: Pool,
    /// The epoch that they are of.
    epoch: u64,
    whitening: Whitening,
}

impl Patches {
    /// The images of an experiment.
    ///
    /// # Errors
    /// [`DictionaryError::Data`].
    pub fn source(config: &DictionaryConfig) -> Result<PatchSource, DictionaryError> {
        let shape = config.shape();
        Ok(match (&config.images, config.dataset) {
            (Some(folder), _) => PatchSource::folder(folder, shape)?,
            (None, Some(dataset)) => PatchSource::dataset(read(dataset, Split::Train, &config.dir)?, shape),
            (None, None) => panic!("a checked experiment has images"),
        })
    }

    /// The patches of an experiment from the images of `source`; fits the whitening unless there is one.
    ///
    /// # Errors
    /// [`DictionaryError::Data`].
    pub fn new(
        experiment: &DictionaryExperiment,
        source: PatchSource,
        whitening: Option<Whitening>,
    ) -> Result<Self, DictionaryError> {
        let (config, seed) = (&experiment.dictionary, experiment.seed);
        let kind = config.whitening;
        let pool = Pool::load(&source, kind, seed, 0)?;
        let whitening = match whitening {
            Some(whitening) => whitening,
            None => {
                let values = config.shape().values();
                let count = (STATISTICS.0 * values).max(STATISTICS.1);
                let sample = pool.draw(Draw::Statistics, count, seed);
                Whitening::fit(kind, &sample, values, config.epsilon, config.components)?
            }
        };
        Ok(Self {
            source,
            kind,
            seed,
            pool,
            epoch: 0,
            whitening,
        })
    }

    /// How they are whitened.
    pub fn whitening(&self) -> &Whitening {
        &self.whitening
    }

    /// `count` patches of an epoch's batch, both counted from 0.
    ///
    /// # Errors
    /// [`DictionaryError::Data`] where images of this epoch cannot be read.
    pub fn batch(&mut self, epoch: u64, batch: u64, count: usize) -> Result<Signals, DictionaryError> {
        self.turn_to(epoch)?;
        Ok(self.drawn(Draw::Batch { epoch, batch }, count))
    }

    /// The patches that dictionaries are judged by.
    ///
    /// # Errors
    /// As [`Patches::batch`].
    pub fn evaluation(&mut self, count: usize) -> Result<Signals, DictionaryError> {
        self.turn_to(0)?;
        Ok(self.drawn(Draw::Evaluation, count))
    }

    /// Patches for so many atoms to start from.
    ///
    /// # Errors
    /// As [`Patches::batch`].
    pub fn start(&mut self, atoms: usize) -> Result<Signals, DictionaryError> {
        self.turn_to(0)?;
        Ok(self.drawn(Draw::Start, STARTS * atoms))
    }

    fn turn_to(&mut self, epoch: u64) -> Result<(), DictionaryError> {
        if self.epoch != epoch && !self.pool.is_complete() {
            self.pool = Pool::load(&self.source, self.kind, self.seed, epoch)?;
        }
        self.epoch = epoch;
        Ok(())
    }

    fn drawn(&self, draw: Draw, count: usize) -> Signals {
        let patches = self.pool.draw(draw, count, self.seed);
        Signals::centred(&patches, &self.whitening.mean).times(&self.whitening.matrix)
    }
}
