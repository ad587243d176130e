//! Measurements as library calls.

use burn::tensor::Device;
use scn_study::bench::{Networks, kernels};
use scn_study::{StudyError, Trained};

use crate::common::checkpoint;

fn trained(kind: &str) -> Trained {
    Trained {
        path: "imported".into(),
        checkpoint: checkpoint(kind, 1),
    }
}

#[test]
fn the_layers_of_trained_weights_are_measured_on_noise() {
    let of = |kind| {
        let networks = Networks::Trained {
            weights: &trained(kind),
            synthetic: true,
        };
        kernels(&networks, 2, 1, &Device::flex())
    };
    let report = of("scn").unwrap();
    assert_eq!(
        (&report.images[..], report.weights.as_deref()),
        ("noise of digits", Some("imported"))
    );
    assert_eq!((report.batch, report.repeats), (2, 1));
    assert_eq!(report.layers[0].input, [8, 8]);
    for layer in &report.layers {
        assert!(
            layer.forward.nanoseconds_per_pixel > 0.0 && layer.kkt_median <= layer.kkt_p99,
            "{layer:?}"
        );
    }
    let error = of("resnet20").unwrap_err();
    assert!(
        matches!(&error, StudyError::NoKernels(path) if path.ends_with("imported")),
        "{error}"
    );
}
