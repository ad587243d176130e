//! ML-CSC networks: that they compute what the papers define, in terms of other convolutions than ours, and that their
//! plans, thresholds and reports are what their keys say.

use burn::tensor::activation::relu;
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor};
use scn_models::ml_csc::{MlCsc, Rule};
use scn_models::{CodingReport, CodingSums, Constraint, Group, Model, ModelError, Network, Pass, Role, Sparsity};
use scn_ops::convolve2d_adjoint;

use crate::common::{images, normal, table, tensor, values};

const IMAGE: [usize; 3] = [2, 11, 8];
/// Atoms, kernel, stride and padding; the rows of an image are not all reached by the first.
const LAYERS: [[usize; 4]; 3] = [[5, 4, 2, 1], [6, 3, 1, 1], [7, 4, 2, 1]];

fn network(pursuit: &str, unfoldings: usize, more: &str, device: &Device) -> MlCsc {
    let unfoldings = match pursuit {
        "thresholding" | "basis-pursuit" => String::new(),
        _ => format!("unfoldings = {unfoldings}"),
    };
    let config = table(&format!(
        "kind = \"ml-csc\"\npursuit = \"{pursuit}\"\n{unfoldings}\nlayers = {LAYERS:?}\n{more}"
    ));
    let Model::MlCsc(mut network) = Model::new(&config, IMAGE, 4, 3, device).unwrap() else {
        panic!("another network")
    };
    // The initial dictionaries hardly pass anything on, and thresholds are all alike.
    for (i, layer) in network.layers.iter_mut().enumerate() {
        layer.weight = layer.weight.clone().map(|weight| weight * 4.0);
        layer.threshold = layer.threshold.clone().map(|threshold| {
            let noise: Vec<f32> = normal(threshold.dims()[0], 50 + i as u64);
            let noise = tensor::<1>(noise, threshold.dims(), device) * 0.02;
            threshold + noise.abs() - 0.01
        });
        match &mut layer.rule {
            Rule::Learned(size) => {
                let value = 0.5 + 0.2 * i as f64;
                size.step_size = size.step_size.clone().map(|size| size * value);
            }
            Rule::Encoder(encoder) => encoder.encoder = encoder.encoder.clone().map(|encoder| encoder * 4.0),
            Rule::Norm(_) | Rule::Solved(_) => {}
        }
    }
    network.refresh()
}

fn input(device: &Device) -> Tensor<4> {
    images([3, IMAGE[0], IMAGE[1], IMAGE[2]], 21, device)
}

/// A layer in the terms of the published programs, by burn's own convolutions.
struct Published {
    weight: Tensor<4>,
    encoder: Tensor<4>,
    bias: Tensor<4>,
    size: Tensor<4>,
    plan: [usize; 4],
}

impl Published {
    fn layers(network: &MlCsc) -> Vec<Self> {
        let layers = network.layers.iter().zip(LAYERS);
        let published = layers.map(|(layer, plan)| {
            let weight = layer.weight.val();
            let threshold = layer.threshold.val().reshape([1, -1, 1, 1]);
            let ones = Tensor::ones([1, 1, 1, 1], &weight.device());
            let (encoder, size) = match &layer.rule {
                Rule::Learned(size) => (weight.clone(), size.step_size.val().reshape([1, 1, 1, 1])),
                Rule::Encoder(encoder) => (encoder.encoder.val(), ones),
                Rule::Norm(_) | Rule::Solved(_) => panic!("no published rule"),
            };
            Self {
                bias: -threshold,
                weight,
                encoder,
                size,
                plan,
            }
        });
        published.collect()
    }

    fn analysis(&self, x: Tensor<4>, weight: &Tensor<4>) -> Tensor<4> {
        let [_, _, stride, padding] = self.plan;
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        conv2d(x, weight.clone(), None, options)
    }

    fn synthesis(&self, codes: Tensor<4>, weight: &Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
        let [_, kernel, stride, padding] = self.plan;
        let [_, _, height, width] = codes.dims();
        let reached = |places: usize| (places - 1) * stride + kernel - 2 * padding;
        let beyond = [sides[0] - reached(height), sides[1] - reached(width)];
        let options = ConvTransposeOptions::new([stride; 2], [padding; 2], beyond, [1; 2], 1);
        conv_transpose2d(codes, weight.clone(), None, options)
    }

