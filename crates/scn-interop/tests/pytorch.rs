//! Published weights: what is imported is what was exported, in every spelling, and what does not fit is named.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use scn_data::DatasetKind;
use scn_interop::pytorch::{ImportError, Imported, StateDict, export, import};
use scn_interop::tensors::{Array, Arrays, floats, from_module, to_safetensors};
use scn_models::{Model, ModelConfig, ModelKind, NetworkConfig};
use scn_ops::dictionary_norm;

/// Asserts that a message has all the parts.
#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn kind(name: &str) -> ModelKind {
    name.parse().unwrap()
}

/// Tensors of a new network, those of batch norms no two alike.
fn tensors(kind: ModelKind, classes: usize) -> Arrays {
    let model = Model::new(&ModelConfig::new(kind), [3, 32, 32], classes, 1, &Device::flex()).unwrap();
    let mut tensors = from_module(&model);
    for (i, array) in tensors
        .values_mut()
        .enumerate()
        .filter(|(_, array)| array.shape.len() == 1)
    {
        for (j, value) in array.values.iter_mut().enumerate() {
            *value += (i as f32 + j as f32 / 512.0) / 100.0;
        }
    }
    tensors
}

fn open(folder: &Path, tensors: &Arrays) -> StateDict {
    let path = folder.join("weights");
    std::fs::write(&path, to_safetensors(tensors)).unwrap();
    StateDict::read(&path).unwrap()
}

fn imported(tensors: &Arrays, kind: ModelKind) -> Result<Imported, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let file = open(folder.path(), tensors);
    import(&file, &ModelConfig::new(kind), DatasetKind::Cifar10, &Device::flex())
}

fn renamed(tensors: &Arrays, name: impl Fn(&str) -> String) -> Arrays {
    tensors.iter().map(|(old, array)| (name(old), array.clone())).collect()
}

fn without_direction(mut tensors: Arrays) -> Arrays {
    tensors.retain(|name, _| !name.ends_with(".direction"));
    tensors
}

fn tensor(array: &Array) -> Tensor<4> {
    let shape: [usize; 4] = array.shape[..].try_into().unwrap();
    Tensor::from_data(TensorData::new(array.values.clone(), shape), &Device::flex())
}

#[test]
fn an_imported_resnet_is_the_exported_one_in_any_spelling() {
    let ours = tensors(kind("resnet18"), 10);
    let published = export(kind("resnet18"), ours.clone());
    assert_eq!(published.len(), ours.len());
    assert_eq!(imported(&published, kind("resnet18")).unwrap().weights, ours);

    let mut other = renamed(&published, |name| {
        let name = name.replace("shortcut.", "downsample.").replace("linear.", "fc.");
        let name = match name.split_once('.') {
            Some(("conv1", rest)) => format!("layer0.0.{rest}"),
            Some(("bn1", rest)) => format!("layer0.1.{rest}"),
            _ => name,
        };
        format!("net.module.{name}")
    });
    let count = Array {
        shape: vec![1],
        values: vec![7.0],
    };
    other.insert("net.module.layer0.1.num_batches_tracked".into(), count.clone());
    other.insert("best_accuracy".into(), count);
    assert_eq!(imported(&other, kind("resnet18")).unwrap().weights, ours);
}

