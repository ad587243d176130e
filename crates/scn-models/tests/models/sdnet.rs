//! SDNet: its first layer, and what training does to it.

use burn::tensor::{Device, Tensor};
use scn_models::sdnet::ConvolutionalCoding;
use scn_models::{Model, Network, Pass};
use scn_ops::{ConvolutionalOptions, convolutional_sparse_code2d, dictionary_norm};

use crate::common::{images, sdnet, table, tensor, values};

const SIDES: [usize; 2] = [9, 12];

fn network(csc: &str, device: &Device) -> Model {
    let config = table(&format!("kind = \"sdnet18\"\ncsc = {{ {csc} }}"));
    Model::new(&config, [3, SIDES[0], SIDES[1]], 10, 4, device).unwrap()
}

fn coding(model: Model) -> ConvolutionalCoding {
    sdnet(model).conv1
}

/// Asserts unit atoms and a step size of `0.9/‖D‖²`, the norm to 0.5 %.
#[track_caller]
fn assert_on_the_sphere(coding: &ConvolutionalCoding) {
    let weight = coding.weight.val().without_autodiff();
    for atom in values(&weight).chunks(27) {
        let norm = atom.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "an atom of norm {norm}");
    }
    let start = images([1, 64, SIDES[0], SIDES[1]], 8, &weight.device());
    let (norm, _) = dictionary_norm(weight, start, 1, SIDES, 2000);
    let share = values(&norm)[0] * values(&coding.step_size.value_sync().without_autodiff())[0];
    assert!((share / 0.9 - 1.0).abs() < 5e-3, "step size {share}/‖D‖²");
}

#[test]
fn the_stem_is_the_published_one() {
    let device = Device::flex();
    let model = network("lambda = 0.3, steps = 3, mu = 0.2, non_negative = false", &device);
    let input = images([2, 3, SIDES[0], SIDES[1]], 5, &device);
    let mut stem = Vec::new();
    let _ = model.forward_observed(input.clone(), &Pass::EVALUATION, &mut |name, x| {
        if name == "conv1" {
            stem = values(x);
        }
    });
    let coding = coding(model);
    let options = ConvolutionalOptions {
        steps: 3,
        mu: 0.2,
        non_negative: false,
        placement: 1.into(),
    };
    let lambda = tensor(vec![0.3], [1, 1], &device);
    let codes = convolutional_sparse_code2d(
        input,
        coding.weight.val(),
        lambda,
        coding.step_size.value_sync(),
        options,
    );
    // Batch norm with its initial statistics; no ReLU.
    let expected: Tensor<4> = codes / (1.0f64 + 1e-5).sqrt();
    let expected = values(&expected);
    assert!(expected.iter().any(|&code| code < 0.0) && expected.contains(&0.0));
    assert_eq!(stem.len(), expected.len());
    for (found, expected) in stem.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
    }
}

#[test]
fn atoms_stay_on_the_sphere_and_the_step_size_follows_them() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = network("", &device);
        assert_on_the_sphere(&coding(model.clone()));
        let mut moved = sdnet(model);
        // A large step of training: 2 % of the atoms, and their norms.
        moved.conv1.weight = moved.conv1.weight.map(|weight| {
            let noise = images([64, 3, 3, 3], 6, &weight.device()) * 0.004;
            let moved = (weight + noise) * 3.0;
            if moved.device().is_autodiff() {
                moved.detach().require_grad()
            } else {
                moved
            }
        });
        let projected = coding(Model::Sdnet(moved).project());
        assert_on_the_sphere(&projected);
        assert_eq!(projected.weight.val().is_require_grad(), device.is_autodiff());
    }
}