    fn first(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.analysis(x, &self.encoder) * self.size.clone() + self.bias.clone())
    }

    fn ista(&self, x: Tensor<4>, codes: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let error = self.synthesis(codes.clone(), &self.weight, [height, width]) - x;
        relu(codes - self.analysis(error, &self.weight) * self.size.clone() + self.bias.clone())
    }

    fn lista(&self, x: Tensor<4>, codes: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let again = self.analysis(
            self.synthesis(codes.clone(), &self.weight, [height, width]),
            &self.weight,
        );
        relu(codes - again + self.analysis(x, &self.encoder) + self.bias.clone())
    }
}

/// The codes of all layers as the published programs compute them.
fn published(pursuit: &str, network: &MlCsc, x: &Tensor<4>, unfoldings: usize) -> Vec<Tensor<4>> {
    let layers = Published::layers(network);
    let mut codes: Vec<Tensor<4>> = Vec::new();
    for layer in &layers {
        let signal = codes.last().unwrap_or(x).clone();
        let mut gamma = layer.first(signal.clone());
        let (mut before, mut t) = (gamma.clone(), 1.0f64);
        for _ in 0..if pursuit.starts_with("ml") { 0 } else { unfoldings } {
            let next = (1.0 + (1.0 + 4.0 * t * t).sqrt()) / 2.0;
            let factor = if pursuit == "fista" { (t - 1.0) / next } else { 0.0 };
            let point = gamma.clone() + (gamma.clone() - before) * factor;
            (before, t) = (gamma, next);
            gamma = layer.ista(signal.clone(), point);
        }
        codes.push(gamma);
    }
    if !pursuit.starts_with("ml") {
        return codes;
    }
    let deepest = layers.len() - 1;
    let (mut before, mut t) = (codes[deepest].clone(), 1.0f64);
    for _ in 0..unfoldings {
        let next = (1.0 + (1.0 + 4.0 * t * t).sqrt()) / 2.0;
        let factor = if pursuit == "ml-fista" { (t - 1.0) / next } else { 0.0 };
        let last = codes[deepest].clone();
        codes[deepest] = last.clone() + (last.clone() - before) * factor;
        (before, t) = (last, next);
        for i in (0..deepest).rev() {
            let [_, _, height, width] = codes[i].dims();
            // The encoder of ML-ISTA is its dictionary.
            codes[i] = layers[i + 1].synthesis(codes[i + 1].clone(), &layers[i + 1].encoder, [height, width]);
        }
        for i in 0..layers.len() {
            let signal = if i == 0 { x.clone() } else { codes[i - 1].clone() };
            let gamma = codes[i].clone();
            codes[i] = match pursuit {
                "ml-lista" => layers[i].lista(signal, gamma),
                _ => layers[i].ista(signal, gamma),
            };
        }
    }
    codes
}

