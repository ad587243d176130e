//! Gradients of the loss through a whole SCN in training, against central differences.
//!
//! Codes are piecewise smooth: where a step changes a support the difference mixes two pieces. Two step sizes tell: a
//! direction counts where their differences agree, and most directions must count.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use scn_models::{Model, Network, Pass};

use crate::common::{images, normal, scn, table, tensor, values};

const BATCH: usize = 3;
const LABELS: [usize; BATCH] = [1, 0, 2];
const CLASSES: usize = 3;

fn network(device: &Device, per_atom: bool) -> Model {
    // λ₂ keeps systems with more atoms than the patch has dimensions regular.
    let config = table(&format!(
        "kind = \"scn\"
        first_width = 3
        lambda1 = {{ initial = 0.005, per_atom = {per_atom} }}
        [solver]
        tolerance = 1e-7
        max_iterations = 1000
        lambda2 = 0.05
        backward_ridge = 0.0
        backward_tolerance = 1e-7
        backward_max_iterations = 1000"
    ));
    let mut model = Model::new(&config, [2, 8, 8], CLASSES, 3, device).unwrap();
    // The initial classifier hardly looks at the features.
    let classifier = &mut scn(&mut model).classifier;
    classifier.weight = classifier
        .weight
        .clone()
        .map(|weight| (weight * 30.0).detach().require_grad());
    model
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
    LABELS
        .iter()
        .enumerate()
        .for_each(|(i, label)| chosen[i * CLASSES + label] = 1.0 / BATCH as f32);
    -(log_probabilities * tensor(chosen, [BATCH, CLASSES], &device)).sum()
}

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Dictionary(usize),
    Lambda1(usize),
    Classifier,
    Input,
}

/// The model and the input, moved by `step` along `direction`.
fn moved(model: &Model, x: &Tensor<4>, of: Of, direction: &[f32], step: f64) -> (Model, Tensor<4>) {
    let (mut model, mut x) = (model.clone(), x.clone());
    let device = x.device();
    let scn = scn(&mut model);
    match of {
        Of::Dictionary(i) => {
            let weight = &mut scn.layers[i].coding.weight;
            let along = tensor(direction.to_vec(), weight.dims(), &device);
            *weight = weight.clone().map(|weight| weight + along * step);
        }
        Of::Lambda1(i) => {
            let lambda1 = &mut scn.layers[i].coding.lambda1;
            let along = tensor(direction.to_vec(), lambda1.dims(), &device);
            *lambda1 = lambda1.clone().map(|lambda1| lambda1 + along * step);
        }
        Of::Classifier => {
            let weight = &mut scn.classifier.weight;
            let along = tensor(direction.to_vec(), weight.dims(), &device);
            *weight = weight.clone().map(|weight| weight + along * step);
        }
        Of::Input => {
            let along = tensor(direction.to_vec(), x.dims(), &device);
            x = x + along * step;
        }
    }
    (model, x)
}

fn check(per_atom: bool) {
    let device = Device::flex().autodiff();
    let model = network(&device, per_atom);
    let x = images([BATCH, 2, 6, 6], 5, &device);
    let tracked = x.clone().require_grad();
    let gradients = differentiable_loss(&model, tracked.clone()).backward();
    let gradient = |of: Of| -> Vec<f64> {
        let mut model = model.clone();
        let scn = scn(&mut model);
        match of {
            Of::Dictionary(i) => values(&scn.layers[i].coding.weight.grad(&gradients).unwrap()),
            Of::Lambda1(i) => values(&scn.layers[i].coding.lambda1.grad(&gradients).unwrap()),
            Of::Classifier => values(&scn.classifier.weight.grad(&gradients).unwrap()),
            Of::Input => values(&tracked.grad(&gradients).unwrap()),
        }
    };
    let dictionaries = (0..14).map(Of::Dictionary);
    let lambdas = (0..14).map(Of::Lambda1);
    let (mut counted, mut all) = (0, 0);
    for of in dictionaries.chain(lambdas).chain([Of::Classifier, Of::Input]) {
        let gradient = gradient(of);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 0.0 && norm.is_finite(), "{of:?}: gradient of norm {norm}");
        for seed in 0..2 {
            // Half along the gradient, so that the loss moves more than f32 rounds, half at random.
            let random = normal(gradient.len(), 100 + seed);
            let length = random.iter().map(|&r| f64::from(r).powi(2)).sum::<f64>().sqrt();
            let direction: Vec<f32> = gradient
                .iter()
                .zip(&random)
                .map(|(g, &r)| (g / norm + f64::from(r) / length) as f32)
                .collect();
            let exact: f64 = gradient.iter().zip(&direction).map(|(g, &d)| g * f64::from(d)).sum();
            // Steps that move the loss by a thousandth.
            let step = (1e-3 / norm).min(1e-2);
            let difference = |step: f64| {
                let at = |step| {
                    let (model, x) = moved(&model, &x, of, &direction, step);
                    loss(&model, x)
                };
                (at(step) - at(-step)) / (2.0 * step)
            };
            let (coarse, fine) = (difference(step), difference(step / 2.0));
            all += 1;
            println!(
                "{of:?} {seed}: {:.2e} {:.2e}",
                (coarse - fine) / norm,
                (fine - exact) / norm
            );
            if (coarse - fine).abs() > 0.02 * norm {
                continue;
            }
            counted += 1;
            assert!(
                (fine - exact).abs() <= 0.03 * norm,
                "{of:?}: {exact}, differences {coarse} and {fine}"
            );
        }
    }
    assert!(
        10 * counted >= 8 * all,
        "differences of two steps agree in {counted} of {all} directions only"
    );
}

#[test]
fn of_the_whole_network() {
    check(false);
}

#[test]
fn of_the_whole_network_with_a_lambda1_for_each_atom() {
    check(true);
}
