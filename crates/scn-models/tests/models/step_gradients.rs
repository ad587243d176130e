//! Gradients of a loss through networks of coding steps in training, against central differences on every device.
//!
//! The loss is piecewise smooth: where a step changes a support the difference mixes two pieces, by little where one code of
//! hundreds changes. Two step sizes tell: a direction counts where their differences agree far better than they are to agree
//! with the gradient, and most directions must count.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Tensor};
use scn_models::{Model, Network, Pass};
use scn_ops::{DeviceRequest, adapter_available, open};

use crate::common::{images, normal, shaken, table, tensor, values};

const BATCH: usize = 3;
const LABELS: [usize; BATCH] = [1, 0, 2];
const CLASSES: usize = 3;
const IMAGE: [usize; 3] = [2, 7, 6];

const NETWORKS: [&str; 6] = [
    "kind = \"res-csc\"\nstages = [[1, 4], [1, 6]]",
    "kind = \"res-csc\"\nstages = [[1, 4], [1, 6]]\nbatch_norm = false",
    "kind = \"msd-csc\"\nchannels = 4\ndepth = 2\ngrowth = 3\ndilations = [1, 2]\nunfoldings = 0",
    "kind = \"msd-csc\"\nchannels = 4\ndepth = 2\ngrowth = 3\ndilations = [1, 2]\nunfoldings = 2",
    "kind = \"msd-csc\"\nchannels = 4\ndepth = 2\ngrowth = 3\ndilations = [2]\nbatch_norm = false",
    "kind = \"msdnet\"\nchannels = 4\ndepth = 2\ngrowth = 3\ndilations = [2]",
];

fn network(text: &str, device: &Device) -> Model {
    let model = Model::new(&table(text), IMAGE, CLASSES, 3, device).unwrap();
    // The initial classifier hardly looks at the features, and added channels are small.
    shaken(model, 0.2, 11)
}

/// Cross-entropy in f64 from the f32 logits.
fn loss(model: &Model, x: Tensor<4>) -> f64 {
    let logits = values(&model.forward(x, &Pass::TRAINING).logits);
    let of_image = |(row, &label): (&[f64], &usize)| {
        let log_sum = row.iter().map(|z| z.exp()).sum::<f64>().ln();
        log_sum - row[label]
    };
    logits.chunks_exact(CLASSES).zip(&LABELS).map(of_image).sum::<f64>() / BATCH as f64
}

fn differentiable_loss(model: &Model, x: Tensor<4>) -> Tensor<1> {
    let device = x.device();
    let log_probabilities = log_softmax(model.forward(x, &Pass::TRAINING).logits, 1);
    let mut chosen = vec![0.0; BATCH * CLASSES];
    let labels = LABELS.iter().enumerate();
    labels.for_each(|(i, label)| chosen[i * CLASSES + label] = 1.0 / BATCH as f32);
    -(log_probabilities * tensor(chosen, [BATCH, CLASSES], &device)).sum()
}

/// Every parameter with its gradient.
fn gradients_of(model: &Model, gradients: &Gradients) -> Vec<(ParamId, Vec<f64>)> {
    struct Collect<'a>(&'a Gradients, Vec<(ParamId, Vec<f64>)>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // Running statistics have none.
            if !param.is_require_grad() {
                return;
            }
            let gradient = param.val().grad(self.0);
            let gradient = gradient.unwrap_or_else(|| panic!("no gradient of {:?}", param.id));
            self.1.push((param.id, values(&gradient)));
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    model.visit(&mut collect);
    collect.1
}

/// The model with some parameters moved by `step` along their directions.
fn moved(model: &Model, directions: &[(ParamId, Vec<f32>)], step: f64) -> Model {
    struct Move<'a>(&'a [(ParamId, Vec<f32>)], f64);
    impl ModuleMapper for Move<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some((_, direction)) = self.0.iter().find(|(id, _)| *id == param.id) else {
                return param;
            };
            param.map(|value| {
                let along = tensor(direction.clone(), value.dims(), &value.device());
                value + along * self.1
            })
        }
    }
    model.clone().map(&mut Move(directions, step))
}

