//! What the published programs call the tensors of our networks.
//!
//! | ours | published |
//! |---|---|
//! | `conv1`, `bn1` | the same, of an SDNet `layer0.0`, `layer0.1` |
//! | `blocks.{k}.conv1`, `.bn1`, `.conv2`, `.bn2` | `layer{s}.{i}.conv1`, …: block i of stage s |
//! | `blocks.{k}.shortcut.conv`, `.bn` | `layer{s}.{i}.shortcut.0`, `.1` |
//! | `classifier` | `linear` |
//!
//! A dictionary and its step size lie one level deeper, in `dn`; its direction is ours alone.

use std::collections::BTreeMap;

use scn_models::ModelKind;

use crate::tensors::{Arrays, Shapes, shapes};

/// The networks that were published with these names.
pub const KINDS: [&str; 5] = ["resnet18", "resnet34", "sdnet18", "sdnet34", "sdnet18-all"];

/// A model's tensors by their published names, those of a model that has none by ours.
pub fn export(kind: ModelKind, model: Arrays) -> Arrays {
    if !KINDS.contains(&kind.name()) {
        return model;
    }
    let mut names = published(&shapes(&model));
    model
        .into_iter()
        .filter_map(|(ours, array)| Some((names.remove(&ours)?, array)))
        .collect()
}

/// The published name of each of a model's tensors, by ours. Directions have none.
pub(super) fn published(model: &Shapes) -> BTreeMap<String, String> {
    let is_dictionary = |layer: &str| model.contains_key(&format!("{layer}.step_size"));
    let blocks = blocks(model);
    let layer = |ours: &str| {
        let published = match ours {
            "conv1" if is_dictionary("conv1") => "layer0.0".to_owned(),
            "bn1" if is_dictionary("conv1") => "layer0.1".to_owned(),
            "classifier" => "linear".to_owned(),
            _ => in_block(ours, &blocks).unwrap_or_else(|| ours.to_owned()),
        };
        if is_dictionary(ours) {
            published + ".dn"
        } else {
            published
        }
    };
    model
        .keys()
        .filter_map(|name| {
            let (ours, tensor) = name.rsplit_once('.')?;
            (tensor != "direction").then(|| (name.clone(), format!("{}.{tensor}", layer(ours))))
        })
        .collect()
}

/// What each block is called. One that changes the number of channels begins a stage.
fn blocks(model: &Shapes) -> Vec<String> {
    let (mut stage, mut place) = (1, 0);
    let mut blocks = Vec::new();
    while let Some(shape) = model.get(&format!("blocks.{}.conv1.weight", blocks.len())) {
        if !blocks.is_empty() && shape.first() != shape.get(1) {
            (stage, place) = (stage + 1, 0);
        }
        blocks.push(format!("layer{stage}.{place}"));
        place += 1;
    }
    blocks
}

/// The published name of `blocks.{k}.{layer}`.
fn in_block(ours: &str, blocks: &[String]) -> Option<String> {
    let (block, layer) = ours.strip_prefix("blocks.")?.split_once('.')?;
    let block = blocks.get(block.parse::<usize>().ok()?)?;
    let layer = match layer {
        "shortcut.conv" => "shortcut.0",
        "shortcut.bn" => "shortcut.1",
        other => other,
    };
    Some(format!("{block}.{layer}"))
}

/// The same for a published name and for what other programs call the tensor: a stem in `layer0`, `downsample` for
/// `shortcut` and `fc` for `linear`.
pub(super) fn spelling(name: &str) -> String {
    let name = name.replace(".downsample.", ".shortcut.");
    for (other, usual) in [("layer0.0.", "conv1."), ("layer0.1.", "bn1."), ("fc.", "linear.")] {
        if let Some(tensor) = name.strip_prefix(other) {
            return format!("{usual}{tensor}");
        }
    }
    name
}

