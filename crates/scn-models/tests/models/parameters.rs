//! Published numbers of parameters, counted by visiting the module.

use burn::tensor::Device;
use scn_models::{Model, ModelConfig, Network};

use crate::common::{config, scn_config, table, trainable};

#[track_caller]
fn assert_parameters(config: &ModelConfig, channels: usize, classes: usize, expected: usize) {
    for device in [Device::flex().autodiff(), Device::flex()] {
        let model = Model::empty(config, [channels, 32, 32], classes, &device).unwrap();
        // Without autodiff no tensor is marked, but the model and its summary are the same.
        if device.is_autodiff() {
            assert_eq!(trainable(&model), expected, "{config:?}");
        }
        assert_eq!(
            model.summary("it", [channels, 32, 32]).parameters(),
            expected,
            "{config:?}"
        );
    }
}

#[test]
fn scn() {
    assert_parameters(&scn_config(1, 16), 3, 10, 173_896);
    assert_parameters(&scn_config(4, 16), 3, 10, 694_216);
    // 9·8·1 + 9·8·16K in place of 9·16·1 + 9·16·16K on one channel.
    let gray = |first: usize, width: usize| 9 * first + 9 * first * 16 * width;
    let colour = |width: usize| 9 * 3 * 16 + 9 * 16 * 16 * width;
    assert_parameters(&scn_config(1, 8), 1, 10, 173_896 - colour(1) + gray(8, 1));
    assert_parameters(&scn_config(4, 8), 1, 10, 694_216 - colour(4) + gray(8, 4));
    // Ninety more classes on 64K features.
    assert_parameters(&scn_config(4, 16), 3, 100, 694_216 + 90 * 257);
}

#[test]
fn lambda1_is_one_a_layer_or_one_an_atom_or_fixed() {
    let with = |lambda1: &str| table(&format!("kind = \"scn\"\nlambda1 = {{ {lambda1} }}"));
    let atoms = 2 * (3 * 16 + 2 * 32 + 2 * 64);
    assert_parameters(&with("per_atom = true"), 3, 10, 173_896 - 14 + atoms);
    assert_parameters(&with("learned = false"), 3, 10, 173_896 - 14);
    assert_parameters(&with("learned = false, per_atom = true"), 3, 10, 173_896 - 14);
}

#[test]
fn residual_networks() {
    for (kind, expected) in [
        ("resnet18", 11_173_962),
        ("resnet34", 21_282_122),
        ("resnet20", 269_722),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        // A dictionary in place of a convolution of the same size.
        ("sdnet18", 11_173_962),
        ("sdnet34", 21_282_122),
        ("sdnet18-all", 11_173_962),
        // And its λ₁.
        ("scn18", 11_173_963),
        ("preact-resnet164", bottlenecks(18).iter().sum()),
        ("preact-resnet1001", bottlenecks(111).iter().sum()),
        // That of the authors' program: 36.5 M.
        ("wrn-28-10", 36_479_194),
    ] {
        assert_parameters(&config(kind), 3, 10, expected);
    }
}

#[test]
fn ml_csc() {
    let published = "kind = \"ml-csc\"\nlayers = [[32, 4, 2, 1], [64, 4, 2, 1], [128, 4, 2, 1]]
        convolutions = [[256, 3, 1, 1], [512, 3, 1, 2], [512, 3, 1, 2]]";
    // That of the authors' program.
    assert_parameters(&table(published), 3, 10, 4_005_869);
    let with = |more: &str| table(&format!("{published}\n{more}"));
    let dictionaries = 16 * (3 * 32 + 32 * 64 + 64 * 128);
    // An encoder beside every dictionary instead of a step size.
    assert_parameters(&with("pursuit = \"ml-lista\""), 3, 10, 4_005_869 - 3 + dictionaries);
    assert_parameters(&with("step_size = \"norm\""), 3, 10, 4_005_869 - 3);
    assert_parameters(
        &with("threshold.per_atom = false"),
        3,
        10,
        4_005_869 - 32 - 64 - 128 + 3,
    );
    assert_parameters(&with("threshold.learned = false"), 3, 10, 4_005_869 - 32 - 64 - 128);
    let solved = with("pursuit = \"basis-pursuit\"\nthreshold.initial = 0.1");
    assert_parameters(&solved, 3, 10, 4_005_869 - 3);
    // An estimate and six unfoldings of two convolutions each; then the plain ones at 4×4, 4×4 and 2×2, and the classifier.
    let of = |config: &ModelConfig| {
        let model = Model::empty(config, [3, 32, 32], 10, &Device::flex()).unwrap();
        model.summary("it", [3, 32, 32]).convolution()
    };
    let [first, second, third] = [3 * 32 * 256, 32 * 64 * 64, 64 * 128 * 16].map(|places| 16 * places);
    let plain = 9 * (128 * 256 * 16 + 256 * 512 * 16 + 512 * 512 * 4) + 512 * 10;
    assert_eq!(of(&with("unfoldings = 6")), 13 * (first + second + third) + plain);
    assert_eq!(of(&with("pursuit = \"thresholding\"")), first + second + third + plain);
    // Four with encoders, but for the first layer, which has no layer before it to tell of.
    let encoders = 19 * first + 25 * (second + third) + plain;
    assert_eq!(of(&with("pursuit = \"ml-lista\"\nunfoldings = 6")), encoders);
}

#[test]
fn imagenet_stems() {
    // torchvision's resnet18 and resnet34.
    for (kind, expected) in [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("sdnet18", 11_689_512),
    ] {
        let config = table(&format!("kind = \"{kind}\"\nstem = \"imagenet\""));
        assert_parameters(&config, 3, 1000, expected);
    }
}

#[test]
fn without_shortcuts_there_are_no_projections() {
    let config = table("kind = \"sdnet18-all\"\nshortcuts = false");
    let projections = [(64, 128), (128, 256), (256, 512)].map(|(from, to)| from * to + 2 * to);
    assert_parameters(&config, 3, 10, 11_173_962 - projections.iter().sum::<usize>());
}

/// Parameters of a pre-activation ResNet with so many bottlenecks a stage (He et al., arXiv:1603.05027), by hand: those
/// of convolutions and classifier, and those of batch norm.
fn bottlenecks(count: usize) -> [usize; 2] {
    let block = |input: usize, output: usize| {
        let inner = output / 4;
        let projection = if input == output { 0 } else { input * output };
        let convolutions = input * inner + 9 * inner * inner + inner * output + projection;
        [convolutions, 2 * (input + 2 * inner)]
    };
    let stages = [(16, 64), (64, 128), (128, 256)].map(|(input, output)| {
        let (first, other) = (block(input, output), block(output, output));
        [0, 1].map(|part| first[part] + (count - 1) * other[part])
    });
    let sum = |part: usize| stages.iter().map(|stage| stage[part]).sum::<usize>();
    [3 * 9 * 16 + sum(0) + 257 * 10, sum(1) + 2 * 256]
}

#[test]
fn the_published_millions() {
    // He et al. report 1.7 M and 10.2 M, without batch norm.
    assert_eq!((bottlenecks(18)[0] as f64 / 1e5).round(), 17.0);
    assert_eq!((bottlenecks(111)[0] as f64 / 1e5).round(), 102.0);
}
