//! The study of networks.

use std::path::Path;

use burn::tensor::Device;
use scn_data::{DatasetKind, Normalization};
use scn_interop::tensors::{Arrays, from_module, to_safetensors};
use scn_models::{Model, ModelConfig, Network, Pass};
use scn_study::theory::dictionary::{self, study as study_file};
use scn_study::theory::network::{Options, Report, Subject, study};
use scn_study::{StudyError, Trained};
use scn_train::checkpoint::{Checkpoint, Description, State};
use scn_train::{DataConfig, EvaluationSplit, Splits, TestTime, images};

const OPTIONS: Options = Options { noise: 0.05, seed: 3 };

/// A network for the digits whose batch norms have seen some.
fn checkpoint(kind: &str, change: impl FnOnce(&mut Arrays)) -> Checkpoint {
    configured(ModelConfig::new(kind.parse().unwrap()), change)
}

fn configured(config: ModelConfig, change: impl FnOnce(&mut Arrays)) -> Checkpoint {
    let config = config.with_defaults(10);
    let device = Device::flex();
    let model = Model::new(&config, [1, 8, 8], 10, 1, &device).unwrap();
    let data = DataConfig {
        test_images: Some(6),
        ..DataConfig::new(DatasetKind::Digits)
    };
    let normalization = Normalization::given([1, 8, 8], 16, vec![0.3], vec![0.4]).unwrap();
    let loader = Splits::evaluation(EvaluationSplit::Test, &data, 1, &normalization).unwrap();
    for batch in loader.epoch(0, 0) {
        let _ = model.forward(images(&batch, &device), &Pass::TRAINING);
    }
    let mut weights = from_module(&model);
    change(&mut weights);
    Checkpoint {
        model: weights,
        unaveraged: None,
        optimizer: Arrays::new(),
        state: State::start(),
        description: Description {
            model: config,
            data,
            seed: 1,
            normalization,
            test_time: TestTime::None,
        },
        origin: None,
    }
}

fn of(checkpoint: Checkpoint) -> Result<Report, StudyError> {
    let data = checkpoint.description.data.clone();
    let path = "run".into();
    let subject = Subject::Trained(Box::new(Trained { path, checkpoint }));
    study(&subject, &data, OPTIONS, &Device::flex())
}

/// The coherence of the weight of a layer, as the study of a file has it.
fn coherence_of(weights: &Arrays, name: &str, stride: usize, folder: &Path) -> f64 {
    let path = folder.join("weights.safetensors");
    let weight = weights[&format!("{name}.weight")].clone();
    std::fs::write(&path, to_safetensors(&Arrays::from([("weight".into(), weight)]))).unwrap();
    study_file(&path, dictionary::Options { stride, patch: None })
        .unwrap()
        .coherence
}

#[test]
fn an_scn_is_studied_layer_by_layer() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint("scn", |_| {});
    let weights = checkpoint.model.clone();
    let report = of(checkpoint.clone()).unwrap();
    assert_eq!(report, of(checkpoint).unwrap());
    assert_eq!((report.model, report.images, report.layers.len()), ("scn", 6, 14));
    for (i, layer) in report.layers.iter().enumerate() {
        let name = &layer.name;
        assert_eq!(*name, format!("layers.{i}.coding"));
        let expected = coherence_of(&weights, name, layer.stride, folder.path());
        assert!((layer.coherence - expected).abs() < 1e-12, "{name}");
        // Each window is coded alone: its atoms meet at one position only.
        assert_eq!(layer.guarantees.unit, "window");
        let alone = coherence_of(&weights, name, 1000, folder.path());
        assert!(
            (layer.guarantees.coherence - alone).abs() < 1e-12 && alone <= layer.coherence,
            "{name}"
        );
        assert!(
            layer.guarantees.stripe_norm <= layer.stripe_norm.min(layer.atoms),
            "{name}"
        );
        assert!(
            layer.stripe_norm > 0 && layer.real_error > 0.0 && layer.input_error > 0.0,
            "{name}: {layer:?}"
        );
        assert!((0.0..1.0).contains(&layer.nesting_residual), "{name}");
        let broken = layer.broken_assumptions.join("\n");
        assert!(
            broken.contains("batch norm") && broken.contains("each window alone"),
            "{broken}"
        );
        let patch = report.layers.get(i + 1).map(|next| next.kernel);
        assert_eq!(layer.patch, patch, "{name}");
    }
    // Batch norm stretches errors by no more than its largest factor: the measured ones keep to it.
    let first = &report.layers[0].basis_pursuit;
    assert!(report.layers[0].input_error <= first.input_epsilon * (1.0 + 1e-4));
    assert!(
        report.layers[0].input_error >= first.input_epsilon * 0.999,
        "one channel has one factor"
    );
    for pair in report.layers.windows(2) {
        let gain = pair[1].basis_pursuit.input_epsilon / pair[0].basis_pursuit.epsilon;
        assert!(
            pair[1].input_error <= pair[0].real_error * gain * (1.0 + 1e-4),
            "{}",
            pair[1].name
        );
        let of_thresholding = pair[1].thresholding.input_epsilon / pair[0].thresholding.epsilon;
        assert!((of_thresholding / gain - 1.0).abs() < 1e-9);
        assert_eq!(pair[1].basis_pursuit.xi, 4.0 * pair[1].basis_pursuit.input_epsilon);
    }
}