/// Half along the gradient, so that the loss moves more than f32 rounds, half at random.
fn direction(gradient: &[f64], seed: u64) -> Vec<f32> {
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let random: Vec<f64> = normal(gradient.len(), seed).into_iter().map(f64::from).collect();
    let (length, random_length) = (norm(gradient).max(f64::MIN_POSITIVE), norm(&random));
    let mixed = gradient.iter().zip(&random);
    mixed.map(|(g, r)| (g / length + r / random_length) as f32).collect()
}

/// Compares the derivative along some directions with differences; `None` where a support changes.
fn compare(what: &str, norm: f64, exact: f64, at: impl Fn(f64) -> f64) -> Option<()> {
    // Steps that move the loss by a thousandth, where they are small: supports of hundreds of codes change with larger ones.
    let step = (1e-3 / norm).min(2e-3);
    let difference = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    let (coarse, fine) = (difference(step), difference(step / 2.0));
    // Logits are rounded to 1e-7.
    let rounding = 4e-7 / step;
    if (coarse - fine).abs() > 0.005 * norm + rounding {
        return None;
    }
    assert!(
        (fine - exact).abs() <= 0.03 * norm + rounding,
        "{what}: {exact}, differences {coarse} and {fine}, norm {norm}"
    );
    Some(())
}

fn check(device: &Device, each: bool) {
    let device = device.clone().autodiff();
    let (mut counted, mut all) = (0, 0);
    for text in NETWORKS {
        let model = network(text, &device);
        let x = images([BATCH, IMAGE[0], IMAGE[1], IMAGE[2]], 5, &device);
        let tracked = x.clone().require_grad();
        let gradients = differentiable_loss(&model, tracked.clone()).backward();
        let of_input = values(&tracked.grad(&gradients).unwrap());
        let of_parameters = gradients_of(&model, &gradients);
        let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();

        let along = direction(&of_input, 100);
        let shift = tensor(along.clone(), x.dims(), &device);
        assert!(norm(&of_input) > 0.0);
        let exact = dot(&of_input, &along);
        let at = |step: f64| loss(&model, x.clone() + shift.clone() * step);
        all += 1;
        counted += usize::from(compare(&format!("{text}: input"), norm(&of_input), exact, at).is_some());

        // All parameters at once, and each alone.
        let ids: Vec<usize> = (0..of_parameters.len()).collect();
        let alone = ids.iter().filter(|_| each).map(|&i| vec![i]);
        for (seed, chosen) in std::iter::once(ids.clone()).chain(alone).enumerate() {
            let directions = chosen.iter().map(|&i| {
                let (id, gradient) = &of_parameters[i];
                (*id, direction(gradient, 1000 + 10 * seed as u64 + i as u64))
            });
            let directions: Vec<_> = directions.collect();
            let exact: f64 = chosen
                .iter()
                .zip(&directions)
                .map(|(&i, (_, along))| dot(&of_parameters[i].1, along))
                .sum();
            let norm = chosen.iter().map(|&i| norm(&of_parameters[i].1)).sum::<f64>();
            let at = |step: f64| loss(&moved(&model, &directions, step), x.clone());
            all += 1;
            counted += usize::from(compare(&format!("{text}: {chosen:?}"), norm, exact, at).is_some());
        }
    }
    println!("{counted} of {all} directions");
    assert!(
        10 * counted >= 6 * all,
        "differences of two steps agree in {counted} of {all} directions only"
    );
}

#[test]
fn on_the_cpu() {
    check(&Device::flex(), true);
}

#[test]
fn on_wgpu() {
    if adapter_available() {
        check(&open(DeviceRequest::Wgpu).unwrap(), false);
        return;
    }
    assert!(
        std::env::var_os("SCN_REQUIRE_WGPU").is_none(),
        "SCN_REQUIRE_WGPU is set, but there is no adapter"
    );
    println!("skipped on wgpu: there is no adapter");
}
