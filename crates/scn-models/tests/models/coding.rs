//! What coding layers report, and backward passes of a network's own.

use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Tensor};
use scn_models::{
    Backward, CodingReport, CodingSource, CodingSums, CodingUnit, LayerSummary, Model, Network, Observer, Output, Pass,
    Roles,
};
use scn_ops::{convolve2d, convolve2d_adjoint};
use scn_solver::ConvGeometry;

use crate::common::{images, normal, sdnet, table, tensor, values};

#[test]
fn an_sdnet_reports_steps_residual_activity_and_lambda_of_every_coding_layer() {
    let device = Device::flex();
    let config = table("kind = \"sdnet18-all\"\ncsc = { lambda = 0.05, steps = 3, mu = 0.1 }");
    let model = Model::new(&config, [3, 6, 6], 10, 4, &device).unwrap();
    let input = images([3, 3, 6, 6], 5, &device);
    let output = model.forward(input.clone(), &Pass::EVALUATION);
    let layers = model.coding_layers();
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(
        (names[0], names[1], names[2]),
        ("conv1", "blocks.0.conv1", "blocks.0.conv2")
    );
    assert!(names.contains(&"blocks.2.shortcut.conv"));
    assert_eq!((layers.len(), output.codes.len()), (20, 20));
    assert!((values(&layers[7].lambda1)[0] - 0.05).abs() < 1e-8);

    let coding = sdnet(model).conv1;
    let codes = coding.forward(input.clone(), None);
    let sums = output.codes.into_iter().next().unwrap().sums();
    let (found, places) = (values(&sums.values), 36);
    assert_eq!(
        (sums.places, sums.atoms, found.len()),
        (places, 64, CodingSums::FIXED + 64)
    );
    assert_eq!(found[0], 3.0 * places as f64);
    let first = codes.slice_dim(0, 0..1);
    let all = values(&first);
    for (atom, &active) in found[CodingSums::FIXED..].iter().enumerate() {
        let of_atom = all.chunks(36).skip(atom).step_by(64).flatten();
        assert_eq!(
            active,
            of_atom.filter(|&&code| code != 0.0).count() as f64,
            "atom {atom}"
        );
    }
    assert!(found[CodingSums::FIXED..].iter().sum::<f64>() > 0.0);
    // ρ of the first image in f64, by its definition.
    let (weight, step) = (coding.weight.val(), values(&coding.step_size.value_sync())[0]);
    let (x, c) = (input.slice_dim(0, 0..1), first);
    let signal = convolve2d_adjoint(c.clone(), weight.clone(), 1, [6, 6]);
    let gradient = values(&(convolve2d(signal - x, weight, 1) + c.clone() * 0.1));
    let (mut moved, mut norm) = (0.0, 0.0);
    for (code, gradient) in values(&c).into_iter().zip(gradient) {
        let next = (code - step * gradient - step * 0.05).max(0.0);
        moved += (code - next).powi(2);
        norm += code * code;
    }
    let rho = (moved / norm).sqrt();
    assert!(rho > 1e-3, "three steps cannot be so near: {rho}");
    assert!(
        (found[1] / places as f64 / rho - 1.0).abs() < 1e-4,
        "{} {rho}",
        found[1]
    );
    assert!((found[2] / rho - 1.0).abs() < 1e-4);
}

#[test]
fn codes_that_are_solved_to_convergence_report_a_small_residual_and_no_steps() {
    let device = Device::flex();
    let config = table(
        "kind = \"sdnet18\"\ncsc = { lambda = 0.1, mu = 0.05, implicit = { tolerance = 1e-5, max_iterations = 5000 } }",
    );
    let model = Model::new(&config, [3, 6, 6], 10, 4, &device).unwrap();
    let sparsity = Some(tensor(vec![0.1, 0.2], [2], &device));
    for pass in [Pass::TRAINING, Pass::EVALUATION, Pass::Evaluation { sparsity }] {
        let mut codes = model.forward(images([2, 3, 6, 6], 5, &device), &pass).codes;
        assert_eq!(codes.len(), 1);
        let report = codes.remove(0);
        assert!(matches!(&report, CodingReport::Images(codes) if codes.steps.is_none()));
        let sums = values(&report.sums().values);
        assert!(sums[0].is_nan() && sums[2] > 0.0 && sums[2] < 1e-3, "{:?}", &sums[..3]);
    }
}