/// Whether a file's tensor is a count or a statistic of training that no output depends on.
pub(super) fn is_ignored(name: &str) -> bool {
    let tensor = name.rsplit('.').next().unwrap_or(name);
    matches!(tensor, "num_batches_tracked" | "running_c_loss")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use burn::tensor::Device;
    use scn_models::{Model, ModelConfig};

    use super::*;
    use crate::tensors::from_module;

    /// Of small images, on which power iteration takes no time.
    fn tensors(kind: &str) -> Shapes {
        let config = ModelConfig::new(kind.parse().unwrap());
        let model = Model::empty(&config, [3, 8, 8], 10, &Device::flex()).unwrap();
        shapes(&from_module(&model))
    }

    #[track_caller]
    fn assert_names(model: &Shapes, pairs: &[(&str, &str)]) {
        let names = published(model);
        for (ours, theirs) in pairs {
            assert_eq!(names.get(*ours).map(String::as_str), Some(*theirs), "{ours}");
        }
    }

    #[test]
    fn every_tensor_but_directions_has_a_name_of_its_own() {
        for model in KINDS.map(tensors) {
            let names = published(&model);
            let directions = model.keys().filter(|name| name.ends_with(".direction")).count();
            let distinct: BTreeSet<_> = names.values().collect();
            let spellings: BTreeSet<_> = names.values().map(|name| spelling(name)).collect();
            assert_eq!(names.len(), model.len() - directions);
            assert_eq!((distinct.len(), spellings.len()), (names.len(), names.len()));
            assert!(
                names
                    .values()
                    .all(|name| !name.starts_with("blocks.") && !is_ignored(name))
            );
        }
    }

    #[test]
    fn names_are_the_published_ones() {
        assert_names(
            &tensors("resnet18"),
            &[
                ("conv1.weight", "conv1.weight"),
                ("bn1.running_var", "bn1.running_var"),
                ("blocks.1.conv2.weight", "layer1.1.conv2.weight"),
                ("blocks.2.shortcut.conv.weight", "layer2.0.shortcut.0.weight"),
                ("blocks.2.shortcut.bn.bias", "layer2.0.shortcut.1.bias"),
                ("blocks.7.bn2.running_mean", "layer4.1.bn2.running_mean"),
                ("classifier.bias", "linear.bias"),
            ],
        );
        assert_names(
            &tensors("resnet34"),
            &[
                ("blocks.2.conv1.weight", "layer1.2.conv1.weight"),
                ("blocks.3.conv1.weight", "layer2.0.conv1.weight"),
                ("blocks.7.conv1.weight", "layer3.0.conv1.weight"),
                ("blocks.15.conv1.weight", "layer4.2.conv1.weight"),
            ],
        );
        assert_names(
            &tensors("sdnet18"),
            &[
                ("conv1.weight", "layer0.0.dn.weight"),
                ("conv1.step_size", "layer0.0.dn.step_size"),
                ("bn1.weight", "layer0.1.weight"),
                ("blocks.0.conv1.weight", "layer1.0.conv1.weight"),
            ],
        );
        assert_names(
            &tensors("sdnet18-all"),
            &[
                ("blocks.4.conv1.weight", "layer3.0.conv1.dn.weight"),
                ("blocks.4.conv2.step_size", "layer3.0.conv2.dn.step_size"),
                ("blocks.4.shortcut.conv.step_size", "layer3.0.shortcut.0.dn.step_size"),
                ("blocks.4.shortcut.bn.weight", "layer3.0.shortcut.1.weight"),
            ],
        );
    }

    #[test]
    fn other_spellings_mean_the_same() {
        for (other, usual) in [
            ("layer0.0.weight", "conv1.weight"),
            ("conv1.dn.weight", "layer0.0.dn.weight"),
            ("layer0.1.running_var", "bn1.running_var"),
            ("layer2.0.downsample.1.bias", "layer2.0.shortcut.1.bias"),
            ("fc.weight", "linear.weight"),
        ] {
            assert_eq!(spelling(other), spelling(usual));
        }
    }
}