#[test]
fn an_sdnet_codes_whole_images() {
    let report = of(checkpoint("sdnet18", |_| {})).unwrap();
    assert_eq!(report.layers.len(), 1);
    let layer = &report.layers[0];
    assert_eq!(
        (layer.name.as_str(), layer.guarantees.unit, layer.patch),
        ("conv1", "image", None)
    );
    assert_eq!(
        (layer.guarantees.coherence, layer.guarantees.stripe_norm),
        (layer.coherence, layer.stripe_norm)
    );
    assert!(
        (layer.input_error / OPTIONS.noise - 1.0).abs() < 1e-4,
        "the noise has the norm that was asked for"
    );
    assert_eq!(layer.basis_pursuit.input_epsilon, OPTIONS.noise);
    let broken = layer.broken_assumptions.join("\n");
    assert!(
        broken.contains("border") && broken.contains("do not give its input"),
        "{broken}"
    );
    assert!(!broken.contains("batch norm"), "{broken}");
    // 64 atoms of 9 values: no bound allows so many non-zeros.
    assert!(!layer.uniqueness.holds && layer.uniqueness.excess.unwrap() > 0.0);
}

#[test]
fn the_layers_of_an_ml_csc_network_are_nested() {
    let report = of(checkpoint("ml-csc", |_| {})).unwrap();
    let [first, second] = report.layers.as_slice() else {
        panic!("{} layers", report.layers.len())
    };
    assert_eq!((first.guarantees.unit, second.guarantees.unit), ("image", "image"));
    // A patch of the first codes is what a window of the second layer reads, and the last code is a patch whole.
    assert_eq!((first.patch, second.patch), (Some(second.kernel), None));
    assert_eq!(first.basis_pursuit.input_epsilon, OPTIONS.noise);
    assert_eq!(second.basis_pursuit.input_epsilon, first.basis_pursuit.epsilon);
    assert_eq!(second.thresholding.input_epsilon, first.thresholding.epsilon);
    // What the network really makes of noise: the error of the first codes is what the second layer is given.
    assert!((second.input_error / first.real_error - 1.0).abs() < 1e-4);
    let broken = second.broken_assumptions.join("\n");
    assert!(broken.contains("norms of the atoms before"), "{broken}");
    assert!(
        !first
            .broken_assumptions
            .join("\n")
            .contains("norms of the atoms before")
    );
    assert!(!broken.contains("ridge") && !broken.contains("batch norm"), "{broken}");
}

#[test]
fn a_ridge_is_named() {
    let ridge = |solver: &str| {
        let config = format!("kind = \"scn\"\nsolver = {{ {solver} }}");
        let report = of(configured(toml::from_str(&config).unwrap(), |_| {})).unwrap();
        let broken = report.layers.iter().map(|layer| layer.broken_assumptions.join("\n"));
        broken.map(|broken| broken.contains("ridge")).collect::<Vec<_>>()
    };
    assert_eq!(ridge("lambda2 = 0.1"), [true; 14]);
    assert_eq!(ridge("lambda2 = 0.0"), [false; 14]);
}

#[test]
fn atoms_without_a_direction_and_weights_that_diverged_are_named() {
    let zeroed = |atoms: usize| {
        checkpoint("sdnet18", move |weights| {
            weights.get_mut("conv1.weight").unwrap().values[..9 * atoms].fill(0.0);
        })
    };
    let layer = &of(zeroed(2)).unwrap().layers[0];
    assert_eq!(layer.zero_atoms, [0, 1]);
    let message = of(zeroed(64)).unwrap_err().to_string();
    assert!(
        message.contains("conv1") && message.contains("64 atoms is zero"),
        "{message}"
    );
    let diverged = |name: &'static str| {
        let broken = checkpoint("scn", move |weights| {
            weights.get_mut(name).unwrap().values[0] = f32::NAN
        });
        of(broken).unwrap_err().to_string()
    };
    let message = diverged("layers.2.coding.weight");
    assert!(
        message.contains("layers.2.coding") && message.contains("finite"),
        "{message}"
    );
    let message = diverged("layers.1.norm.running_mean");
    assert!(
        message.contains("layers.1.coding") && message.contains("finite"),
        "{message}"
    );
    let message = of(checkpoint("resnet20", |_| {})).unwrap_err().to_string();
    assert_eq!(
        message,
        "run: a network without coding layers has no dictionaries to study"
    );
}
