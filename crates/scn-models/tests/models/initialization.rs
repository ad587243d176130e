//! Initial values: their distribution, and that they are a function of the seed.

use burn::tensor::Device;
use scn_models::{Model, Network, Pass};

use crate::common::{config, images, model, scn, scn_config, table, values};

/// Checks mean and deviation of a normal sample to five standard errors.
#[track_caller]
fn assert_normal(sample: &[f64], deviation: f64) {
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let found = (sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    assert!(
        mean.abs() < 5.0 * deviation / count.sqrt(),
        "mean {mean}, deviation {deviation}"
    );
    let error = 5.0 * deviation / (2.0 * count).sqrt();
    assert!(
        (found - deviation).abs() < error,
        "deviation {found}, expected {deviation} to {error}"
    );
    // Normal and not, say, uniform: a uniform sample ends at 1.73 deviations, and 4.6 % of a normal one are beyond 2.
    let beyond = sample.iter().filter(|x| x.abs() > 2.0 * deviation).count() as f64 / count;
    assert!(
        (beyond - 0.0455).abs() < 5.0 * (0.0455 / count).sqrt(),
        "{beyond} are beyond two deviations"
    );
}

#[test]
fn dictionaries_and_classifier_are_normal() {
    let mut model = model(&scn_config(4, 16), 3);
    let scn = scn(&mut model);
    for layer in &scn.layers {
        let weight = layer.coding.weight.val();
        let [_, channels, kernel, _] = weight.dims();
        assert_normal(&values(&weight), 1.0 / (channels * kernel * kernel) as f64);
        assert_eq!(values(&layer.coding.lambda1.val()), [0.0]);
    }
    let weight = scn.classifier.weight.val();
    assert_eq!(weight.dims(), [10, 256]);
    assert_normal(&values(&weight), 1.0 / 256.0);
    assert_eq!(values(&scn.classifier.bias.val()), [0.0; 10]);
    // Layers of one shape are drawn apart.
    let (a, b) = (&scn.layers[1].coding.weight, &scn.layers[3].coding.weight);
    assert_eq!(a.dims(), b.dims());
    assert_ne!(values(&a.val()), values(&b.val()));
}

#[test]
fn lambda1_starts_where_it_is_told() {
    let config = table("kind = \"scn\"\nlambda1 = { initial = 0.25, per_atom = true }");
    let mut model = model(&config, 3);
    assert_eq!(values(&scn(&mut model).layers[13].coding.lambda1.val()), [0.25; 64]);
}

#[test]
fn the_seed_decides() {
    let weights = |seed, device: &Device| -> Vec<Vec<f64>> {
        let mut model = Model::new(&scn_config(1, 16), [3, 32, 32], 10, seed, device).unwrap();
        let scn = scn(&mut model);
        let dictionaries = scn.layers.iter().map(|layer| values(&layer.coding.weight.val()));
        dictionaries.chain([values(&scn.classifier.weight.val())]).collect()
    };
    let first = weights(7, &Device::flex());
    assert_eq!(first, weights(7, &Device::flex()));
    assert_eq!(first, weights(7, &Device::flex().autodiff()));
    let other = weights(8, &Device::flex());
    assert!(
        first.iter().zip(&other).all(|(a, b)| a != b),
        "a tensor does not depend on the seed"
    );
}

#[test]
fn an_empty_model_has_the_tensors_of_the_model() {
    for kind in ["sdnet18-all", "scn", "resnet20"] {
        let [full, empty] = [
            Model::new(&config(kind), [3, 8, 8], 10, 3, &Device::flex()).unwrap(),
            Model::empty(&config(kind), [3, 8, 8], 10, &Device::flex()).unwrap(),
        ];
        assert_eq!(
            full.summary("it", [3, 8, 8]),
            empty.summary("it", [3, 8, 8]),
            "{kind:?}"
        );
        assert!(
            values(
                &empty
                    .forward(images([1, 3, 8, 8], 1, &Device::flex()), &Pass::EVALUATION)
                    .logits
            )
            .iter()
            .all(|&x| x == 0.0)
        );
    }
}
