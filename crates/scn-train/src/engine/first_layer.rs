//! A learned dictionary as the weight of a network's first layer.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use scn_models::{Model, Network, Role, Roles};

use crate::TrainError;
use crate::engine::optimizer::ParameterPath;
use crate::experiment::FirstLayerConfig;
use crate::runs::checkpoint::{CheckpointError, LAST, PREVIOUS, read_files};
use crate::runs::folder::holds_run;
use crate::tensors::{self, Array, Arrays};

/// The file of a checkpoint of a dictionary that others read: its `weight [n, c, k, k]` are the atoms.
pub const DICTIONARY_FILE: &str = "dictionary.safetensors";
/// Dimensions of a weight that windows of images are multiplied by.
const RANK: usize = 4;

/// The name of the weight of the first layer for images `[channels, height, width]`; `None` where it has none.
pub fn first_weight(model: &impl Network, image: [usize; 3]) -> Option<String> {
    let prefix = format!("{}.", model.layers(image).first()?.name);
    let below = |name: &str| name.starts_with(&prefix) && name.ends_with("weight");
    let arrays = tensors::from_module(model);
    let found = arrays
        .into_iter()
        .find(|(name, array)| below(name) && array.shape.len() == RANK);
    found.map(|(name, _)| name)
}

/// The model with the dictionary in its first layer, where the experiment names one.
///
/// # Errors
/// [`TrainError::Dictionary`] where there is none to read, [`TrainError::FirstLayer`] where it does not fit.
pub(crate) fn with_dictionary(model: Model, config: &FirstLayerConfig, image: [usize; 3]) -> Result<Model, TrainError> {
    let Some(path) = &config.dictionary else {
        return Ok(model);
    };
    let dictionary = read(path, config.form.tensor())?;
    let mut arrays = tensors::from_module(&model);
    let name = first_weight(&model, image).unwrap_or_default();
    let unfit = |layer: String, expected: Vec<usize>| TrainError::FirstLayer {
        path: path.clone(),
        found: dictionary.shape.clone(),
        layer,
        expected,
    };
    match arrays.get_mut(&name) {
        Some(weight) if weight.shape == dictionary.shape => *weight = dictionary,
        Some(weight) => return Err(unfit(name, weight.shape.clone())),
        None => return Err(unfit("no layer with a weight".into(), Vec::new())),
    }
    let model = tensors::into_module(model, &arrays);
    Ok(model
        .unwrap_or_else(|error| panic!("a model takes its own shapes: {error}"))
        .project())
}

/// The tensor of that name in a file, or in the newest good checkpoint of a run.
fn read(path: &Path, name: &str) -> Result<Array, TrainError> {
    let fail = |reason: String| TrainError::Dictionary {
        path: path.to_owned(),
        reason,
    };
    let (file, mut arrays) = arrays(path).map_err(fail)?;
    let array = arrays.remove(name).filter(|array| array.shape.len() == RANK);
    let array = array.ok_or_else(|| {
        fail(format!(
            "there is no tensor `{name}` [n, c, k, k] in {}",
            file.display()
        ))
    })?;
    match array.values.iter().all(|value| value.is_finite()) {
        true => Ok(array),
        false => Err(fail(format!("`{name}` has values that are not finite"))),
    }
}

fn arrays(path: &Path) -> Result<(PathBuf, Arrays), String> {
    if !holds_run(path) {
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let arrays = tensors::from_safetensors(&bytes).map_err(|error| error.to_string())?;
        return Ok((path.to_owned(), arrays));
    }
    let read = |name| -> Result<_, CheckpointError> {
        let folder = path.join("checkpoints").join(name);
        let arrays = read_files(&folder, |files| files.arrays(DICTIONARY_FILE))?;
        Ok((folder.join(DICTIONARY_FILE), arrays))
    };
    // The first error is the one of the checkpoint that was meant.
    read(LAST).or_else(|error| read(PREVIOUS).map_err(|_| error.to_string()))
}

/// Freezes the parameter of that name.
pub(crate) fn freeze(model: &impl Module, name: &str, roles: &mut Roles) {
    struct Freeze<'a> {
        name: &'a str,
        path: ParameterPath,
        roles: &'a mut Roles,
    }

    impl ModuleVisitor for Freeze<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }

        fn exit_module(&mut self, _: &str, container: &str) {
            self.path.exit(container);
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.path.name() == self.name {
                let role = self.roles.of(param);
                self.roles.set(param, Role { frozen: true, ..role });
            }
        }
    }

    model.visit(&mut Freeze {
        name,
        path: ParameterPath::default(),
        roles,
    });
}
