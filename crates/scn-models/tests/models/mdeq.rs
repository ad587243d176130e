//! Multiscale equilibrium networks: gradients at the fixed point, solvers, pre-training and dropout.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use scn_models::{CodingReport, Equilibria, Model, Network, Pass, TrainingStep};

use crate::common::{devices, images, normal, table, tensor, values};
use crate::differences::{Found, Moved, direction};

const CLASSES: usize = 3;
const BATCH: usize = 2;
const IMAGE: [usize; 3] = [2, 7, 6];

/// Equilibria as exact as f32 allows, without pre-training.
const EXACT: &str = "tolerance = 5e-7, max_iterations = 60, backward_tolerance = 1e-5, backward_max_iterations = 200, \
                     pretraining_steps = 0";

/// A network whose map contracts, which that of new weights does not: most of what a block adds to its state comes from
/// the injection, and most of what the coarser resolution fuses from the finer.
fn network(keys: &str, device: &Device) -> Model {
    let config = table(&format!("kind = \"mdeq-small\"\n{keys}"));
    let mut model = Model::new(&config, IMAGE, CLASSES, 5, device).unwrap();
    let Model::Mdeq(network) = &mut model else {
        panic!("another network")
    };
    let transform = &mut network.transform;
    let scaled = |param: &mut Param<Tensor<1>>, factor: f64| {
        *param = param.clone().map(|value| leaf(value * factor));
    };
    scaled(transform.blocks[0].norm2.weight.as_mut().expect("a scale"), 4.0);
    scaled(transform.down_norm.weight.as_mut().expect("a scale"), 4.0);
    scaled(&mut transform.blocks[0].conv2.length, 0.25);
    // From a state of zeros, rectifiers would stand on their corners.
    for (i, block) in transform.blocks.iter_mut().enumerate() {
        let bias = block.norm1.bias.as_mut().expect("a shift");
        let shift = tensor(normal(120, 40 + i as u64), [120], device) * 0.3;
        *bias = bias.clone().map(|value| leaf(value + shift));
    }
    model
}

/// A value as a parameter has it.
fn leaf(value: Tensor<1>) -> Tensor<1> {
    match value.is_autodiff() {
        true => value.detach().require_grad(),
        false => value,
    }
}

/// With keys of the equilibrium.
fn solved(equilibrium: &str, device: &Device) -> Model {
    network(&format!("equilibrium = {{ {equilibrium} }}"), device)
}

fn input(device: &Device) -> Tensor<4> {
    images([BATCH, IMAGE[0], IMAGE[1], IMAGE[2]], 6, device)
}

fn weights() -> Vec<f32> {
    normal(BATCH * CLASSES, 77)
}

/// `⟨weights, logits⟩` in f64.
fn loss(model: &Model, x: &Tensor<4>) -> f64 {
    let logits = values(&model.forward(x.clone(), &Pass::TRAINING).logits.without_autodiff());
    let weighted = logits.iter().zip(weights());
    weighted.map(|(logit, weight)| logit * f64::from(weight)).sum()
}

/// The gradients of all parameters, in the order of the module, and of the input.
fn gradients(model: &Model, x: Tensor<4>) -> (Vec<Option<Vec<f64>>>, Vec<f64>) {
    let device = x.device();
    let x = x.require_grad();
    let output = model.forward(x.clone(), &Pass::TRAINING);
    let loss = (output.logits * tensor(weights(), [BATCH, CLASSES], &device)).sum();
    let gradients = output.backward.gradients(loss);
    let mut found = Found {
        gradients: &gradients,
        found: Vec::new(),
    };
    model.visit(&mut found);
    // Running statistics have none.
    (found.found, values(&x.grad(&gradients).expect("a gradient")))
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Central differences along a direction near the gradient: most are as near as rounding allows, and all but for what a few of
/// the thousands of rectifiers change that turn on the way.
fn check(name: &str, every: usize, equilibrium: &str, device: &Device) {
    let (model, x) = (solved(equilibrium, device), input(device));
    let (of_parameters, of_input) = gradients(&model, x.clone());
    let places = of_parameters.len();
    let (mut near, mut all) = (0, 0);
    let all_gradients = of_parameters.into_iter().chain([Some(of_input)]);
    for (place, gradient) in all_gradients.enumerate().step_by(every) {
        let Some(gradient) = gradient else { continue };
        let length = norm(&gradient);
        assert!(length > 0.0 && length.is_finite(), "{name}, {place}: {length}");
        let (along, exact) = direction(&gradient, 100 + place as u64);
        let difference = |step: f64| {
            let at = |step: f64| {
                if place == places {
                    let along = tensor(along.clone(), x.dims(), device);
                    return loss(&model, &(x.clone() + along * step));
                }
                let mut moved = Moved {
                    place,
                    along: &along,
                    step,
                    next: 0,
                };
                loss(&model.clone().map(&mut moved), &x)
            };
            (at(step) - at(-step)) / (2.0 * step)
        };
        let error = (difference((2e-3 / length).min(5e-3)) - exact).abs() / length;
        println!("{name}, {place}: {error:.1e}");
        assert!(error < 0.06, "{name}, {place}: {error}");
        all += 1;
        near += usize::from(error < 0.01);
    }
    assert!(all > 5 && 2 * near > all, "{name}: {near} of {all}");
}

#[test]
fn gradients_at_the_equilibrium_are_exact() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let every = if name == "cpu" { 1 } else { 7 };
        check(name, every, EXACT, &device);
    }
}