#[test]
fn reports_take_no_part_in_gradients() {
    let device = Device::flex().autodiff();
    let config = table("kind = \"sdnet18\"");
    let model = Model::new(&config, [3, 6, 6], 10, 4, &device).unwrap();
    let output = model.forward(images([2, 3, 6, 6], 5, &device), &Pass::TRAINING);
    for report in output.codes {
        assert!(!report.sums().values.is_require_grad());
    }
}

/// An equilibrium `z = tanh(Wz + x)` and a linear classifier. Its forward pass finds z without a graph; backward, the
/// adjoint `u = g + Wᵀ diag(1 − z²) u` is a fixed point of vector-Jacobian products of one step.
#[derive(Module, Debug)]
struct Equilibrium {
    weight: Param<Tensor<2>>,
    classifier: Param<Tensor<2>>,
}

const STEPS: usize = 60;

impl Equilibrium {
    fn step(&self, z: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        (z.matmul(self.weight.val().transpose()) + x).tanh()
    }
}

impl Network for Equilibrium {
    fn forward_observed(&self, images: Tensor<4>, _: &Pass, _: Observer) -> Output {
        let [batch, channels, ..] = images.dims();
        let x: Tensor<2> = images.reshape([batch, channels]);
        let mut z = x.zeros_like();
        for _ in 0..STEPS {
            z = self.step(z, x.clone()).detach();
        }
        // The classifier sees a leaf, so that the loss ends there.
        let leaf = z.clone().require_grad();
        let logits = leaf.clone().matmul(self.classifier.val().transpose());
        let network = self.clone();
        let backward = Backward::own(move |loss: Tensor<1>| -> Gradients {
            let mut of_loss = loss.backward();
            let g = leaf.grad_remove(&mut of_loss).expect("the logits depend on the codes");
            let mut u = g.clone();
            for _ in 0..STEPS {
                let point = z.clone().detach().require_grad();
                let product = network.step(point.clone(), x.clone().detach()) * Tensor::from_inner(u.clone());
                let vjp = product.sum().backward();
                u = g.clone() + point.grad(&vjp).expect("a step depends on where it starts");
            }
            let product = network.step(z.clone().detach(), x.clone().detach()) * Tensor::from_inner(u);
            let of_weight = product.sum().backward();
            let weight = network.weight.val();
            let gradient = weight.grad(&of_weight).expect("a step depends on the weight");
            weight.grad_replace(&mut of_loss, gradient);
            of_loss
        });
        Output {
            backward,
            ..Output::new(logits, Vec::new())
        }
    }

    fn layers(&self, _: [usize; 3]) -> Vec<LayerSummary> {
        Vec::new()
    }

    fn roles(&self) -> Roles {
        Roles::default()
    }
}

#[test]
fn a_backward_pass_of_a_networks_own_gives_the_gradients_of_an_equilibrium() {
    let device = Device::flex().autodiff();
    let matrix = |rows: usize, columns: usize, seed, scale: f32| {
        let values: Vec<f32> = normal(rows * columns, seed)
            .into_iter()
            .map(|value| scale * value)
            .collect();
        Param::from_data(burn::tensor::TensorData::new(values, [rows, columns]), &device)
    };
    let network = Equilibrium {
        weight: matrix(4, 4, 1, 0.2),
        classifier: matrix(3, 4, 2, 1.0),
    };
    let x = images([2, 4, 1, 1], 3, &device);
    let loss = |logits: Tensor<2>| -log_softmax(logits, 1).slice([0..2, 1..2]).sum();
    let value = |network: &Equilibrium| values(&loss(network.forward(x.clone(), &Pass::TRAINING).logits))[0];
    let Output { logits, backward, .. } = network.forward(x.clone(), &Pass::TRAINING);
    let gradients = backward.gradients(loss(logits));
    let exact = [&network.weight, &network.classifier].map(|param| values(&param.val().grad(&gradients).unwrap()));
    for (which, exact) in exact.iter().enumerate() {
        let count = exact.len();
        for (i, exact) in exact.iter().enumerate() {
            let moved = |step: f64| {
                let mut network = network.clone();
                let param = [&mut network.weight, &mut network.classifier]
                    .into_iter()
                    .nth(which)
                    .unwrap();
                let mut along = vec![0.0; count];
                along[i] = step as f32;
                let along = tensor(along, param.dims(), &device);
                *param = param.clone().map(|value| (value + along).detach().require_grad());
                value(&network)
            };
            let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (difference - exact).abs() < 2e-3,
                "{which} {i}: {exact}, difference {difference}"
            );
        }
    }
    // The gradient of one step alone is another.
    let short = network.step(solution(&network, &x), x.clone().reshape([2, 4]));
    let by_step = loss(short.matmul(network.classifier.val().transpose())).backward();
    let by_step = values(&network.weight.val().grad(&by_step).unwrap());
    assert!(
        by_step.iter().zip(&exact[0]).any(|(a, b)| (a - b).abs() > 1e-2),
        "{by_step:?}"
    );
}

