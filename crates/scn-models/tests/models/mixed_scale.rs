//! MSD-CSC and MSDNet: the layers by their definition, their equivalence, and the plans that images allow.

use burn::tensor::{Device, Tensor};
use scn_models::layers::mixed_scale::MixedScale;
use scn_models::layers::{BatchNorm, Threshold};
use scn_models::msd_csc::{CodingLayer, MsdCsc};
use scn_models::msdnet::MsdNet;
use scn_models::{CodingReport, Model, ModelConfig, Network, Pass};

use crate::common::{config, images, shaken, table, tensor, trainable, values};
use crate::definition::{Filters, Planes, assert_near};

fn msd_csc(config: &ModelConfig, image: [usize; 3], device: &Device) -> MsdCsc {
    match Model::new(config, image, 10, 2, device).unwrap() {
        Model::MsdCsc(network) => network,
        _ => panic!("no MSD-CSC"),
    }
}

fn msdnet(config: &ModelConfig, image: [usize; 3], device: &Device) -> MsdNet {
    match Model::new(config, image, 10, 3, device).unwrap() {
        Model::MsdNet(network) => network,
        _ => panic!("no MSDNet"),
    }
}

/// A layer in f64, with batch norm as in evaluation.
struct Definition {
    filters: Filters,
    step_size: f64,
    /// Slope and shift of each channel, in the first estimate and in each unfolding.
    affine: Vec<Vec<[f64; 2]>>,
}

impl Definition {
    fn of(layer: &CodingLayer, dilation: usize, unfoldings: usize) -> Self {
        let affine = |threshold: &Threshold, statistics: Option<&BatchNorm>| match threshold {
            Threshold::Biased(biased) => values(&biased.bias.val()).into_iter().map(|bias| [1.0, bias]).collect(),
            Threshold::Normalized(normalized) => {
                let bn = &normalized.bn;
                let states = statistics.unwrap_or(bn);
                let states = [&states.running_mean, &states.running_var];
                let [mean, variance] = states.map(|state| values(&state.value_sync()));
                let [weight, bias] = [&bn.weight, &bn.bias].map(|param| values(&param.as_ref().unwrap().val()));
                let channels = 0..mean.len();
                let of_channel = |c: usize| {
                    let slope = weight[c] / (variance[c] + 1e-5).sqrt();
                    [slope, bias[c] - mean[c] * slope]
                };
                channels.map(of_channel).collect::<Vec<_>>()
            }
        };
        let kept = layer.kept.as_ref().map_or(Vec::new(), |kept| affine(kept, None));
        let passes = std::iter::once(None).chain((0..unfoldings).map(Some));
        let passes = passes.map(|pass| {
            let statistics = pass.and_then(|unfolding| layer.unfolded.get(unfolding));
            [kept.clone(), affine(&layer.threshold, statistics)].concat()
        });
        Self {
            filters: Filters::of(&layer.weight.val(), 1, dilation),
            step_size: values(&layer.step_size.val())[0],
            affine: passes.collect(),
        }
    }

    /// `[γ ; Fγ]`.
    fn analyze(&self, signal: &Planes) -> Planes {
        signal.joined(&self.filters.analyze(signal))
    }

    /// `[I Fᵀ]γ`.
    fn synthesize(&self, code: &Planes) -> Planes {
        let kept = self.filters.shape[1];
        let [channels, height, width] = code.shape;
        let added = self
            .filters
            .synthesize(&code.channels(kept, channels), [kept, height, width]);
        code.channels(0, kept).plus(1.0, &added)
    }

    /// In the first estimate, which is pass 0, or in an unfolding.
    fn rectify(&self, code: &Planes, pass: usize) -> Planes {
        let affine = &self.affine[pass];
        let shifted = code.map(|channel, value| value * affine[channel][0] + affine[channel][1]);
        shifted.rectified()
    }

    fn estimate(&self, signal: &Planes) -> Planes {
        self.rectify(&self.analyze(signal).map(|_, value| value * self.step_size), 0)
    }

    fn step(&self, code: &Planes, signal: &Planes, pass: usize) -> Planes {
        let error = self.synthesize(code).plus(-1.0, signal);
        self.rectify(&code.plus(-self.step_size, &self.analyze(&error)), pass)
    }
}