#[test]
fn codes_are_those_of_the_published_iterations() {
    let device = Device::flex();
    for pursuit in ["ista", "fista", "ml-ista", "ml-fista", "ml-lista"] {
        for unfoldings in [0, 1, 4] {
            let network = network(pursuit, unfoldings, "", &device);
            let found = network.codes(&input(&device), None);
            let expected = published(pursuit, &network, &input(&device), unfoldings);
            for (layer, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found.dims(), expected.dims());
                let (found, expected) = (values(found), values(expected));
                let active = expected.iter().filter(|&&code| code > 0.0).count();
                assert!(
                    active * 10 > expected.len() && active < expected.len(),
                    "{pursuit} {unfoldings}, layer {layer}: {active} of {} codes test nothing",
                    expected.len()
                );
                let largest = expected.iter().fold(0.0f64, |largest, code| largest.max(*code));
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= 2e-6 * largest.max(1.0),
                        "{pursuit} {unfoldings}, layer {layer}: {found}, expected {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn without_unfoldings_it_is_convolution_bias_and_relu_bit_for_bit() {
    let device = Device::flex();
    for pursuit in ["thresholding", "ista", "fista", "ml-ista", "ml-fista", "ml-lista"] {
        let mut network = network(pursuit, 0, "", &device);
        let mut x = input(&device);
        for (layer, [_, _, stride, padding]) in network.layers.iter_mut().zip(LAYERS) {
            let weight = match &mut layer.rule {
                Rule::Learned(size) => {
                    size.step_size = size.step_size.clone().map(|size| size.ones_like());
                    layer.weight.val()
                }
                Rule::Encoder(encoder) => encoder.encoder.val(),
                Rule::Norm(_) | Rule::Solved(_) => panic!("another rule"),
            };
            let placement = scn_ops::Placement {
                stride,
                padding: scn_ops::Padding::Zeros(padding),
                dilation: 1,
            };
            let bias = (-layer.threshold.val()).reshape([1, -1, 1, 1]);
            x = relu(scn_ops::convolve2d(x, weight, placement) + bias);
        }
        let found = network.codes(&input(&device), None).pop().unwrap();
        let expected = values(&x);
        assert!(expected.iter().any(|&code| code > 0.0));
        assert_eq!(values(&found), expected, "{pursuit}");
    }
}

#[test]
fn ista_and_fista_of_many_unfoldings_approach_basis_pursuit() {
    let device = Device::flex();
    for (non_negative, mu) in [(true, 0.0), (false, 0.0)] {
        let common = format!("non_negative = {non_negative}\nthreshold = {{ initial = 0.05, per_atom = true }}");
        let exact = format!("{common}\nbasis_pursuit = {{ tolerance = 1e-6, max_iterations = 20000, mu = {mu:?} }}");
        let solved = network("basis-pursuit", 0, &exact, &device);
        let expected = solved.codes(&input(&device), None);
        let of = |pursuit: &str, unfoldings: usize| {
            let other = network(pursuit, unfoldings, &format!("{common}\nstep_size = \"norm\""), &device);
            other.codes(&input(&device), None)
        };
        let error = |codes: &[Tensor<4>]| {
            let distance = |a: &Tensor<4>, b: &Tensor<4>| {
                let norm = |values: Vec<f64>| values.iter().map(|value| value * value).sum::<f64>().sqrt();
                norm(values(&(a.clone() - b.clone()))) / norm(values(b))
            };
            distance(&codes[0], &expected[0])
        };
        let early = error(&of("ista", 30));
        let late = error(&of("fista", 1000));
        assert!(
            early < 0.5 && late < 1e-2 && late < early,
            "{non_negative}: {early} {late}"
        );
        let signed = values(&expected[0]).iter().any(|&code| code < 0.0);
        assert_eq!(signed, !non_negative);
    }
}

#[test]
fn a_factor_multiplies_the_thresholds_of_an_image() {
    let device = Device::flex();
    for pursuit in ["ml-ista", "ml-lista", "basis-pursuit"] {
        let exact = match pursuit {
            "basis-pursuit" => "basis_pursuit = { tolerance = 1e-6, max_iterations = 5000, mu = 0.01 }",
            _ => "",
        };
        let network = network(pursuit, 2, &format!("threshold.initial = 0.05\n{exact}"), &device);
        let factors = [0.5f32, 1.0, 4.0];
        let factor = tensor(factors.to_vec(), [3], &device);
        let all = network.codes(&input(&device), Some(&factor));
        for (image, factor) in factors.into_iter().enumerate() {
            let mut scaled = network.clone();
            for layer in &mut scaled.layers {
                layer.threshold = layer.threshold.clone().map(|threshold| threshold * factor);
            }
            let x = input(&device).slice_dim(0, image..image + 1);
            for (all, alone) in all.iter().zip(scaled.codes(&x, None)) {
                let all = values(&all.clone().slice_dim(0, image..image + 1));
                // Images of a solve share their iterations.
                let tolerance = if pursuit == "basis-pursuit" { 2e-3 } else { 1e-6 };
                for (all, alone) in all.iter().zip(values(&alone)) {
                    assert!((all - alone).abs() < tolerance, "{pursuit} {factor}: {all} {alone}");
                }
            }
        }
        assert_eq!(network.sparsity(), Some(Sparsity::Factor));
        let signal = convolve2d_adjoint(
            network.codes(&input(&device), None)[0].clone(),
            network.layers[0].weight.val(),
            scn_ops::Placement {
                stride: 2,
                padding: scn_ops::Padding::Zeros(1),
                dilation: 1,
            },
            [IMAGE[1], IMAGE[2]],
        );
        let found = values(&network.residual(input(&device)).unwrap());
        let squares = values(&(input(&device) - signal).powi_scalar(2));
        for (found, image) in found.iter().zip(squares.chunks(squares.len() / 3)) {
            let expected = image.iter().sum::<f64>() / image.len() as f64;
            assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
        }
    }
}

#[test]
fn reports_tell_steps_activity_and_how_far_a_step_moves_the_codes() {
    let device = Device::flex().autodiff();
    for (pursuit, steps) in [
        ("thresholding", Some(1)),
        ("fista", Some(4)),
        ("ml-ista", Some(4)),
        ("ml-lista", Some(4)),
        ("basis-pursuit", None),
    ] {
        let network = network(pursuit, 3, "threshold.initial = 0.012", &device);
        let output = network.forward(input(&device), &Pass::TRAINING);
        let codes = network.codes(&input(&device), None);
        let layers = network.coding_layers();
        assert_eq!((output.codes.len(), layers.len()), (3, 3));
        for (i, report) in output.codes.into_iter().enumerate() {
            assert_eq!(layers[i].name, format!("layers.{i}"));
            let CodingReport::Images(report) = report else {
                panic!("codes of pixels")
            };
            assert_eq!(report.steps, steps, "{pursuit}");
            let [batch, atoms, height, width] = codes[i].dims();
            assert_eq!((report.active.dims(), report.pixels), ([batch, atoms], height * width));
            let all = values(&codes[i].clone().without_autodiff());
            let expected: Vec<f64> = all
                .chunks(height * width)
                .map(|codes| codes.iter().filter(|&&code| code != 0.0).count() as f64)
                .collect();
            assert_eq!(values(&report.active), expected, "{pursuit}");
            let residual = values(&report.residual);
            assert_eq!(residual.len(), 1);
            match steps {
                Some(_) => assert!(residual[0] > 1e-3 && residual[0] < 3.0, "{pursuit} {i}: {residual:?}"),
                None => assert!(residual[0] < 1e-2, "{pursuit} {i}: {residual:?}"),
            }
            let sums = CodingReport::Images(report).sums();
            assert_eq!(sums.places as usize, batch * height * width);
            assert_eq!(values(&sums.values).len(), CodingSums::FIXED + atoms);
        }
    }
    // ρ by its definition, in the terms of the published programs.
    let network = network("ml-fista", 3, "", &device);
    let codes = network.codes(&input(&device), None);
    let layers = Published::layers(&network);
    let next = layers[1].ista(codes[0].clone(), codes[1].clone());
    let first = |codes: &Tensor<4>| values(&codes.clone().without_autodiff().slice_dim(0, 0..1));
    let (codes, next) = (first(&codes[1]), first(&next));
    let moved: f64 = codes.iter().zip(&next).map(|(code, next)| (code - next).powi(2)).sum();
    let norm: f64 = codes.iter().map(|code| code * code).sum();
    let mut reports = network.forward(input(&device), &Pass::TRAINING).codes;
    let CodingReport::Images(report) = reports.remove(1) else {
        panic!("codes of pixels")
    };
    let found = values(&report.residual)[0];
    assert!((found / (moved / norm).sqrt() - 1.0).abs() < 1e-4, "{found}");
}

#[test]
fn step_sizes_that_follow_the_norm_are_safe_after_a_step() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let mut network = network("ista", 3, "step_size = \"norm\"", &device);
        for layer in &mut network.layers {
            layer.weight = layer.weight.clone().map(|weight| weight * 2.0);
        }
        let network = network.refresh();
        for (layer, [_, _, stride, padding]) in network.layers.iter().zip(LAYERS) {
            let Rule::Norm(step) = &layer.rule else {
                panic!("another rule")
            };
            let (weight, direction) = (layer.weight.val().without_autodiff(), step.direction.value_sync());
            let start = images(direction.dims(), 8, &weight.device());
            let placement = scn_ops::Placement {
                stride,
                padding: scn_ops::Padding::Zeros(padding),
                dilation: 1,
            };
            let sides = match stride {
                1 => [5, 4],
                _ if weight.dims()[1] == IMAGE[0] => [IMAGE[1], IMAGE[2]],
                _ => [5, 4],
            };
            let (norm, _) = scn_ops::dictionary_norm(weight, start, placement, sides, 2000);
            let share = values(&norm)[0] * values(&step.value.value_sync().without_autodiff())[0];
            assert!((share / 0.9 - 1.0).abs() < 1e-2, "step size {share}/‖D‖²");
        }
    }
}

