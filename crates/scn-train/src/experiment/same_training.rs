//! Whether two experiments train the same network.

use toml::Value;

use super::Experiment;
use super::keys::keys;
use super::load::{lookup, quote};

impl Experiment {
    /// Whether a run of this experiment can be resumed with `other`: they may differ in `name`, `data.dir` and the
    /// `run` table only. The number of epochs counts, because the schedule depends on it.
    ///
    /// # Errors
    /// One line `key was …, is …` for each difference, in the order of [`keys`].
    pub fn same_training(&self, other: &Experiment) -> Result<(), Vec<String>> {
        let (mine, others) = (self.table(), other.table());
        let written = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), quote);
        let differences: Vec<String> = keys()
            .iter()
            .filter(|key| !["name", "data.dir"].contains(&key.path.as_str()) && !key.path.starts_with("run."))
            .map(|key| (&key.path, lookup(&mine, &key.path), lookup(&others, &key.path)))
            .filter(|(_, mine, others)| mine != others)
            .map(|(path, mine, others)| format!("{path} was {}, is {}", written(mine), written(others)))
            .collect();
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences)
        }
    }
}
