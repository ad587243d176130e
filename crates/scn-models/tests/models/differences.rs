//! Gradients of all parameters of ML-CSC networks against central differences, on every device.
//!
//! Codes are piecewise smooth: where a step changes a support the difference mixes two pieces. Two step sizes tell: a
//! direction counts where their differences agree, and most directions must count.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use scn_models::{Model, Network, Pass};

use crate::common::{devices, images, normal, table, tensor, values};

const CLASSES: usize = 3;
const BATCH: usize = 2;

/// The gradient of every parameter, flattened, in the order of the module.
pub struct Found<'a> {
    pub gradients: &'a Gradients,
    pub found: Vec<Option<Vec<f64>>>,
}

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .push(param.val().grad(self.gradients).map(|gradient| values(&gradient)));
    }
}

/// Moves one parameter, by its place in the module.
pub struct Moved<'a> {
    pub place: usize,
    pub along: &'a [f32],
    pub step: f64,
    /// 0 at first.
    pub next: usize,
}

impl ModuleMapper for Moved<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next += 1;
        if self.next - 1 != self.place {
            return param;
        }
        param.map(|value| {
            let along = tensor(self.along.to_vec(), value.dims(), &value.device());
            value + along * self.step
        })
    }
}

fn weights() -> Vec<f64> {
    normal(BATCH * CLASSES, 77).into_iter().map(f64::from).collect()
}

/// `⟨weights, logits⟩` in f64.
fn loss(model: &Model, x: &Tensor<4>) -> f64 {
    let logits = values(&model.forward(x.clone(), &Pass::TRAINING).logits.without_autodiff());
    logits.iter().zip(weights()).map(|(logit, weight)| logit * weight).sum()
}

/// A direction half along the gradient and half at random, and the gradient's slope along it.
pub fn direction(gradient: &[f64], seed: u64) -> (Vec<f32>, f64) {
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let random = normal(gradient.len(), seed);
    let length = random.iter().map(|&r| f64::from(r).powi(2)).sum::<f64>().sqrt();
    let along = gradient.iter().zip(&random);
    let along: Vec<f32> = along.map(|(g, &r)| (g / norm + f64::from(r) / length) as f32).collect();
    let slope = gradient.iter().zip(&along).map(|(g, &d)| g * f64::from(d)).sum();
    (along, slope)
}

fn check(name: &str, device: &Device, more: &str) {
    let config = table(&format!("kind = \"ml-csc\"\n{more}"));
    let model = Model::new(&config, [2, 9, 8], CLASSES, 5, device).unwrap();
    // The initial dictionaries hardly pass anything on.
    let Model::MlCsc(mut network) = model else {
        panic!("another network")
    };
    for layer in &mut network.layers {
        layer.weight = layer
            .weight
            .clone()
            .map(|weight| (weight * 5.0).detach().require_grad());
        if let scn_models::ml_csc::Rule::Encoder(encoder) = &mut layer.rule {
            let larger = |encoder: Tensor<4>| (encoder * 5.0).detach().require_grad();
            encoder.encoder = encoder.encoder.clone().map(larger);
        }
    }
    let model = Model::MlCsc(network.refresh());
    let x = images([BATCH, 2, 9, 8], 6, device);
    let logits = model.forward(x.clone(), &Pass::TRAINING).logits;
    let of_logits: Vec<f32> = weights().iter().map(|&weight| weight as f32).collect();
    let gradients = (logits * tensor(of_logits, [BATCH, CLASSES], device)).sum().backward();
    let mut found = Found {
        gradients: &gradients,
        found: Vec::new(),
    };
    model.visit(&mut found);
    let (mut counted, mut all) = (0, 0);
    for (place, gradient) in found.found.into_iter().enumerate() {
        // Of step sizes that follow the dictionary.
        let Some(gradient) = gradient else { continue };
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(
            norm > 0.0 && norm.is_finite(),
            "{name} {more}, {place}: gradient of norm {norm}"
        );
        let (along, exact) = direction(&gradient, 100 + place as u64);
        let step = (2e-3 / norm).min(1e-2);
        let difference = |step: f64| {
            let at = |step| {
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
        let (coarse, fine) = (difference(step), difference(step / 2.0));
        all += 1;
        println!(
            "{name}, {place}: {:.1e} {:.1e}",
            (coarse - fine) / norm,
            (fine - exact) / norm
        );
        if (coarse - fine).abs() > 0.01 * norm {
            continue;
        }
        counted += 1;
        assert!(
            (fine - exact).abs() <= 0.015 * norm,
            "{name} {more}, {place}: {exact}, differences {coarse} and {fine}"
        );
    }
    assert!(
        all >= 7 && 10 * counted >= 8 * all,
        "{name} {more}: differences of two steps agree in {counted} of {all} directions only"
    );
}

const PLAN: &str = "layers = [[5, 4, 2, 1], [6, 3, 1, 0]]\nconvolutions = [[4, 2, 0, 1]]";

#[test]
fn gradients_of_every_pursuit_are_those_of_central_differences() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for pursuit in ["thresholding", "ista", "fista", "ml-ista", "ml-fista", "ml-lista"] {
            let unfoldings = if pursuit == "thresholding" { 0 } else { 2 };
            check(
                name,
                &device,
                &format!("pursuit = \"{pursuit}\"\nunfoldings = {unfoldings}\nthreshold.initial = 0.01\n{PLAN}"),
            );
        }
    }
}

#[test]
fn gradients_with_signed_codes_one_threshold_a_layer_and_pooling() {
    let plan = "layers = [[5, 4, 2, 1], [6, 3, 1, 1]]\nconvolutions = [[4, 3, 1, 2]]";
    for (name, device) in devices() {
        let table = "pursuit = \"ml-fista\"\nunfoldings = 2\nnon_negative = false";
        let threshold = "threshold = { initial = 0.01, per_atom = false }";
        check(name, &device.autodiff(), &format!("{table}\n{threshold}\n{plan}"));
    }
}

#[test]
fn gradients_of_basis_pursuit_are_those_of_its_solution() {
    for (name, device) in devices() {
        let table = "pursuit = \"basis-pursuit\"\nthreshold.initial = 0.05";
        let exact = "basis_pursuit = { tolerance = 1e-6, max_iterations = 1000, mu = 0.1 }";
        check(name, &device.autodiff(), &format!("{table}\n{exact}\n{PLAN}"));
    }
}