/// The codes of a block, one after the other, its input in front.
fn coded(layers: &[Definition], x: &Planes, unfoldings: usize) -> Vec<Planes> {
    let mut codes = vec![x.clone()];
    for layer in layers {
        codes.push(layer.estimate(&codes[codes.len() - 1]));
    }
    for pass in 1..=unfoldings {
        for i in (1..layers.len()).rev() {
            codes[i] = layers[i].synthesize(&codes[i + 1]);
        }
        for (i, layer) in layers.iter().enumerate() {
            codes[i + 1] = layer.step(&codes[i + 1], &codes[i], pass);
        }
    }
    codes
}

/// Running statistics that are not those of the start.
fn trained(network: MsdCsc, image: [usize; 3]) -> MsdCsc {
    let network = shaken(network, 0.15, 9);
    for seed in 0..3 {
        let [channels, height, width] = image;
        let batch = images([4, channels, height, width], seed, &Device::flex());
        let _ = network.forward(batch, &Pass::TRAINING);
    }
    network
}

#[test]
fn codes_are_those_of_the_definition() {
    let (image, dilations) = ([2, 9, 7], [1, 3]);
    for (options, unfoldings) in [
        ("", 0),
        ("", 1),
        ("", 3),
        ("normalize_kept = false", 2),
        ("batch_norm = false", 0),
        ("batch_norm = false", 2),
    ] {
        let what = format!("{options}, {unfoldings} unfoldings");
        let config = table(&format!(
            "kind = \"msd-csc\"\nchannels = 5\nblocks = 1\ndepth = 3\ngrowth = 3\ndilations = {dilations:?}
            unfoldings = {unfoldings}\n{options}"
        ));
        let network = trained(msd_csc(&config, image, &Device::flex()), image);
        let x = images([1, 2, 9, 7], 20, &Device::flex());
        let mut seen = Vec::new();
        let output = network.forward_observed(x, &Pass::EVALUATION, &mut |_, x| seen.push(Planes::of(x)));
        let layers = network.blocks[0].layers.iter().enumerate();
        let layers: Vec<_> = layers
            .map(|(i, layer)| Definition::of(layer, dilations[i % 2], unfoldings))
            .collect();
        let expected = coded(&layers, &seen[0], unfoldings);
        assert_near(&what, &seen[1], &expected[3], 1e-5);
        for ((i, layer), report) in layers.iter().enumerate().zip(output.codes) {
            let CodingReport::Images(report) = report else {
                panic!("codes of pixels")
            };
            let code = &expected[i + 1];
            let active = code.values.iter().filter(|&&value| value > 0.0).count();
            assert_eq!(values(&report.active).iter().sum::<f64>(), active as f64, "{what}");
            assert_eq!((report.steps, report.pixels), (Some(1 + unfoldings), 63), "{what}");
            let rho = code.plus(-1.0, &layer.step(code, &expected[i], unfoldings)).norm() / code.norm();
            let found = values(&report.residual)[0];
            assert!(
                (found - rho).abs() < 1e-4 * (1.0 + rho),
                "{what}: {found}, expected {rho}"
            );
        }
    }
}

/// Where the running statistics of all passes were one, evaluation would normalise none of them as training does.
#[test]
fn evaluation_by_the_statistics_of_a_batch_is_training_on_it() {
    let (image, device) = ([3, 12, 10], Device::flex());
    for unfoldings in [0, 1, 2] {
        let config = table(&format!("kind = \"msd-csc\"\nunfoldings = {unfoldings}"));
        let network = shaken(msd_csc(&config, image, &device), 0.1, 12);
        let x = images([32, 3, 12, 10], 8, &device);
        let mut trained = Vec::new();
        for _ in 0..150 {
            trained = values(&network.forward(x.clone(), &Pass::TRAINING).logits);
        }
        let evaluated = values(&network.forward(x, &Pass::EVALUATION).logits);
        let largest = trained.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        for (found, expected) in evaluated.iter().zip(&trained) {
            // The running variance is unbiased.
            assert!(
                (found - expected).abs() < 0.05 * largest,
                "{unfoldings}: {found}, in training {expected}"
            );
        }
    }
}

