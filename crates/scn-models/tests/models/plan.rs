//! Plans of SCNs: the published ones spelt out, other orders, single layers, and what is refused.

use burn::tensor::{Device, Tensor};
use scn_models::{Model, ModelError, Network, Pass};
use scn_ops::sparse_code2d;

use crate::common::{images, normal, scn, table, tensor, trainable, values};

const PUBLISHED: &str =
    "[[16, 64, 1], [16, 64, 1], [16, 64, 1], [32, 128, 2], [32, 128, 1], [64, 256, 2], [64, 256, 1]]";

fn build(text: &str, image: [usize; 3]) -> Model {
    Model::new(&table(text), image, 10, 3, &Device::flex().autodiff()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Shapes of the layers' outputs, and strides.
fn layers(model: &mut Model, image: [usize; 3]) -> Vec<([usize; 3], usize)> {
    let summaries = model.summary("it", image).layers;
    let strides: Vec<_> = scn(model)
        .layers
        .iter()
        .map(|layer| layer.coding.placement().stride)
        .collect();
    summaries.into_iter().map(|layer| layer.output).zip(strides).collect()
}

#[test]
fn the_published_modules_spelt_out_are_the_default_bit_for_bit() {
    let image = [3, 12, 9];
    for (plain, spelt) in [
        ("width = 4", PUBLISHED.to_owned()),
        ("width = 4\nfirst_width = 8", PUBLISHED.replacen("[16,", "[8,", 1)),
    ] {
        let mut plain = build(&format!("kind = \"scn\"\n{plain}"), image);
        let mut spelt = build(
            &format!("kind = \"scn\"\norder = \"reduction-first\"\npadding = 1\nmodules = {spelt}"),
            image,
        );
        for (a, b) in scn(&mut plain).layers.iter().zip(&scn(&mut spelt).layers) {
            assert_eq!(values(&a.coding.weight.val()), values(&b.coding.weight.val()));
        }
        let x = images([2, 3, 12, 9], 1, &Device::flex().autodiff());
        let logits = |model: &Model| values(&model.forward(x.clone(), &Pass::TRAINING).logits);
        assert_eq!(logits(&plain), logits(&spelt));
        assert_eq!(layers(&mut plain, image), layers(&mut spelt, image));
    }
}

#[test]
fn expansions_come_first_as_in_the_paper() {
    let image = [3, 32, 32];
    let mut model = build("kind = \"scn\"\nwidth = 4\norder = \"expansion-first\"", image);
    let expected = [
        ([64, 32, 32], 1),
        ([16, 32, 32], 1),
        ([64, 32, 32], 1),
        ([16, 32, 32], 1),
        ([64, 32, 32], 1),
        ([16, 32, 32], 1),
        ([128, 16, 16], 2),
        ([32, 16, 16], 1),
        ([128, 16, 16], 1),
        ([32, 16, 16], 1),
        ([256, 8, 8], 2),
        ([64, 8, 8], 1),
        ([256, 8, 8], 1),
        ([64, 8, 8], 1),
    ];
    assert_eq!(layers(&mut model, image), expected);
    // `first_width` is the reduction's in this order too.
    let mut narrow = build("kind = \"scn\"\nfirst_width = 8\norder = \"expansion-first\"", image);
    assert_eq!(layers(&mut narrow, image)[..2], [([16, 32, 32], 1), ([8, 32, 32], 1)]);
}

#[test]
fn modules_may_lack_a_layer_and_keep_their_stride() {
    let image = [1, 9, 8];
    let mut model = build("kind = \"scn\"\nmodules = [[0, 12, 2], [5, 0, 3], [0, 7, 1]]", image);
    assert_eq!(
        layers(&mut model, image),
        [([12, 5, 4], 2), ([5, 2, 2], 3), ([7, 2, 2], 1)]
    );
    assert_eq!(trainable(&model), 9 * (12 + 12 * 5 + 5 * 7) + 3 + 10 * 8);
    assert_eq!(model.coding_layers().len(), 3);
}

/// The ancestors code the whole image at once: one window, of an even side, without padding.
#[test]
fn a_single_layer_codes_the_whole_image() {
    let image = [1, 28, 28];
    let text = "kind = \"scn\"\nkernel = 28\npadding = 0\nmodules = [[0, 30, 1]]\nsolver = { tolerance = 1e-7, max_iterations = 5000 }";
    let mut model = build(text, image);
    assert_eq!(layers(&mut model, image), [([30, 1, 1], 1)]);
    assert_eq!(trainable(&model), 30 * 784 + 1 + 10 * 31);
    let device = Device::flex();
    let x = images([2, 1, 28, 28], 4, &device);
    let network = scn(&mut model).clone();
    let layer = &network.layers[0].coding;
    // The same problem with the pixels as channels of a 1×1 window.
    let (codes, _) = layer.forward(Tensor::from_inner(x.clone()), None, None);
    let weight = layer.weight.val().without_autodiff().reshape([30, 784, 1, 1]);
    let lambda1 = tensor(vec![0.0], [1], &device);
    let (expected, _) = sparse_code2d(x.reshape([2, 784, 1, 1]), weight, lambda1, 1, layer.options());
    let (codes, expected) = (values(&codes), values(&expected));
    let largest = expected.iter().fold(0.0f64, |largest, &value| largest.max(value));
    assert!(largest > 0.0);
    for (code, expected) in codes.iter().zip(&expected) {
        assert!((code - expected).abs() < 1e-4 * largest, "{code}, not {expected}");
    }
}

/// The residual of unpadded windows at a stride, pixel by pixel.
#[test]
fn the_residual_of_unpadded_windows_is_the_mean_square() {
    let image = [2, 7, 9];
    let text = "kind = \"scn\"\nkernel = 4\npadding = 0\nmodules = [[0, 6, 2]]\nlambda1.initial = 0.01\n\
                solver = { tolerance = 1e-7, max_iterations = 5000, lambda2 = 0.05 }";
    let mut model = Model::new(&table(text), image, 10, 3, &Device::flex()).unwrap();
    let x = tensor(normal(2 * 7 * 9, 6), [1, 2, 7, 9], &Device::flex());
    let found = values(&model.residual(x.clone()).unwrap())[0];
    let layer = &scn(&mut model).layers[0];
    let codes = values(&layer.forward(x.clone(), &Pass::EVALUATION).0);
    let (weight, x) = (values(&layer.coding.weight.val()), values(&x));
    let scale = (1.0f64 + 1e-4).sqrt().recip();
    let mut expected = 0.0;
    for (row, column) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        for place in 0..32 {
            let (channel, down, across) = (place / 16, place % 16 / 4, place % 4);
            let value = scale * x[(channel * 7 + 2 * row + down) * 9 + 2 * column + across];
            let fitted: f64 = (0..6)
                .map(|n| codes[n * 6 + row * 3 + column] * weight[n * 32 + place])
                .sum();
            expected += (value - fitted).powi(2) / (6.0 * 32.0);
        }
    }
    assert!((found / expected - 1.0).abs() < 1e-4, "{found}, not {expected}");
}

#[test]
fn plans_that_cannot_be_are_refused_with_the_numbers() {
    let refusal = |text: &str| {
        let config = table(&format!("kind = \"scn\"\n{text}"));
        Model::empty(&config, [1, 8, 6], 10, &Device::flex())
            .expect_err("a refusal")
            .to_string()
    };
    assert_eq!(
        refusal("kernel = 4"),
        "`kernel` is 4, but windows of an even side have no middle: expected an odd side, or model.padding with it"
    );
    assert_eq!(
        refusal("padding = 0\nmodules = [[8, 8, 1], [0, 8, 1]]"),
        "`kernel` is 3, but layer 3, in module 2, has an input of 4×2 and stride 1 with padding 0 and dilation 1: expected \
         windows that fit, wider padding or fewer layers"
    );
    for modules in ["[]", "[[0, 0, 1]]", "[[4097, 1, 1]]", "[[1, 1, 0]]", "[[1, 1, 65]]"] {
        let config = table(&format!("kind = \"scn\"\nmodules = {modules}"));
        let error = Model::empty(&config, [1, 8, 6], 10, &Device::flex()).expect_err("a refusal");
        assert!(
            matches!(&error, ModelError::Range { key, .. } if key == "modules"),
            "{modules}: {error}"
        );
    }
    let unused = table("kind = \"scn\"\nwidth = 2\nfirst_width = 8\nmodules = [[1, 1, 1]]").unused();
    assert_eq!(
        unused.iter().map(|unused| unused.key).collect::<Vec<_>>(),
        ["width", "first_width"]
    );
    assert!(table("kind = \"scn\"\nwidth = 2\nfirst_width = 8").unused().is_empty());
}
