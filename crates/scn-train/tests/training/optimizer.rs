//! Stochastic gradient descent against PyTorch's formula in f64.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use scn_models::{Constraint, Group, Role, Roles};
use scn_train::{Optimizer, OptimizerConfig, OptimizerKind, RateFactors};

/// A tensor of every group.
#[derive(Module, Debug)]
struct Toy {
    coding: Coding,
    bn1: Norm,
    classifier: Linear,
}

#[derive(Module, Debug)]
struct Coding {
    weight: Param<Tensor<2>>,
    lambda1: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

type Values = BTreeMap<&'static str, Vec<f64>>;

fn initial() -> Values {
    BTreeMap::from([
        ("bn1.bias", vec![0.3, -0.2]),
        ("bn1.weight", vec![1.0, 0.9]),
        ("classifier.bias", vec![0.5, -0.4, 0.0]),
        ("classifier.weight", vec![0.2, -0.7, 0.1, 0.6]),
        ("coding.lambda1", vec![0.02, 0.5]),
        ("coding.weight", vec![1.0, -1.5, 0.25, 0.75]),
    ])
}

/// Gradients of a step: of all sizes and signs; those of λ₁ push it below 0 and up again.
fn gradients(step: usize) -> Values {
    let mut counter = 0.0;
    let mut next = || {
        counter += 1.0;
        (1.7 * counter + 0.9 * step as f64).sin() * (1.0 + 0.3 * counter)
    };
    let mut all: Values = initial()
        .into_iter()
        .map(|(name, p)| (name, p.iter().map(|_| next()).collect()))
        .collect();
    all.insert("coding.lambda1", vec![if step < 3 { 0.4 } else { -0.8 }, 0.1]);
    all
}

fn toy(device: &Device) -> Toy {
    let values = initial();
    let vector = |name| Param::from_data(data(&values[name], vec![values[name].len()]), device);
    let matrix = |name| Param::from_data(data(&values[name], vec![2, 2]), device);
    Toy {
        coding: Coding {
            weight: matrix("coding.weight"),
            lambda1: vector("coding.lambda1"),
        },
        bn1: Norm {
            weight: vector("bn1.weight"),
            bias: vector("bn1.bias"),
        },
        classifier: Linear {
            weight: matrix("classifier.weight"),
            bias: vector("classifier.bias"),
        },
    }
}

fn data(values: &[f64], shape: Vec<usize>) -> TensorData {
    TensorData::new(values.iter().map(|&x| x as f32).collect::<Vec<_>>(), shape)
}

/// The roles that layers give such tensors.
fn roles(toy: &Toy) -> Roles {
    let mut roles = Roles::default();
    let of = |group| Role { group, ..Role::WEIGHT };
    let constraint = Constraint::NON_NEGATIVE;
    roles.set(
        &toy.coding.lambda1,
        Role {
            constraint,
            ..of(Group::Sparsity)
        },
    );
    roles.set(&toy.bn1.weight, of(Group::Norm));
    roles.set(&toy.bn1.bias, of(Group::Norm));
    roles.set(&toy.classifier.bias, of(Group::Bias));
    roles.set(&toy.classifier.weight, of(Group::Classifier));
    roles.set(&toy.coding.weight, of(Group::Dictionary));
    roles
}

/// A loss with the given gradients.
fn loss(toy: &Toy, gradients: &Values, device: &Device) -> Tensor<1> {
    let vector = |param: &Param<Tensor<1>>, name| {
        let c: Tensor<1> = Tensor::from_data(data(&gradients[name], vec![gradients[name].len()]), device);
        (param.val() * c).sum()
    };
    let matrix = |param: &Param<Tensor<2>>, name| {
        let c: Tensor<2> = Tensor::from_data(data(&gradients[name], vec![2, 2]), device);
        (param.val() * c).sum()
    };
    matrix(&toy.coding.weight, "coding.weight")
        + vector(&toy.coding.lambda1, "coding.lambda1")
        + vector(&toy.bn1.weight, "bn1.weight")
        + vector(&toy.bn1.bias, "bn1.bias")
        + matrix(&toy.classifier.weight, "classifier.weight")
        + vector(&toy.classifier.bias, "classifier.bias")
}

fn values_of(toy: &Toy) -> Values {
    let vector = |param: &Param<Tensor<1>>| param.val().into_data().iter::<f64>().collect();
    let matrix = |param: &Param<Tensor<2>>| param.val().into_data().iter::<f64>().collect();
    BTreeMap::from([
        ("bn1.bias", vector(&toy.bn1.bias)),
        ("bn1.weight", vector(&toy.bn1.weight)),
        ("classifier.bias", vector(&toy.classifier.bias)),
        ("classifier.weight", matrix(&toy.classifier.weight)),
        ("coding.lambda1", vector(&toy.coding.lambda1)),
        ("coding.weight", matrix(&toy.coding.weight)),
    ])
}

/// torch.optim.SGD or Adam and torch.nn.utils.clip_grad_norm_, then λ₁ clamped at 0.
struct Reference {
    parameters: Values,
    buffers: Values,
    squares: Values,
    steps: i32,
}

impl Reference {
    fn step(&mut self, config: &OptimizerConfig, clip_norm: Option<f64>, gradients: &Values, rate: f64) {
        let norm = gradients.values().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let scale = clip_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0));
        self.steps += 1;
        for (&name, parameters) in &mut self.parameters {
            let decays = match name {
                "coding.lambda1" => config.decay_lambda1,
                "classifier.bias" => config.decay_bias,
                "bn1.weight" | "bn1.bias" => config.decay_norm,
                _ => true,
            };
            let decay = if decays { config.weight_decay } else { 0.0 };
            let factor = match name {
                "coding.lambda1" => config.factors.lambda1,
                "coding.weight" => config.factors.dictionary,
                "classifier.weight" => config.factors.classifier,
                _ => 1.0,
            };
            let first = !self.buffers.contains_key(name);
            let buffer = self.buffers.entry(name).or_insert_with(|| vec![0.0; parameters.len()]);
            let squares = self.squares.entry(name).or_insert_with(|| vec![0.0; parameters.len()]);
            for (((p, v), s), g) in parameters.iter_mut().zip(buffer).zip(squares).zip(&gradients[name]) {
                let mut d = scale * g + decay * *p;
                if config.kind == OptimizerKind::Adam {
                    *v = config.momentum * *v + (1.0 - config.momentum) * d;
                    *s = 0.999 * *s + 0.001 * d * d;
                    let bias = |beta: f64| 1.0 - beta.powi(self.steps);
                    d = *v / bias(config.momentum) / ((*s / bias(0.999)).sqrt() + 1e-8);
                } else if config.momentum != 0.0 {
                    *v = if first { d } else { config.momentum * *v + d };
                    d = if config.nesterov { d + config.momentum * *v } else { *v };
                }
                *p -= rate * factor * d;
                if name == "coding.lambda1" {
                    *p = p.max(0.0);
                }
            }
        }
    }
}

