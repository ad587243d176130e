//! Averages of weights against the recurrence in f64.

use std::collections::BTreeMap;

use burn::tensor::Device;
use scn_data::Batch;
use scn_models::{Model, TrainingStep};
use scn_train::tensors::{Arrays, from_module, into_module};
use scn_train::{Average, Collector, Learner, Sums, first_weight};

use crate::common::small;

const DECAY: f64 = 0.7;

fn learner(model: &str, decay: f64) -> Learner {
    let ema = format!("train.ema.decay={decay}");
    let experiment = small(&[model, &ema]).experiment;
    let device = Device::flex().autodiff();
    let model = Model::new(&experiment.model, [1, 8, 8], 10, 1, &device).unwrap();
    Learner::new(model, &experiment.train, device)
}

fn step(learner: &mut Learner, index: usize) {
    let pixels = (0..4 * 64)
        .map(|i| (0.7 * (i * (index + 1)) as f64).sin() as f32)
        .collect();
    let batch = Batch {
        index,
        images: pixels,
        shape: [4, 1, 8, 8],
        labels: vec![0, 3, 5, 9],
        records: (0..4).collect(),
    };
    let at = TrainingStep {
        number: index,
        ..TrainingStep::default()
    };
    learner
        .step(&batch, at, 0.3, &mut Collector::new(Sums::default()))
        .unwrap();
}

fn average(learner: &Learner) -> Arrays {
    from_module(&learner.average.as_ref().unwrap().network())
}

type Values = BTreeMap<String, Vec<f64>>;

fn values(arrays: &Arrays) -> Values {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
    arrays
        .iter()
        .map(|(name, array)| (name.clone(), wide(&array.values)))
        .collect()
}

/// `a ← decay·a + (1 − decay)·w`.
fn follow(average: &mut Values, stepped: &Arrays) {
    for (name, stepped) in values(stepped) {
        for (a, w) in average.get_mut(&name).unwrap().iter_mut().zip(stepped) {
            *a = DECAY * *a + (1.0 - DECAY) * w;
        }
    }
}

fn normalize(rows: &mut [f64], length: usize) {
    for row in rows.chunks_mut(length) {
        let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    }
}

#[track_caller]
fn assert_near(found: &Arrays, expected: &Values, names: impl Fn(&str) -> bool) {
    let mut compared = 0;
    for (name, expected) in expected.iter().filter(|(name, _)| names(name)) {
        for (found, expected) in found[name].values.iter().zip(expected) {
            let distance = (f64::from(*found) - expected).abs();
            assert!(
                distance <= 1e-5 * expected.abs().max(1.0),
                "{name}: {found}, expected {expected}"
            );
            compared += 1;
        }
    }
    assert!(compared > 0, "nothing was compared");
}

#[test]
fn weights_and_running_statistics_follow_by_the_decay() {
    for model in ["model={kind=\"scn\"}", "model={kind=\"resnet20\"}"] {
        let mut learner = learner(model, DECAY);
        let mut expected = values(&from_module(&learner.model));
        assert_near(&average(&learner), &expected, |_| true);
        for index in 0..4 {
            step(&mut learner, index);
            follow(&mut expected, &from_module(&learner.model));
            // λ₁ of an SCN is kept at or above 0, where averages of such values lie anyway.
            assert_near(&average(&learner), &expected, |_| true);
        }
        let (average, stepped) = (average(&learner), from_module(&learner.model));
        let statistics = stepped.keys().filter(|name| name.ends_with("running_mean"));
        let moved = statistics.filter(|name| average[*name] != stepped[*name]).count();
        assert!(moved > 0, "{model}: the running statistics are those of the network");
        // Evaluation takes the average, and training goes on from the weights.
        assert_eq!(from_module(&learner.evaluated()), average);
        assert_ne!(average["classifier.weight"], stepped["classifier.weight"]);
    }
}

#[test]
fn training_takes_no_notice_of_the_average() {
    let mut averaged = learner("model={kind=\"resnet20\"}", DECAY);
    let mut plain = learner("model={kind=\"resnet20\"}", DECAY);
    plain.average = None;
    for index in 0..3 {
        step(&mut averaged, index);
        step(&mut plain, index);
        assert_eq!(from_module(&averaged.model), from_module(&plain.model), "step {index}");
    }
    assert_eq!(from_module(&plain.evaluated()), from_module(&plain.model));
}

#[test]
fn a_decay_of_0_is_the_weights_themselves() {
    let mut learner = learner("model={kind=\"resnet20\"}", 0.0);
    for index in 0..2 {
        step(&mut learner, index);
        assert_eq!(average(&learner), from_module(&learner.model));
    }
}

