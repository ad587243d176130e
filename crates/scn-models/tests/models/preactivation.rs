//! Pre-activation residual networks: shapes, and what the shortcuts carry.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use scn_models::preact_resnet::PreactResNet;
use scn_models::{Model, Network, Pass};

use crate::common::{config, images, model, values};

fn network(kind: &str) -> PreactResNet {
    match model(&config(kind), 3) {
        Model::PreactResNet(network) => network,
        _ => panic!("no pre-activation network"),
    }
}

#[test]
fn the_summary_tells_the_shapes() {
    let model = model(&config("preact-resnet164"), 3);
    let summary = model.summary("it", [3, 9, 12]);
    let mut seen = Vec::new();
    let output = model.forward_observed(
        images([2, 3, 9, 12], 1, &Device::flex()),
        &Pass::EVALUATION,
        &mut |name, x| {
            seen.push((name.to_owned(), x.dims()));
        },
    );
    assert_eq!(output.logits.dims(), [2, 10]);
    assert_eq!(seen.len(), 1 + 3 * 18);
    for (name, [_, channels, height, width]) in &seen[1..] {
        let last = format!("{name}.units.2.conv");
        let layer = summary.layers.iter().find(|layer| layer.name == last).unwrap();
        assert_eq!(layer.output, [*channels, *height, *width], "{name}");
    }
    assert_eq!(seen[54].1, [2, 256, 3, 3]);
}

#[test]
fn without_residuals_only_the_shortcuts_are_left() {
    for kind in ["preact-resnet164", "wrn-28-10"] {
        let mut network = network(kind);
        let input = images([1, 3, 8, 8], 2, &Device::flex());
        for block in &mut network.blocks {
            let last = &mut block.units.last_mut().unwrap().conv;
            last.weight = last.weight.clone().map(|weight| weight.zeros_like());
        }
        let mut x: Tensor<4> = network.conv1.forward(input.clone());
        let mut projections = 0;
        for block in &network.blocks {
            // He et al., section 3.1: an identity, but for the activated input where the shape changes.
            if let Some(projection) = &block.shortcut {
                x = projection.forward(relu(block.units[0].bn.forward(x, &Pass::EVALUATION)));
                projections += 1;
            }
        }
        assert_eq!(projections, 3);
        let expected = values(
            &network
                .classifier
                .forward(relu(network.bn.forward(x, &Pass::EVALUATION))),
        );
        let found = values(&network.forward(input, &Pass::EVALUATION).logits);
        assert!(expected.iter().any(|logit| logit.abs() > 1e-4));
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{kind:?}: {found}, expected {expected}"
            );
        }
    }
}
