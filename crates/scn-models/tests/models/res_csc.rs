//! Res-CSC: a pair is what it is made of, and the block of a residual network without `DᵀD/L`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use scn_models::layers::Threshold;
use scn_models::res_csc::{Pair, ResCsc};
use scn_models::resnet::ResNet;
use scn_models::{CodingReport, Model, ModelConfig, Network, Pass};

use crate::common::{config, images, shaken, table, trainable, values};
use crate::definition::{Filters, Planes, assert_near};

fn res_csc(config: &ModelConfig, image: [usize; 3], device: &Device) -> ResCsc {
    match Model::new(config, image, 10, 2, device).unwrap() {
        Model::ResCsc(network) => network,
        _ => panic!("no Res-CSC"),
    }
}

/// Two stages of two pairs without batch norm, with thresholds that are not 0.
fn biased() -> ResCsc {
    let config = table("kind = \"res-csc\"\nstages = [[2, 5], [2, 9]]\nbatch_norm = false");
    let mut network = res_csc(&config, [3, 7, 6], &Device::flex());
    for pair in &mut network.pairs {
        let [first, second] = [pair.first.threshold.clone(), pair.second.threshold.clone()];
        pair.first.threshold = shaken(first, 0.1, 5);
        pair.second.threshold = shaken(second, 0.1, 6);
    }
    network
}

fn bias(threshold: &Threshold) -> Vec<f64> {
    match threshold {
        Threshold::Biased(biased) => values(&biased.bias.val()),
        Threshold::Normalized(_) => panic!("a batch norm"),
    }
}

/// X continued by channels of zeros, in front half of them, at every `stride`-th pixel.
fn continued(x: &Planes, stride: usize, channels: usize) -> Planes {
    let [inputs, height, width] = x.shape;
    let mut start = Planes::zeros([channels, height.div_ceil(stride), width.div_ceil(stride)]);
    let [_, rows, columns] = start.shape;
    for channel in 0..inputs {
        for (row, column) in (0..rows * columns).map(|pixel| (pixel / columns, pixel % columns)) {
            let at = ((channels - inputs) / 2 + channel) * rows * columns + row * columns + column;
            start.values[at] = x.values[(channel * height + row * stride) * width + column * stride];
        }
    }
    start
}

/// A convolution, bias and ReLU; then a convolution and the skip `I − DᵀD/L`, bias and ReLU.
fn composed(pair: &Pair, x: &Planes) -> [Planes; 2] {
    let stride = pair.first.conv.stride();
    let filters = Filters::of(&pair.first.conv.weight.val(), stride, 1);
    let thresholds = bias(&pair.first.threshold);
    let first = filters
        .analyze(x)
        .map(|channel, value| value + thresholds[channel])
        .rectified();
    let dictionary = Filters::of(&pair.second.conv.weight.val(), 1, 1);
    let size = values(&pair.second.step_size.as_ref().unwrap().val())[0];
    let start = continued(x, stride, first.shape[0]);
    let gram = dictionary.analyze(&dictionary.synthesize(&start, first.shape));
    let skip = start.plus(-size, &gram);
    let thresholds = bias(&pair.second.threshold);
    let second = skip
        .plus(size, &dictionary.analyze(&first))
        .map(|channel, value| value + thresholds[channel]);
    [first, second.rectified()]
}

#[test]
fn a_pair_is_a_convolution_and_the_skip_that_ista_makes() {
    let network = biased();
    let mut x = images([1, 5, 7, 6], 3, &Device::flex());
    for (i, pair) in network.pairs.iter().enumerate() {
        let [first, second] = composed(pair, &Planes::of(&x));
        let mut codes = Vec::new();
        x = pair.forward(x, &Pass::EVALUATION, &mut codes);
        assert_near(&format!("pair {i}"), &Planes::of(&x), &second, 2e-6);
        let zeros = second.values.iter().filter(|&&value| value == 0.0).count();
        assert!(
            zeros > 10 && zeros < second.values.len() - 10,
            "{zeros} zeros of {}",
            second.values.len()
        );
        let actives = [&first, &second].map(|codes| codes.values.iter().filter(|&&value| value > 0.0).count());
        for (report, active) in codes.into_iter().zip(actives) {
            let CodingReport::Images(report) = report else {
                panic!("codes of pixels")
            };
            assert_eq!(
                (report.steps, report.pixels),
                (Some(1), second.shape[1] * second.shape[2])
            );
            assert_eq!(values(&report.active).iter().sum::<f64>(), active as f64);
        }
    }
}