#[test]
fn averaged_atoms_stay_on_the_sphere_and_their_step_size_is_their_own() {
    let mut learner = learner("model={kind=\"sdnet18\", csc={lambda=0.05}}", DECAY);
    let mut expected = values(&from_module(&learner.model));
    for index in 0..4 {
        step(&mut learner, index);
        follow(&mut expected, &from_module(&learner.model));
        normalize(expected.get_mut("conv1.weight").unwrap(), 9);
    }
    let (average, stepped) = (average(&learner), from_module(&learner.model));
    assert_near(&average, &expected, |name| {
        !["conv1.step_size", "conv1.direction"].contains(&name)
    });
    let distance = |one: &Arrays, other: &Arrays| {
        let values = |arrays: &Arrays| arrays["conv1.weight"].values.clone();
        let squares = values(one).into_iter().zip(values(other));
        squares.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    assert!(
        distance(&average, &stepped) > 1e-3,
        "the atoms have hardly moved: the sphere was not left"
    );
    // From the averaged atoms alone a network of theirs comes to the same step size.
    let other = small(&["model={kind=\"sdnet18\", csc={lambda=0.05}}"]).experiment;
    let fresh = Model::new(&other.model, [1, 8, 8], 10, 7, &Device::flex()).unwrap();
    let mut arrays = from_module(&fresh);
    arrays.insert("conv1.weight".into(), average["conv1.weight"].clone());
    let mut fresh = into_module(fresh, &arrays).unwrap();
    for _ in 0..20 {
        fresh = scn_models::Network::refresh(fresh);
    }
    let size = |arrays: &Arrays| f64::from(arrays["conv1.step_size"].values[0]);
    let (found, own) = (size(&average), size(&from_module(&fresh)));
    assert!((found - own).abs() <= 2e-3 * own, "{found}, from the atoms {own}");
}

#[test]
fn averaged_orthonormal_atoms_stay_orthonormal() {
    let keys = "windows=[[9, 3], [16, 3]], prior={initial=0.06, minimum=0.05}";
    let mut learner = learner(&format!("model={{kind=\"sc-cnn\", {keys}}}"), DECAY);
    for index in 0..4 {
        step(&mut learner, index);
    }
    let average = average(&learner);
    assert_ne!(
        average["layers.1.weight"],
        from_module(&learner.model)["layers.1.weight"]
    );
    let atoms: Vec<_> = average["layers.1.weight"].values.chunks(81).collect();
    for (i, a) in atoms.iter().enumerate() {
        for (j, b) in atoms.iter().enumerate() {
            let product: f64 = a.iter().zip(*b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!(
                (product - f64::from(u8::from(i == j))).abs() < 1e-5,
                "{i}, {j}: {product}"
            );
        }
    }
    for layer in ["layers.0", "layers.1"] {
        let lambdas = &average[&format!("{layer}.lambda1")].values;
        assert!(lambdas.iter().all(|&lambda| lambda >= 0.05), "{lambdas:?}");
    }
}

#[test]
fn what_is_frozen_stays_bit_for_bit() {
    let mut learner = learner("model={kind=\"sdnet18\", csc={lambda=0.05}}", DECAY);
    let name = first_weight(&learner.model, [1, 8, 8]).unwrap();
    let before = from_module(&learner.model)[&name].clone();
    learner.optimizer.freeze(name.clone());
    for index in 0..5 {
        step(&mut learner, index);
    }
    assert_eq!(average(&learner)[&name], before);
    assert_ne!(
        average(&learner)["classifier.weight"],
        from_module(&learner.model)["classifier.weight"]
    );
}

#[test]
fn an_average_goes_on_from_its_values_bit_for_bit() {
    for model in ["model={kind=\"sdnet18\", csc={lambda=0.05}}", "model={kind=\"scn\"}"] {
        let mut whole = learner(model, DECAY);
        step(&mut whole, 0);
        let mut resumed = learner(model, DECAY);
        resumed.model = into_module(resumed.model, &from_module(&whole.model)).unwrap();
        let kept = into_module(resumed.evaluated(), &average(&whole)).unwrap();
        resumed.average = Some(Average::new(&kept, DECAY));
        let roles = whole.optimizer.roles(&resumed.model);
        resumed
            .optimizer
            .restore(&resumed.model, &roles, &whole.optimizer.state(), &Device::flex())
            .unwrap();
        for index in 1..3 {
            step(&mut whole, index);
            step(&mut resumed, index);
            assert_eq!(average(&resumed), average(&whole), "{model}, step {index}");
        }
    }
}