/// A mixed-scale dense network with the tensors of an MSD-CSC whose step sizes are 1 and whose kept channels have thresholds 0.
fn dense(network: &MsdCsc, config: &ModelConfig, image: [usize; 3], device: &Device) -> MsdNet {
    let MixedScale { blocks: mut dense, .. } = msdnet(config, image, device);
    for (dense, block) in dense.iter_mut().zip(&network.blocks) {
        for (dense, layer) in dense.layers.iter_mut().zip(&block.layers) {
            let [_, kept, ..] = layer.weight.dims();
            assert_eq!(values(&layer.step_size.val()), [1.0]);
            dense.weight = layer.weight.clone();
            dense.threshold = match (&layer.kept, &layer.threshold) {
                (Some(Threshold::Biased(of_kept)), threshold) => {
                    assert!(values(&of_kept.bias.val()).iter().all(|&bias| bias == 0.0));
                    threshold.clone()
                }
                (None, Threshold::Biased(all)) => {
                    let all = values(&all.bias.val());
                    assert!(all[..kept].iter().all(|&bias| bias == 0.0));
                    let added: Vec<f32> = all[kept..].iter().map(|&bias| bias as f32).collect();
                    let mut threshold = dense.threshold.clone();
                    let Threshold::Biased(biased) = &mut threshold else {
                        panic!("a batch norm")
                    };
                    let added = tensor(added.clone(), [added.len()], device);
                    biased.bias = biased.bias.clone().map(|_| added.require_grad());
                    threshold
                }
                (_, threshold) => panic!("{threshold:?} takes all channels"),
            };
        }
    }
    MixedScale {
        conv1: network.conv1.clone(),
        threshold: network.threshold.clone(),
        blocks: dense,
        transitions: network.transitions.clone(),
        classifier: network.classifier.clone(),
    }
}

/// Two blocks. Between them weights are positive, so that what reaches the second is, as a code is.
fn thresholded(options: &str, image: [usize; 3], device: &Device) -> MsdCsc {
    let config = table(&format!("kind = \"msd-csc\"\n{options}"));
    let mut network = msd_csc(&config, image, device);
    for transition in &mut network.transitions {
        transition.weight = transition
            .weight
            .clone()
            .map(|weight| weight.abs().detach().require_grad());
    }
    network.threshold = shaken(network.threshold, 0.2, 30);
    for (i, layer) in network
        .blocks
        .iter_mut()
        .flat_map(|block| &mut block.layers)
        .enumerate()
    {
        layer.weight = shaken(layer.weight.clone(), 0.1, 40 + i as u64);
        let [_, kept, ..] = layer.weight.dims();
        layer.threshold = shaken(layer.threshold.clone(), 0.2, 60 + i as u64);
        if let Threshold::Biased(all) = &mut layer.threshold {
            all.bias = all.bias.clone().map(|bias| {
                let [channels] = bias.dims();
                let added = bias.narrow(0, kept, channels - kept);
                let zeros = Tensor::zeros([kept], &added.device());
                Tensor::cat(vec![zeros, added], 0).detach().require_grad()
            });
        }
    }
    network
}

#[test]
fn without_unfoldings_it_is_a_mixed_scale_dense_network_bit_for_bit() {
    let (image, device) = ([3, 12, 10], Device::flex().autodiff());
    for (options, plan) in [
        ("unfoldings = 0\nnormalize_kept = false", ""),
        ("unfoldings = 0\nbatch_norm = false", "batch_norm = false"),
    ] {
        let network = thresholded(options, image, &device);
        let dense = dense(&network, &table(&format!("kind = \"msdnet\"\n{plan}")), image, &device);
        for pass in [Pass::TRAINING, Pass::EVALUATION] {
            let x = images([3, 3, 12, 10], 8, &device);
            let found = network.forward(x.clone(), &pass).logits;
            let expected = dense.forward(x.clone(), &pass).logits;
            assert_eq!(values(&found), values(&expected), "{options} {pass:?}");
            let gradients = [found, expected].map(|logits| (logits.clone() * logits).sum().backward());
            let weights = [&network.blocks[1].layers[0].weight, &dense.blocks[1].layers[0].weight];
            let [found, expected] = [0, 1].map(|i| values(&weights[i].grad(&gradients[i]).unwrap()));
            assert!(found.iter().any(|&gradient| gradient != 0.0));
            assert_eq!(found, expected, "{options} {pass:?}");
            let unfolded = thresholded(&options.replace("= 0", "= 1"), image, &device);
            assert_ne!(
                values(&unfolded.forward(x, &pass).logits),
                values(&dense.forward(images([3, 3, 12, 10], 8, &device), &pass).logits)
            );
        }
    }
}