#[track_caller]
fn assert_steps(config: OptimizerConfig, clip_norm: Option<f64>) {
    let device = Device::flex().autodiff();
    let mut model = toy(&device);
    let mut sgd = Optimizer::new(config, clip_norm);
    let mut reference = Reference {
        parameters: initial(),
        buffers: Values::new(),
        squares: Values::new(),
        steps: 0,
    };
    let mut projected = false;
    for step in 0..7 {
        let rate = 0.05 / (1.0 + step as f64);
        let gradients = gradients(step);
        let found = loss(&model, &gradients, &device).backward();
        let roles = roles(&model);
        model = sgd.step(model, &roles, &found, rate);
        reference.step(&config, clip_norm, &gradients, rate);
        let values = values_of(&model);
        for (name, expected) in &reference.parameters {
            for (a, b) in values[name].iter().zip(expected) {
                assert!(
                    (a - b).abs() < 2e-6,
                    "step {step}, {name}: {a}, expected {b}; {config:?}"
                );
            }
        }
        projected |= values["coding.lambda1"][0] == 0.0;
        // A restored optimiser goes on as this one.
        let state = sgd.state();
        let expected = match (config.kind, config.momentum) {
            (OptimizerKind::Adam, _) => 13,
            (OptimizerKind::Sgd, 0.0) => 0,
            (OptimizerKind::Sgd, _) => 6,
        };
        assert_eq!(state.len(), expected);
        sgd = Optimizer::new(config, clip_norm);
        sgd.restore(&model, &roles, &state, &device.clone().inner()).unwrap();
        assert_eq!(sgd.state(), state);
    }
    // Clipped gradients move too little.
    assert!(
        projected || clip_norm == Some(1.0),
        "the projection of lambda1 is not reached"
    );
}

#[test]
fn is_that_of_pytorch() {
    let plain = OptimizerConfig {
        momentum: 0.0,
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    };
    let all = OptimizerConfig {
        weight_decay: 0.3,
        ..OptimizerConfig::default()
    };
    let nesterov = OptimizerConfig { nesterov: true, ..all };
    for config in [
        plain,
        OptimizerConfig {
            weight_decay: 0.3,
            ..plain
        },
        all,
        nesterov,
        OptimizerConfig {
            kind: OptimizerKind::Adam,
            ..all
        },
    ] {
        assert_steps(config, None);
        // Smaller and larger than the norm of the gradients, which is about 5.
        assert_steps(config, Some(1.0));
        assert_steps(config, Some(1e3));
    }
    for config in [
        OptimizerConfig {
            decay_lambda1: false,
            ..nesterov
        },
        OptimizerConfig {
            decay_bias: false,
            ..nesterov
        },
        OptimizerConfig {
            decay_norm: false,
            ..nesterov
        },
        OptimizerConfig {
            factors: RateFactors {
                lambda1: 0.7,
                dictionary: 2.0,
                classifier: 0.25,
            },
            ..nesterov
        },
    ] {
        assert_steps(config, None);
    }
}