#[test]
fn gradients_by_the_other_solver_and_by_many_phantom_steps_are_the_same() {
    let device = Device::flex().autodiff();
    let of = |more: &str| gradients(&solved(&format!("{EXACT}, {more}"), &device), input(&device));
    let (exact, of_input) = of("method = \"broyden\"");
    let apart = |other: (Vec<Option<Vec<f64>>>, Vec<f64>)| {
        let exact = exact.iter().flatten().chain([&of_input]);
        let pairs = exact.zip(other.0.iter().flatten().chain([&other.1]));
        let apart = pairs.map(|(exact, other)| {
            let difference: Vec<f64> = exact.iter().zip(other).map(|(a, b)| a - b).collect();
            norm(&difference) / norm(exact)
        });
        apart.fold(0.0, f64::max)
    };
    let by_anderson = apart(of("method = \"anderson\""));
    assert!(by_anderson < 1e-3, "{by_anderson}");
    // Its sum of powers of the Jacobian is cut off.
    let phantom = |steps: usize| apart(of(&format!("phantom = {{ steps = {steps}, damping = 0.5 }}")));
    let (few, many) = (phantom(3), phantom(60));
    assert!(many < 0.02 && few > 5.0 * many, "{few} {many}");
}

#[test]
fn gradients_of_unrolled_pretraining_are_exact() {
    check(
        "unrolled",
        5,
        "pretraining_steps = 1, pretraining_layers = 3",
        &Device::flex().autodiff(),
    );
}

/// The equilibrium of the finer resolution and what is reported.
fn equilibrium(model: &Model, x: Tensor<4>, pass: &Pass) -> (Vec<f64>, Equilibria) {
    let mut found = Vec::new();
    let output = model.forward_observed(x, pass, &mut |name, z| {
        if name == "equilibrium.0" {
            found = values(&z.clone().without_autodiff());
        }
    });
    let mut codes = output.codes;
    assert_eq!(codes.len(), model.reporting().len());
    let Some(CodingReport::Equilibria(report)) = codes.pop() else {
        panic!("no report of equilibria")
    };
    (found, report)
}