#[test]
fn an_imported_dictionary_has_unit_atoms_and_keeps_its_step_size() {
    let ours = tensors(kind("sdnet18"), 100);
    let mut published = export(kind("sdnet18"), ours.clone());
    let unit = published["layer0.0.dn.weight"].clone();
    let weight = published.get_mut("layer0.0.dn.weight").unwrap();
    for (i, atom) in weight.values.chunks_mut(27).enumerate() {
        let norm = if i == 3 { 0.0 } else { 0.5 + i as f32 };
        atom.iter_mut().for_each(|value| *value *= norm);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = open(folder.path(), &published);
    assert_eq!(file.classes(), Some(100));
    let config = ModelConfig::new(kind("sdnet18")).with("csc.lambda", 0.25).unwrap();
    let found = import(&file, &config, DatasetKind::Cifar100, &Device::flex()).unwrap();
    let NetworkConfig::Sdnet(sdnet) = &found.model.network else {
        panic!("no SDNet")
    };
    assert_eq!(sdnet.keys.csc.lambda, 0.25);
    assert_eq!(found.model.classes, Some(100));

    let imported = &found.weights;
    assert_eq!(imported.len(), ours.len());
    assert_eq!(imported["conv1.step_size"], ours["conv1.step_size"]);
    let atoms = imported["conv1.weight"].values.chunks(27).zip(unit.values.chunks(27));
    for (i, (atom, unit)) in atoms.enumerate() {
        for (value, unit) in atom.iter().zip(unit) {
            let expected = if i == 3 { 0.0 } else { *unit };
            assert!(
                (value - expected).abs() < 1e-6,
                "atom {i}: {value}, expected {expected}"
            );
        }
    }
    // The direction is of this dictionary: many more steps of power iteration find little more.
    let norm = |steps| {
        let (weight, direction) = (tensor(&imported["conv1.weight"]), tensor(&imported["conv1.direction"]));
        let (norm, _) = dictionary_norm(weight, direction, 1, [32, 32], steps);
        floats(norm.into_data())[0]
    };
    let share = norm(0) / norm(200);
    assert!((0.8..=1.001).contains(&share), "{share} of the norm");

    // Once more, and unit atoms stay as they are.
    let exported = export(kind("sdnet18"), imported.clone());
    let again = import(
        &open(folder.path(), &exported),
        &config,
        DatasetKind::Cifar100,
        &Device::flex(),
    )
    .unwrap();
    assert_eq!(without_direction(again.weights), without_direction(imported.clone()));
}

#[test]
fn what_does_not_fit_is_named_in_one_message() {
    let published = export(kind("resnet18"), tensors(kind("resnet18"), 10));
    let refused = |change: &dyn Fn(&mut Arrays)| {
        let mut changed = published.clone();
        change(&mut changed);
        imported(&changed, kind("resnet18")).unwrap_err().to_string()
    };
    let message = refused(&|tensors| {
        tensors.remove("layer1.0.conv1.weight");
        let stem = Array {
            shape: vec![64, 3, 7, 7],
            values: vec![0.0; 64 * 3 * 49],
        };
        tensors.insert("conv1.weight".into(), stem);
        tensors.insert("layer5.0.bn1.bias".into(), tensors["bn1.bias"].clone());
        tensors.insert("fc.bias".into(), tensors["linear.bias"].clone());
    });
    assert_says(
        &message,
        &[
            "its tensors are not those of a resnet18: ",
            "`layer1.0.conv1.weight` is missing",
            "`conv1.weight` has shape [64, 3, 7, 7], expected [64, 3, 3, 3]",
            "`layer5.0.bn1.bias` is unknown",
            "`linear.bias` is there under two names",
        ],
    );
    let message = refused(&|tensors| {
        for name in ["linear.bias", "bn1.running_var"] {
            tensors.get_mut(name).unwrap().values[2] = f32::NAN;
        }
    });
    assert_says(
        &message,
        &["`bn1.running_var` holds NaN, expected finite numbers that fit F32; `linear.bias` holds NaN, "],
    );
    assert_says(
        &refused(&|tensors| {
            tensors.remove("linear.weight");
            tensors.remove("linear.bias");
        }),
        &["`linear.bias` is missing; `linear.weight` is missing"],
    );
    // A classifier of fewer classes than the dataset has.
    let few = export(kind("resnet18"), tensors(kind("resnet18"), 5));
    assert_says(
        &imported(&few, kind("resnet18")).unwrap_err().to_string(),
        &["`linear.weight` has shape [5, 512], expected [10, 512]"],
    );
}

#[test]
fn models_without_published_names_are_exported_under_ours() {
    let ours =
        from_module(&Model::new(&ModelConfig::new(kind("resnet20")), [3, 32, 32], 10, 0, &Device::flex()).unwrap());
    assert_eq!(export(kind("resnet20"), ours.clone()), ours);
}
