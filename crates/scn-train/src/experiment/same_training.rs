//! Whether two experiments train the same.

use toml::Value;

use super::load::{ExperimentFile, lookup, quote};
use super::print::values;

/// Whether a run of `experiment` can be resumed with `other`: they may differ in what is
/// [of the machine](ExperimentFile::is_of_the_machine) only. The number of epochs counts, because schedules depend on it.
///
/// # Errors
/// One line `key was …, is …` for each difference, in the order of the keys.
pub fn same_training<E: ExperimentFile>(experiment: &E, other: &E) -> Result<(), Vec<String>> {
    let (mine, others) = (values(experiment), values(other));
    let written = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), quote);
    let differences: Vec<String> = E::schema()
        .keys()
        .iter()
        .filter(|key| !E::is_of_the_machine(&key.path))
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