#[test]
fn what_is_found_is_a_fixed_point_whatever_finds_it_and_beside_whom() {
    let device = Device::flex();
    let x = input(&device);
    let found = |more: &str, x: Tensor<4>| equilibrium(&solved(more, &device), x, &Pass::EVALUATION);
    let (by_broyden, report) = found("tolerance = 1e-5, max_iterations = 200", x.clone());
    assert!(report.forward.residuals.iter().all(|&residual| residual <= 1e-5));
    assert!(report.forward.iterations.iter().all(|&made| (2..200).contains(&made)));
    assert!(report.backward.get().is_none());
    let (by_anderson, _) = found(
        "method = \"anderson\", tolerance = 1e-5, max_iterations = 200",
        x.clone(),
    );
    let difference: Vec<f64> = by_broyden.iter().zip(&by_anderson).map(|(a, b)| a - b).collect();
    assert!(norm(&difference) < 1e-3 * norm(&by_broyden), "{}", norm(&difference));
    for image in 0..BATCH {
        let (alone, of_one) = found(
            "tolerance = 1e-5, max_iterations = 200",
            x.clone().slice_dim(0, image..image + 1),
        );
        let together = &by_broyden[image * alone.len()..][..alone.len()];
        let difference: Vec<f64> = alone.iter().zip(together).map(|(a, b)| a - b).collect();
        assert!(norm(&difference) < 1e-4 * norm(&alone));
        assert_eq!(of_one.forward.iterations[0], report.forward.iterations[image]);
    }
    let (_, report) = found("tolerance = 1e-5, max_iterations = 2", x);
    assert_eq!(report.forward.iterations, vec![2; BATCH]);
    let sums = values(&CodingReport::Equilibria(report).sums().values);
    assert_eq!((sums[0], sums[3]), (4.0, 2.0));
    assert!(sums[1] >= sums[2] && sums[2] > 1e-5 && sums[4..].iter().all(|value| value.is_nan()));
}

#[test]
fn the_backward_system_is_reported_once_it_is_solved() {
    let device = Device::flex().autodiff();
    let (model, x) = (solved(EXACT, &device), input(&device));
    let output = model.forward(x, &Pass::TRAINING);
    let gradients = output.backward.gradients(output.logits.sum());
    drop(gradients);
    let Some(CodingReport::Equilibria(report)) = output.codes.first() else {
        panic!("no report of equilibria")
    };
    let backward = report.backward.get().expect("solved");
    assert!(
        backward.residuals.iter().all(|&residual| residual <= 1e-5),
        "{backward:?}"
    );
}

#[test]
fn dropout_follows_seed_and_step_and_is_for_training_only() {
    let device = Device::flex();
    let (model, x) = (solved("pretraining_steps = 0", &device), input(&device));
    let of = |number, seed, shard| {
        let step = TrainingStep { number, seed, shard };
        equilibrium(&model, x.clone(), &Pass::Training(step)).0
    };
    let at = |number, seed| of(number, seed, 0);
    assert_eq!(at(3, 1), at(3, 1));
    assert!(at(3, 1) != at(4, 1) && at(3, 1) != at(3, 2) && at(3, 1) != of(3, 1, 1));
    let without = network("dropout = 0.0\nequilibrium = { pretraining_steps = 0 }", &device);
    assert!(at(0, 0) != equilibrium(&without, x.clone(), &Pass::TRAINING).0);
    // Of new running statistics: those of the others have moved.
    let of = |keys: &str| equilibrium(&network(keys, &device), x.clone(), &Pass::EVALUATION).0;
    assert_eq!(of("dropout = 0.0"), of("dropout = 0.5"));
}

#[test]
fn pretraining_unrolls_from_zero_and_ends_with_its_steps() {
    let device = Device::flex();
    let x = input(&device);
    let model = solved("pretraining_steps = 2, pretraining_layers = 4", &device);
    let at = |number| {
        equilibrium(
            &model,
            x.clone(),
            &Pass::Training(TrainingStep {
                number,
                ..TrainingStep::default()
            }),
        )
        .1
        .forward
    };
    assert_eq!(
        (at(1).iterations, at(2).iterations == vec![4; BATCH]),
        (vec![4; BATCH], false)
    );
    assert!(
        at(1)
            .residuals
            .iter()
            .all(|residual| residual.is_finite() && *residual > 0.0)
    );
}

#[test]
fn the_small_network_has_the_published_size() {
    let config = table("kind = \"mdeq-small\"");
    let model = Model::empty(&config, [3, 32, 32], 10, &Device::flex()).unwrap();
    // The authors' 170 k less the biases in front of batch norms.
    let transform =
        2 * (2 * 24 * 120 * 9 + 144 + 2 * (120 + 24 + 24)) + 24 * 24 * 9 + 24 + 24 * 24 + 24 + 96 + 2 * (24 * 24 + 24);
    let Model::Mdeq(network) = &model else {
        panic!("another network")
    };
    assert_eq!(network.transform.num_params(), transform);
    let summary = model.summary("mdeq-small", [3, 32, 32]);
    let parameters: usize = summary.layers.iter().map(|layer| layer.parameters).sum();
    assert_eq!(parameters, 158_962);
}