/// By hand: blocks of 12 layers that add 12 channels behind a stem of 16, and 1×1 convolutions between them.
#[test]
fn the_published_plan_has_about_a_million_parameters() {
    let plan = "blocks = 3\ndepth = 12\ngrowth = 12\ndilations = [1, 2, 3, 4, 5, 6]";
    let first = [16, 160, 304];
    let layers = || {
        first
            .iter()
            .flat_map(|first| (0..12).map(move |layer| first + 12 * layer))
    };
    let filters: usize = layers().map(|channels| 9 * 12 * channels).sum();
    let others = 9 * 3 * 16 + 2 * 16 + 160 * 160 + 304 * 304 + 449 * 10;
    let norms: usize = layers().map(|channels| 2 * (channels + 12)).sum();
    for (kind, expected) in [
        ("msd-csc", filters + others + norms + 36),
        ("msdnet", filters + others + 36 * 2 * 12),
    ] {
        let config = table(&format!("kind = \"{kind}\"\n{plan}"));
        let model = Model::empty(&config, [3, 32, 32], 10, &Device::flex().autodiff()).unwrap();
        assert_eq!(trainable(&model), expected);
        let summary = model.summary(kind, [3, 32, 32]);
        assert_eq!(summary.parameters(), expected);
        assert!((990_000..1_030_000).contains(&expected), "{expected}");
        let outputs: Vec<_> = summary.layers.iter().map(|layer| layer.output).collect();
        assert_eq!(
            (outputs[12], outputs[13], outputs[39 - 1]),
            ([160, 32, 32], [160, 32, 32], [448, 8, 8])
        );
    }
}

#[test]
fn plans_that_images_do_not_allow_are_refused_with_the_numbers() {
    let refused = |text: &str, image: [usize; 3]| {
        let error = Model::empty(&table(text), image, 10, &Device::flex()).unwrap_err();
        error.to_string()
    };
    for kind in ["msd-csc", "msdnet"] {
        assert_eq!(
            refused(&format!("kind = \"{kind}\"\ndilations = [1, 4]"), [1, 8, 9]),
            "`dilations` is [1, 4], but the last of 2 blocks has 4×4 pixels of images of 8×9 pixels, where windows so wide see \
             their middle alone: expected dilations of at most 3"
        );
        assert_eq!(
            refused(&format!("kind = \"{kind}\"\nblocks = 5"), [1, 28, 15]),
            "`blocks` is 5, but 4 halvings leave nothing of images of 28×15 pixels: expected at most 4"
        );
        assert_eq!(
            refused(&format!("kind = \"{kind}\"\ndepth = 1000\ngrowth = 1024"), [1, 8, 8]),
            "`growth` is 1024, but 2 blocks of 1000 layers then end with 2048016 channels: expected a plan of at most 4096"
        );
        for (plan, image) in [
            ("dilations = [1, 3]", [1, 8, 9]),
            ("dilations = [1, 900]\ndepth = 1", [1, 8, 9]),
            ("blocks = 4\ndilations = [1]", [1, 28, 15]),
        ] {
            let text = format!("kind = \"{kind}\"\n{plan}");
            let model = Model::empty(&table(&text), image, 10, &Device::flex()).unwrap();
            let [channels, height, width] = image;
            let x = images([2, channels, height, width], 1, &Device::flex());
            assert_eq!(model.forward(x, &Pass::EVALUATION).logits.dims(), [2, 10], "{text}");
        }
    }
    assert_eq!(
        refused("kind = \"res-csc\"\nstages = [[1000, 4096]]", [3, 8, 8]),
        "`stages` is [[1000, 4096]], but such pairs have 301989888000 weights: expected a plan of at most 1073741824"
    );
    for stages in ["[]", "[[3]]", "[[0, 4]]", "[[1, 16], [1, 8]]"] {
        let error = config("res-csc").with(
            "stages",
            scn_keys::toml::from_str::<scn_keys::toml::Table>(&format!("x = {stages}")).unwrap()["x"].clone(),
        );
        assert!(error.unwrap_err().to_string().starts_with("`stages` is "), "{stages}");
    }
}
