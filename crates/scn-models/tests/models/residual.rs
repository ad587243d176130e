//! Residual networks with other layers in the places of convolutions, and with other fronts.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use scn_models::layers::residual::Filter;
use scn_models::sdnet::{ConvolutionalCoding, Inner};
use scn_models::{Model, Network, Pass};

use crate::common::{images, sdnet, table, values};

#[test]
fn imagenet_stems_halve_the_image_twice() {
    for kind in ["resnet18", "sdnet18", "scn18"] {
        for (sides, expected) in [([64, 64], [16, 16]), ([37, 50], [10, 13])] {
            let config = table(&format!("kind = \"{kind}\"\nstem = \"imagenet\""));
            let image = [3, sides[0], sides[1]];
            let model = Model::new(&config, image, 10, 4, &Device::flex()).unwrap();
            let mut seen = Vec::new();
            let input = images([1, 3, sides[0], sides[1]], 1, &Device::flex());
            let _ = model.forward_observed(input, &Pass::EVALUATION, &mut |name, x| {
                seen.push((name.to_owned(), x.dims()))
            });
            let [first, second] = expected;
            assert_eq!(seen[0], ("conv1".into(), [1, 64, first, second]), "{kind:?}");
            let summary = model.summary("it", image);
            let outputs = |name: &str| summary.layers.iter().find(|layer| layer.name == name).unwrap().output;
            for (i, (_, [_, channels, height, width])) in seen[1..].iter().enumerate() {
                assert_eq!(outputs(&format!("blocks.{i}.conv2")), [*channels, *height, *width]);
            }
            assert_eq!(outputs("conv1"), [64, sides[0].div_ceil(2), sides[1].div_ceil(2)]);
        }
    }
}

#[test]
fn the_imagenet_stem_pools_the_largest_of_three_by_three() {
    let config = table("kind = \"resnet18\"\nstem = \"imagenet\"");
    let model = Model::new(&config, [3, 20, 17], 10, 4, &Device::flex()).unwrap();
    let input = images([2, 3, 20, 17], 1, &Device::flex());
    let mut pooled = Vec::new();
    let _ = model.forward_observed(input.clone(), &Pass::EVALUATION, &mut |name, x| {
        if name == "conv1" {
            pooled = values(x);
        }
    });
    let Model::ResNet(network) = model else {
        panic!("no ResNet")
    };
    let before: Tensor<4> = relu(network.bn1.forward(network.conv1.forward(input), &Pass::EVALUATION));
    let [batch, channels, height, width] = before.dims();
    let (before, [rows, columns]) = (values(&before), [height.div_ceil(2), width.div_ceil(2)]);
    assert_eq!(pooled.len(), batch * channels * rows * columns);
    for (i, &found) in pooled.iter().enumerate() {
        let (plane, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
        let window = (0..9).filter_map(|place| {
            let (y, x) = (
                (2 * row + place / 3).wrapping_sub(1),
                (2 * column + place % 3).wrapping_sub(1),
            );
            (y < height && x < width).then(|| before[(plane * height + y) * width + x])
        });
        assert_eq!(found, window.fold(f64::NEG_INFINITY, f64::max));
    }
}

/// Random atoms of about unit norm and a small step: without the power iteration of a new network.
fn fill(coding: &mut ConvolutionalCoding, seed: &mut u64) {
    *seed += 1;
    coding.weight = coding.weight.clone().map(|weight| {
        let [_, channels, kernel, _] = weight.dims();
        let scale = ((channels * kernel * kernel) as f64).sqrt().recip();
        images(weight.dims(), *seed, &weight.device()) * scale
    });
    coding.step_size.update(Tensor::full([1], 0.1, &Device::flex()));
}

#[test]
fn blocks_of_codes_rectify_their_sum_only() {
    for shortcuts in [true, false] {
        // With a threshold the codes of random atoms die out from block to block.
        let config = table(&format!(
            "kind = \"sdnet18-all\"\nshortcuts = {shortcuts}\ncsc.lambda = 0.0"
        ));
        let mut network = sdnet(Model::empty(&config, [3, 9, 12], 10, &Device::flex()).unwrap());
        let mut seed = 0;
        fill(&mut network.conv1, &mut seed);
        for block in &mut network.blocks {
            let shortcut = block.shortcut.iter_mut().map(|shortcut| &mut shortcut.conv);
            [&mut block.conv1, &mut block.conv2]
                .into_iter()
                .chain(shortcut)
                .for_each(|layer| match layer {
                    Inner::Coding(coding) => fill(coding, &mut seed),
                    Inner::Convolution(_) => panic!("another layer"),
                });
        }
        let mut seen = Vec::new();
        let input = images([2, 3, 9, 12], 1, &Device::flex());
        let _ = network.forward_observed(input, &Pass::EVALUATION, &mut |_, x| {
            seen.push(x.clone());
        });
        for (i, block) in network.blocks.iter().enumerate() {
            let input = seen[i].clone();
            let inner = block
                .bn1
                .forward(block.conv1.filter(input.clone(), None).0, &Pass::EVALUATION);
            let residual = block.bn2.forward(block.conv2.filter(inner, None).0, &Pass::EVALUATION);
            let sum = match (&block.shortcut, shortcuts) {
                (Some(shortcut), true) => {
                    residual
                        + shortcut
                            .bn
                            .forward(shortcut.conv.filter(input, None).0, &Pass::EVALUATION)
                }
                (None, true) => residual + input,
                (None, false) => residual,
                (Some(_), false) => panic!("block {i} has a shortcut"),
            };
            let expected = values(&relu(sum));
            assert!(expected.iter().any(|&value| value > 0.0), "block {i} tests nothing");
            assert_eq!(values(&seen[i + 1]), expected, "block {i}");
        }
    }
}