/// The equilibrium.
fn solution(network: &Equilibrium, x: &Tensor<4>) -> Tensor<2> {
    let x: Tensor<2> = x.clone().reshape([2, 4]);
    (0..STEPS).fold(x.zeros_like(), |z, _| network.step(z, x.clone()).detach())
}

/// Networks with coding layers, small enough for a test.
const CODING: [&str; 8] = [
    "scn",
    "sdnet18",
    "sdnet18-all",
    "scn18",
    "ml-csc",
    "sc-cnn",
    "res-csc",
    "msd-csc",
];

#[test]
fn networks_without_coding_layers_are_known() {
    for kind in scn_models::ModelKind::all() {
        let name = kind.name();
        let plain = name.contains("resnet") || name.starts_with("wrn") || name == "msdnet" || name.starts_with("mdeq");
        let coding = CODING.contains(&name) || name == "sdnet34";
        assert!(
            plain != coding,
            "{name}: add it to CODING, so that its codes are tested"
        );
    }
}

#[test]
fn coded_is_what_the_coding_layers_read_and_return() {
    let device = Device::flex();
    for kind in CODING {
        let model = Model::new(&table(&format!("kind = \"{kind}\"")), [1, 8, 9], 10, 4, &device).unwrap();
        // Batch norms that are more than a factor of 1.
        let _ = model.forward(images([4, 1, 8, 9], 6, &device), &Pass::TRAINING);
        let input = images([2, 1, 8, 9], 5, &device);
        let (layers, coded) = (model.coding_layers(), model.coded(input.clone()));
        let reports = model.forward(input.clone(), &Pass::EVALUATION).codes;
        assert_eq!((layers.len(), coded.len()), (reports.len(), reports.len()), "{kind}");
        let mut before = values(&input);
        for ((layer, coded), report) in layers.into_iter().zip(coded).zip(reports) {
            let name = format!("{kind}: {}", layer.name);
            let geometry = ConvGeometry::new(coded.input.dims(), layer.weight.dims(), layer.placement).unwrap();
            assert_eq!(coded.codes.dims(), geometry.codes_shape(), "{name}");
            let image = matches!(report, CodingReport::Images(_));
            // Closed forms of windows are reported as those of whole images are.
            assert!(layer.unit != CodingUnit::Image || image, "{name}");
            let sums = report.sums();
            // Some report all images, others the first of a batch.
            let reported = sums.places as usize / geometry.pixels();
            assert!(matches!(reported, 1 | 2), "{name}");
            let codes = values(&coded.codes);
            let active = codes[..codes.len() / 2 * reported]
                .iter()
                .filter(|code| **code != 0.0)
                .count() as f64;
            let told: f64 = values(&sums.values)[CodingSums::FIXED..].iter().sum();
            assert!(
                (active - told).abs() <= 2e-3 * told + 1.0,
                "{name}: {active} codes, {told} told"
            );
            let read = values(&coded.input);
            match layer.source {
                CodingSource::Before => assert_eq!(read, before, "{name}"),
                CodingSource::Normalized(scale) => {
                    let (scale, [_, channels, height, width]) = (values(&scale), coded.input.dims());
                    assert_eq!((scale.len(), read.len()), (channels, before.len()), "{name}");
                    let plane = height * width;
                    for (i, (found, other)) in read.iter().zip(&before).enumerate() {
                        // But for a shift, which the first value of the channel tells.
                        let channel = i / plane % channels;
                        let first = channel * plane;
                        let [moved, from] = [*other, before[first]].map(|code| scale[channel] * code);
                        let (expected, size) = (read[first] + moved - from, moved.abs() + from.abs());
                        assert!(
                            (found - expected).abs() < 1e-5 * (1.0 + size),
                            "{name}: {found} {expected}"
                        );
                    }
                }
                CodingSource::Other(what) => assert!(!what.is_empty()),
            }
            before = codes;
        }
    }
}