#[test]
fn thresholds_are_free_kept_or_fixed() {
    let role = |more: &str| {
        let config = table(&format!("kind = \"ml-csc\"\n{more}"));
        let Model::MlCsc(network) = Model::empty(&config, [1, 8, 8], 3, &Device::flex()).unwrap() else {
            panic!("another network")
        };
        let roles = network.roles();
        network
            .layers
            .iter()
            .map(|layer| roles.of(&layer.threshold))
            .collect::<Vec<_>>()
    };
    let expected = |constraint, frozen| {
        vec![
            Role {
                group: Group::Sparsity,
                constraint,
                frozen,
                ..Role::WEIGHT
            };
            2
        ]
    };
    assert_eq!(role(""), expected(Constraint::Free, false));
    assert_eq!(
        role("threshold.minimum = 0.1"),
        expected(Constraint::AtLeast(0.1), false)
    );
    assert_eq!(role("threshold.learned = false"), expected(Constraint::Free, true));
    assert_eq!(role("non_negative = false"), expected(Constraint::NON_NEGATIVE, false));
    let solved = "pursuit = \"basis-pursuit\"\nthreshold.initial = 0.1";
    assert_eq!(role(solved), expected(Constraint::NON_NEGATIVE, false));
    let moved = Constraint::AtLeast(0.1).apply(tensor::<1>(vec![-1.0, 0.05, 0.2], [3], &Device::flex()));
    assert_eq!(values(&moved), [0.1f32, 0.1, 0.2].map(f64::from));
}