#[test]
fn reports_are_residuals_of_another_step() {
    let network = biased();
    let pair = &network.pairs[2];
    let x = images([2, 5, 7, 6], 4, &Device::flex());
    let mut codes = Vec::new();
    let _ = pair.forward(x.clone(), &Pass::EVALUATION, &mut codes);
    let of_image = Planes::of(&x.slice_dim(0, 0..1));
    let [first, second] = composed(pair, &of_image);
    let rho = |signal: &Planes, codes: &Planes, filters: Filters, size: f64, thresholds: Vec<f64>| {
        let residual = signal.plus(-1.0, &filters.synthesize(codes, signal.shape));
        let moved = codes.plus(size, &filters.analyze(&residual));
        let next = moved.map(|channel, value| value + thresholds[channel]).rectified();
        codes.plus(-1.0, &next).norm() / codes.norm()
    };
    let size = values(&pair.second.step_size.as_ref().unwrap().val())[0];
    let expected = [
        rho(
            &of_image,
            &first,
            Filters::of(&pair.first.conv.weight.val(), 2, 1),
            1.0,
            bias(&pair.first.threshold),
        ),
        rho(
            &first,
            &second,
            Filters::of(&pair.second.conv.weight.val(), 1, 1),
            size,
            bias(&pair.second.threshold),
        ),
    ];
    for (report, expected) in codes.into_iter().zip(expected) {
        let CodingReport::Images(report) = report else {
            panic!("codes of pixels")
        };
        let found = values(&report.residual);
        assert!(
            expected > 1e-2 && (found[0] / expected - 1.0).abs() < 1e-4,
            "{found:?}, expected {expected}"
        );
    }
    let lambda = values(&network.coding_layers()[5].lambda1);
    for (found, bias) in lambda.iter().zip(bias(&pair.second.threshold)) {
        assert!((found + bias / size).abs() < 1e-5, "{found}, bias {bias}");
    }
    assert_eq!(network.coding_layers()[5].name, "pairs.2.second.conv");
}

/// The residual network with the same tensors.
fn residual(network: &ResCsc, image: [usize; 3], device: &Device) -> ResNet {
    let Model::ResNet(mut resnet) = Model::empty(&config("resnet20"), image, 10, device).unwrap() else {
        panic!("no ResNet")
    };
    let norm = |threshold: &Threshold| match threshold {
        Threshold::Normalized(normalized) => normalized.bn.clone(),
        Threshold::Biased(_) => panic!("no batch norm"),
    };
    resnet.conv1 = network.conv1.clone();
    resnet.bn1 = norm(&network.threshold);
    for (block, pair) in resnet.blocks.iter_mut().zip(&network.pairs) {
        block.conv1 = pair.first.conv.clone();
        block.bn1 = norm(&pair.first.threshold);
        block.conv2 = pair.second.conv.clone();
        block.bn2 = norm(&pair.second.threshold);
    }
    resnet.classifier = network.classifier.clone();
    resnet
}

#[test]
fn without_the_term_it_is_a_residual_network_bit_for_bit() {
    let device = Device::flex().autodiff();
    let image = [3, 9, 8];
    let network = |skip: &str| {
        let config = table(&format!("kind = \"res-csc\"\nskip = \"{skip}\""));
        shaken(res_csc(&config, image, &device), 0.05, 7)
    };
    let identity = network("identity");
    let resnet = residual(&identity, image, &device);
    assert_eq!(trainable(&identity), trainable(&resnet));
    assert_eq!(trainable(&network("ista")), trainable(&resnet));
    for pass in [Pass::TRAINING, Pass::EVALUATION] {
        let x = images([4, 3, 9, 8], 8, &device);
        let found = identity.forward(x.clone(), &pass).logits;
        let expected = resnet.forward(x.clone(), &pass).logits;
        assert_eq!(values(&found), values(&expected), "{pass:?}");
        let differs = network("ista").forward(x, &pass).logits;
        assert_ne!(values(&found), values(&differs), "{pass:?}");
        let [found, expected] = [found, expected].map(|logits| (logits.clone() * logits).sum().backward());
        let gradients = [
            (&identity.conv1.weight, &resnet.conv1.weight),
            (&identity.pairs[5].second.conv.weight, &resnet.blocks[5].conv2.weight),
        ];
        for (of_pairs, of_blocks) in gradients {
            let found: Tensor<4> = of_pairs.grad(&found).unwrap();
            let expected: Tensor<4> = of_blocks.grad(&expected).unwrap();
            assert_eq!(values(&found), values(&expected), "{pass:?}");
        }
    }
    assert!(
        identity
            .valid()
            .forward(images([1, 3, 9, 8], 8, &device.inner()), &Pass::EVALUATION)
            .codes
            .len()
            == 18
    );
}

#[test]
fn its_plan_is_that_of_resnet_20() {
    let [mine, its] = ["res-csc", "resnet20"].map(|kind| {
        let model = Model::empty(&config(kind), [3, 32, 32], 10, &Device::flex()).unwrap();
        let summary = model.summary(kind, [3, 32, 32]);
        let outputs: Vec<_> = summary.layers.iter().map(|layer| layer.output).collect();
        (summary.parameters(), outputs)
    });
    assert_eq!(mine, its);
    assert_eq!(mine.0, 269_722);
}
