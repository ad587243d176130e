//! Shapes and arithmetic on images of every kind.

use scn_models::{CodingReport, Network, Pass};

use crate::common::{config, images, model, scn_config, table};
use burn::tensor::Device;

#[test]
fn logits_and_layers_have_the_shapes_of_the_summary() {
    let one_sweep = table("kind = \"scn\"\nsolver.max_iterations = 1");
    let small = [config("resnet20"), one_sweep];
    for shape in [
        [1, 8, 8],
        [1, 28, 28],
        [3, 7, 5],
        [3, 33, 17],
        [3, 1, 1],
        [2, 1, 9],
        [3, 96, 96],
    ] {
        for config in &small {
            let [channels, height, width] = shape;
            let model = model(config, channels);
            let summary = model.summary("it", shape);
            let mut seen = Vec::new();
            let input = images([2, channels, height, width], 1, &Device::flex());
            let output = model.forward_observed(input, &Pass::EVALUATION, &mut |name, x| {
                seen.push((name.to_owned(), x.dims()));
            });
            assert_eq!(output.logits.dims(), [2, 10]);
            // Blocks are observed behind their second convolution.
            let layers = summary.layers.iter().filter(|layer| {
                layer.name == "conv1" || layer.name.ends_with("conv2") || layer.name.ends_with("coding")
            });
            let expected: Vec<_> = layers
                .map(|layer| {
                    let [n, h, w] = layer.output;
                    (layer.name.trim_end_matches(".conv2").to_owned(), [2, n, h, w])
                })
                .collect();
            assert_eq!(seen, expected, "{shape:?}");
            // Stride 2 twice, halves rounded up.
            let quarter = |side: usize| side.div_ceil(2).div_ceil(2);
            assert_eq!(seen.last().unwrap().1, [2, 64, quarter(height), quarter(width)]);
            let pixels = output.codes.into_iter().map(|report| match report {
                CodingReport::Pixels(info) => info.solves.dims()[2..].iter().product::<usize>(),
                CodingReport::Images(_) | CodingReport::Equilibria(_) => panic!("problems of whole images"),
            });
            let pixels: Vec<_> = pixels.collect();
            let expected: Vec<_> = if config.kind().name() == "scn" {
                seen.iter().map(|(_, [_, _, h, w])| h * w).collect()
            } else {
                Vec::new()
            };
            assert_eq!(pixels, expected);
        }
    }
}

#[test]
fn a_wide_network_with_other_kernels() {
    let model = model(&scn_config(2, 5).with("kernel", 5).unwrap(), 3);
    // Channels and atoms.
    let dictionaries = [
        (3, 5),
        (5, 32),
        (32, 16),
        (16, 32),
        (32, 16),
        (16, 32),
        (32, 32),
        (32, 64),
        (64, 32),
        (32, 64),
        (64, 64),
        (64, 128),
        (128, 64),
        (64, 128),
    ];
    let weights: usize = dictionaries.iter().map(|(c, n)| 25 * c * n).sum();
    assert_eq!(model.summary("it", [3, 9, 6]).parameters(), weights + 14 + 10 * 129);
    assert_eq!(
        model
            .forward(images([1, 3, 9, 6], 2, &Device::flex()), &Pass::EVALUATION)
            .logits
            .dims(),
        [1, 10]
    );
}

#[test]
fn multiply_adds_of_scn_4() {
    let summary = model(&scn_config(4, 16), 3).summary("scn-4", [3, 32, 32]);
    // Channels, atoms and output pixels of the fourteen layers.
    let plan: [[u64; 3]; 14] = [
        [3, 16, 1024],
        [16, 64, 1024],
        [64, 16, 1024],
        [16, 64, 1024],
        [64, 16, 1024],
        [16, 64, 1024],
        [64, 32, 256],
        [32, 128, 256],
        [128, 32, 256],
        [32, 128, 256],
        [128, 64, 64],
        [64, 256, 64],
        [256, 64, 64],
        [64, 256, 64],
    ];
    let convolution: u64 = plan.iter().map(|[c, n, pixels]| 9 * c * n * pixels).sum();
    let sweep: u64 = plan.iter().map(|[_, n, pixels]| n * n * pixels).sum();
    assert_eq!(summary.convolution(), convolution + 256 * 10);
    assert_eq!(summary.solver_iteration(), sweep);
    assert_eq!((summary.convolution() as f64 / 1e6).round(), 114.0);
    assert_eq!((summary.solver_iteration() as f64 / 1e5).round(), 312.0);
}
