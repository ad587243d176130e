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
pub const KINDS: [ModelKind; 4] = [
    ModelKind::Resnet18,
    ModelKind::Resnet34,
    ModelKind::Sdnet18,
    ModelKind::Sdnet34,
];

/// A model's tensors by their published names, those of a model that has none by ours.
pub fn export(kind: ModelKind, model: Arrays) -> Arrays {
    if !KINDS.contains(&kind) {
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