#[test]
fn what_needs_no_gradient_stays() {
    let device = Device::flex().autodiff();
    let mut model = toy(&device);
    model.coding.lambda1 = model.coding.lambda1.set_require_grad(false);
    let mut sgd = Optimizer::new(
        OptimizerConfig {
            weight_decay: 0.3,
            ..OptimizerConfig::default()
        },
        None,
    );
    for step in 0..2 {
        let found = loss(&model, &gradients(step), &device).backward();
        let roles = roles(&model);
        model = sgd.step(model, &roles, &found, 0.1);
    }
    assert_eq!(values_of(&model)["coding.lambda1"], [f64::from(0.02f32), 0.5]);
    assert!(!sgd.state().contains_key("coding.lambda1"));
    assert!(!model.coding.lambda1.is_require_grad() && model.coding.weight.is_require_grad());
}

#[test]
fn a_role_freezes_a_parameter_scales_its_rate_and_keeps_it_on_the_sphere() {
    let device = Device::flex().autodiff();
    let config = OptimizerConfig {
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    };
    let mut model = toy(&device);
    let mut roles = roles(&model);
    roles.set(
        &model.bn1.bias,
        Role {
            frozen: true,
            ..Role::WEIGHT
        },
    );
    roles.set(
        &model.classifier.bias,
        Role {
            rate: 3.0,
            ..Role::WEIGHT
        },
    );
    let constraint = Constraint::UnitSphere;
    roles.set(
        &model.coding.weight,
        Role {
            constraint,
            ..Role::WEIGHT
        },
    );
    let mut sgd = Optimizer::new(config, None);
    let found = loss(&model, &gradients(0), &device).backward();
    model = sgd.step(model, &roles, &found, 0.1);
    let (before, gradient, after) = (initial(), gradients(0), values_of(&model));
    for (a, b) in after["bn1.bias"].iter().zip(&before["bn1.bias"]) {
        assert_eq!(*a, f64::from(*b as f32));
    }
    for ((a, b), g) in after["classifier.bias"]
        .iter()
        .zip(&before["classifier.bias"])
        .zip(&gradient["classifier.bias"])
    {
        assert!((a - (b - 0.3 * g)).abs() < 1e-6, "{a}");
    }
    let moved: Vec<f64> = before["coding.weight"]
        .iter()
        .zip(&gradient["coding.weight"])
        .map(|(p, g)| p - 0.1 * g)
        .collect();
    for (row, moved) in after["coding.weight"].chunks(2).zip(moved.chunks(2)) {
        let norm = moved.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (a, b) in row.iter().zip(moved) {
            assert!((a - b / norm).abs() < 1e-6, "{a}");
        }
    }
    // A frozen parameter has no momentum, neither saved nor restored, and no part in the norm that is clipped.
    let state = sgd.state();
    assert!(!state.contains_key("bn1.bias") && state.contains_key("bn1.weight"));
    sgd.restore(&model, &roles, &state, &device.clone().inner()).unwrap();
    let mut huge = gradients(1);
    huge.insert("bn1.bias", vec![1e6, 1e6]);
    let step = |gradients: &Values| {
        let mut sgd = Optimizer::new(config, Some(1.0));
        let found = loss(&model, gradients, &device).backward();
        values_of(&sgd.step(model.clone(), &roles, &found, 0.1))
    };
    assert_eq!(step(&huge), step(&gradients(1)));
}

#[test]
fn buffers_of_another_module_are_refused() {
    let device = Device::flex().autodiff();
    let model = toy(&device);
    let mut sgd = Optimizer::new(OptimizerConfig::default(), None);
    let found = loss(&model, &gradients(0), &device).backward();
    let roles = roles(&model);
    let model = sgd.step(model, &roles, &found, 0.1);
    let mut state = sgd.state();
    let mut buffer = state.remove("coding.weight").unwrap();
    buffer.shape = vec![3];
    buffer.values.truncate(3);
    state.insert("bn1.bias".into(), buffer.clone());
    state.insert("strange".into(), buffer);
    let error = sgd
        .restore(&model, &roles, &state, &device.inner())
        .unwrap_err()
        .to_string();
    let expected = "its tensors are not those of the model: `bn1.bias` has shape [3], expected [2]; `coding.weight` is missing; `strange` is unknown";
    assert_eq!(error, expected);
}
