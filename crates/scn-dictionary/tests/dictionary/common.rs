//! What the tests share.

use scn_dictionary::{DictionaryConfig, DictionaryExperiment, Learner, Patches, Signals};
use scn_train::{ExperimentError, ExperimentFile};

/// The experiment of a file with these lines below `[dictionary]`.
pub fn load(lines: &str, overrides: &[&str]) -> Result<DictionaryExperiment, ExperimentError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, format!("[dictionary]\n{lines}\n")).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|&argument| argument.to_owned()).collect();
    DictionaryExperiment::load(&path, &overrides).map(|loaded| loaded.experiment)
}

/// Of the digits, whose 8×8 images make patches of 5×5, with more lines.
pub fn digits(method: &str, atoms: usize, lines: &str) -> DictionaryExperiment {
    let lines = format!("dataset = \"digits\"\npatch = 5\nmethod = \"{method}\"\natoms = {atoms}\n{lines}");
    load(&lines, &[]).unwrap_or_else(|error| panic!("{lines}\n{error}"))
}

/// A learner, as it starts, and the patches that it learns from.
pub fn start(experiment: &DictionaryExperiment) -> (Learner, Patches) {
    let config: &DictionaryConfig = &experiment.dictionary;
    let mut patches = Patches::new(experiment, Patches::source(config).unwrap(), None).unwrap();
    let start = patches.start(config.atoms).unwrap();
    (Learner::new(config, &start).unwrap(), patches)
}

/// Makes so many steps.
pub fn learn(learner: &mut Learner, patches: &mut Patches, steps: usize, count: usize) {
    for step in 0..steps {
        let signals = patches.batch(0, step as u64, count).unwrap();
        learner.step(step, &signals).unwrap();
    }
}

/// The columns in double precision.
pub fn columns(signals: &Signals) -> Vec<Vec<f64>> {
    let column = |index| signals.column(index).into_iter().map(f64::from).collect();
    (0..signals.count()).map(column).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The atoms in double precision.
pub fn atoms(learner: &Learner) -> Vec<Vec<f64>> {
    let dictionary = learner.dictionary();
    let atom = |index| dictionary.atom(index).iter().map(|&value| value.into()).collect();
    (0..dictionary.count()).map(atom).collect()
}

/// `x − Σ αⱼ dⱼ`.
pub fn residual(x: &[f64], codes: &[f64], atoms: &[Vec<f64>]) -> Vec<f64> {
    let mut residual = x.to_vec();
    for (code, atom) in codes.iter().zip(atoms) {
        residual.iter_mut().zip(atom).for_each(|(r, d)| *r -= code * d);
    }
    residual
}
