//! A network from a state dict.

use std::collections::BTreeMap;

use burn::tensor::Device;
use scn_data::{Augmentation, DatasetKind, Flip, Normalization};
use scn_models::{Model, ModelConfig, Network};

use super::names::{is_ignored, published, spelling};
use super::state_dict::Stored;
use super::{ImportError, StateDict};
use crate::tensors::{Array, Arrays, Shapes, differences, from_module, into_module, shapes};

/// The datasets that the networks were published for.
pub const DATASETS: [DatasetKind; 2] = [DatasetKind::Cifar10, DatasetKind::Cifar100];

/// What the published programs normalise images of both by, channel by channel, for pixels in 0..1.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2023, 0.1994, 0.2010];
/// An atom whose norm is as close to 1 as rounding leaves it stays as it is.
const ROUNDING: f64 = 1e-6;
/// Calls of [`Network::project`], each of some steps of power iteration, that turn a start into the direction of a dictionary;
/// training goes on from there.
const PROJECTIONS: usize = 3;

/// A network that was trained elsewhere, and what is known of its training.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Weights and running statistics by our names.
    pub weights: Arrays,
    /// What they are of, every value filled in.
    pub model: ModelConfig,
    /// What it was trained on: all of the training images, none held out.
    pub dataset: DatasetKind,
    /// What the images were normalised by: mean and deviation of each channel.
    pub normalization: Normalization,
    /// How the training images were changed.
    pub augmentation: Augmentation,
}

/// The network in a file; `device` computes what only training needs. It may have more classes than its dataset.
///
/// # Errors
/// [`ImportError::Mismatch`] with everything that is wrong with the tensors, [`ImportError::Model`].
pub fn import(
    file: &StateDict,
    config: &ModelConfig,
    dataset: DatasetKind,
    device: &Device,
) -> Result<Imported, ImportError> {
    let info = dataset.info();
    let normalization = Normalization::given(info.shape, info.pixel_max, MEAN.to_vec(), DEVIATION.to_vec())?;
    // Fewer classes than the dataset's are an ill-shaped classifier.
    let classes = file.classes().unwrap_or_default().max(dataset.classes());
    let model = config.with_defaults(classes);
    let network = Model::empty(&model, info.shape, classes, device)?;
    Ok(Imported {
        weights: weights(file, model.kind().name(), network)?,
        model,
        dataset,
        normalization,
        augmentation: Augmentation {
            flip: Flip::Random,
            shift: 4,
            ..Augmentation::default()
        },
    })
}

/// The tensors of `network` with the values of the file.
fn weights(file: &StateDict, kind: &'static str, network: Model) -> Result<Arrays, ImportError> {
    let initial = from_module(&network);
    let mut weights = values(file, kind, &shapes(&initial))?;
    for (name, array) in &mut weights {
        let layer = name.strip_suffix(".weight").unwrap_or(name);
        if initial.contains_key(&format!("{layer}.step_size")) {
            normalize_atoms(array);
        }
    }
    let directions = |arrays: Arrays| arrays.into_iter().filter(|(name, _)| name.ends_with(".direction"));
    weights.extend(directions(initial).map(|(name, mut direction)| {
        // Multiples of the golden ratio modulo 1: irregular, so that no eigenvector is orthogonal to them.
        let start = |i: usize| (0.618_033_988_749_895 * (i + 1) as f64).fract() as f32 - 0.5;
        direction.values = (0..direction.values.len()).map(start).collect();
        (name, direction)
    }));
    let mut network = into_module(network, &weights)?;
    for _ in 0..PROJECTIONS {
        network = network.project();
    }
    weights.extend(directions(from_module(&network)));
    Ok(weights)
}

/// The values of the model's tensors that have published names, by our names.
fn values(file: &StateDict, kind: &'static str, model: &Shapes) -> Result<Arrays, ImportError> {
    let published = published(model);
    let (found, mut problems) = found(file, published.values());
    let expected = published.iter().map(|(ours, name)| (name.clone(), model[ours].clone()));
    let there = found.iter().map(|(name, stored)| (name.clone(), stored.shape.clone()));
    problems.extend(differences(&expected.collect(), &there.collect()));
    let mut values = Arrays::new();
    if problems.is_empty() {
        for (ours, name) in &published {
            let stored = found[name];
            match stored.values() {
                Ok(read) => {
                    let shape = stored.shape.clone();
                    values.insert(ours.clone(), Array { shape, values: read });
                }
                Err(problem) => problems.push(format!("`{name}` {problem}")),
            }
        }
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(ImportError::Mismatch { kind, problems })
    }
}

/// The file's tensors, those of the network by their `published` names, and which of these are there more than once.
fn found<'a>(
    file: &'a StateDict,
    published: impl Iterator<Item = &'a String>,
) -> (BTreeMap<String, &'a Stored>, Vec<String>) {
    let usual: BTreeMap<String, &String> = published.map(|name| (spelling(name), name)).collect();
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, stored) in &file.tensors {
        match usual.get(&spelling(name)) {
            Some(&published) => {
                if found.insert(published.clone(), stored).is_some() {
                    problems.push(format!("`{published}` is there under two names"));
                }
            }
            None if is_ignored(name) => {}
            None => {
                found.insert(name.clone(), stored);
            }
        }
    }
    (found, problems)
}

/// Divides each atom, a row of the weight, by its norm; zero atoms stay. The published layer does so before it codes.
fn normalize_atoms(weight: &mut Array) {
    let length = weight.shape.iter().skip(1).product::<usize>();
    for atom in weight.values.chunks_mut(length.max(1)) {
        let norm = atom.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 && (norm - 1.0).abs() > ROUNDING {
            atom.iter_mut()
                .for_each(|value| *value = (f64::from(*value) / norm) as f32);
        }
    }
}