#[test]
fn plans_that_do_not_fit_are_refused_with_their_numbers() {
    for (more, expected) in [
        (
            "layers = [[4, 4, 2, 1], [8, 3, 1, 0], [8, 4, 1, 0]]",
            "`layers[2]` is [8, 4, 1, 0], but the signals of this layer are 2×2: expected a kernel of at most 2 with this \
             padding",
        ),
        (
            "layers = [[4, 4, 2, 1]]\nconvolutions = [[4, 3, 1, 2], [4, 3, 1, 3]]",
            "`convolutions[1]` is [4, 3, 1, 3], but the input of this convolution is 2×2: expected pooling of at most 2",
        ),
        (
            "layers = [[4, 4, 2, 1]]\nconvolutions = [[4, 5, 0, 1]]",
            "`convolutions[0]` is [4, 5, 0, 1], but the input of this convolution is 4×4: expected a kernel of at most 4 \
             with this padding",
        ),
        (
            "threshold = { initial = 0.05, minimum = 0.1 }",
            "`threshold.initial` is 0.05, but model.threshold.minimum is 0.1: expected at least 0.1",
        ),
        (
            "non_negative = false\nthreshold.initial = -0.1",
            "`threshold.initial` is -0.1, but model.non_negative is false: expected at least 0",
        ),
        (
            "pursuit = \"basis-pursuit\"",
            "`threshold.initial` is 0, but with model.pursuit = \"basis-pursuit\" it is the weight of the 1-norm, without \
             which codes are not unique: expected a number above 0",
        ),
    ] {
        let config = table(&format!("kind = \"ml-csc\"\n{more}"));
        let error = Model::new(&config, [1, 8, 8], 3, 0, &Device::flex()).unwrap_err();
        assert!(matches!(error, ModelError::Misfit(_)));
        assert_eq!(error.to_string(), expected);
    }
    for layers in [
        "[]",
        "[[0, 4, 2, 1]]",
        "[[4, 0, 2, 1]]",
        "[[4, 4, 0, 1]]",
        "[[4, 4, 2, 4]]",
        "[[5000, 4, 2, 1]]",
    ] {
        let config = table(&format!("kind = \"ml-csc\"\nlayers = {layers}"));
        let error = config.check().unwrap_err();
        assert!(
            matches!(&error, ModelError::Range { key, .. } if key == "layers"),
            "{error}"
        );
    }
}

#[test]
fn values_without_effect_are_named() {
    for (more, expected) in [
        ("pursuit = \"thresholding\"", None),
        ("pursuit = \"thresholding\"\nunfoldings = 0", None),
        ("pursuit = \"thresholding\"\nunfoldings = 3", Some("unfoldings")),
        ("pursuit = \"basis-pursuit\"\nunfoldings = 0", Some("unfoldings")),
        ("pursuit = \"ml-lista\"\nstep_size = \"norm\"", Some("step_size")),
        ("basis_pursuit.mu = 0.1", Some("basis_pursuit")),
        (
            "threshold = { learned = false, minimum = 0.1 }",
            Some("threshold.minimum"),
        ),
    ] {
        let unused = table(&format!("kind = \"ml-csc\"\n{more}")).unused();
        let keys: Vec<_> = unused.iter().map(|unused| unused.key).collect();
        assert_eq!(keys, Vec::from_iter(expected), "{more}");
    }
}
