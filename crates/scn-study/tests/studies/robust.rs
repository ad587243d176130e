//! The fit of the sparsity, and evaluation with it.

use std::sync::atomic::Ordering;

use burn::tensor::{Device, Tensor};
use scn_data::{Corruption, Loader, MeanSubtraction, Noise, Normalization, noise};
use scn_interop::tensors::floats;
use scn_models::{Model, ModelConfig};
use scn_study::robust::{
    FitPoint, Inference, Options, SparsityFit, Step, Stored, best_of, evaluate, mean_residual, percent, study,
};
use scn_study::{StudyError, Trained};
use scn_train::StopFlag;

use crate::common::checkpoint;

fn point(residual: f64, best: f64) -> FitPoint {
    FitPoint {
        corruption: String::new(),
        residual,
        best,
    }
}

#[test]
fn the_line_is_that_of_least_squares() {
    let points = [point(1.0, 0.3), point(2.0, 0.5), point(4.0, 0.9)];
    let fit = SparsityFit::through(&points, &[0.4, 0.1, 0.8]);
    assert!(
        (fit.slope - 0.2).abs() < 1e-12 && (fit.intercept - 0.1).abs() < 1e-12,
        "{fit:?}"
    );
    assert_eq!((fit.least, fit.largest), (0.1, 0.8));
    let residuals = Tensor::<1>::from_floats([-3.0, 0.5, 2.5, 10.0], &Device::flex());
    for (found, expected) in floats(fit.values(residuals).into_data())
        .iter()
        .zip([0.1, 0.2, 0.6, 0.8])
    {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
    // By hand: means 2 and 1/2, scatter 2, Σ(r − 2)(v − 1/2) = 0.9.
    let scattered = [point(1.0, 0.0), point(2.0, 0.6), point(3.0, 0.9)];
    let fit = SparsityFit::through(&scattered, &[0.0]);
    assert!(
        (fit.slope - 0.45).abs() < 1e-12 && (fit.intercept + 0.4).abs() < 1e-12,
        "{fit:?}"
    );
    let constant = SparsityFit::through(&[point(2.0, 0.2), point(2.0, 0.4)], &[0.2, 0.4]);
    assert_eq!(constant.slope, 0.0);
    assert!((constant.intercept - 0.3).abs() < 1e-12);
}

#[test]
fn evaluation_does_not_depend_on_the_batches() {
    let device = Device::flex();
    let set = noise(scn_data::DatasetKind::Digits, 12, 3);
    let normalization = Normalization::fit(&set, MeanSubtraction::PerChannel, true);
    let loader = |batch| Loader::evaluation(set.clone(), normalization.clone(), None, batch).unwrap();
    let stop = StopFlag::default();
    for kind in ["sdnet18", "scn"] {
        let model = Model::new(&ModelConfig::new(kind.parse().unwrap()), [1, 8, 8], 10, 5, &device).unwrap();
        for inference in [Inference::Trained, Inference::Fixed(0.5)] {
            let together = evaluate(&model, &loader(12), inference, &device, &stop).unwrap();
            let apart = evaluate(&model, &loader(5), inference, &device, &stop).unwrap();
            assert_eq!(together.top1, apart.top1, "{kind:?}, {inference:?}");
            assert!(
                (together.loss - apart.loss).abs() < 1e-3 * together.loss,
                "{kind:?}, {inference:?}"
            );
        }
        // Of a batch with all images, the sparsity that its mean residual asks for.
        let fit = SparsityFit {
            slope: 0.7,
            intercept: 0.1,
            least: 0.01,
            largest: 3.0,
        };
        let mean = mean_residual(&model, &loader(12), &device, &stop).unwrap().unwrap();
        let asked = evaluate(&model, &loader(12), Inference::Fixed(0.1 + 0.7 * mean), &device, &stop).unwrap();
        let fitted = evaluate(&model, &loader(12), Inference::Fitted(&fit), &device, &stop).unwrap();
        assert_eq!(fitted.top1, asked.top1, "{kind:?}");
        assert!((fitted.loss - asked.loss).abs() < 1e-3 * asked.loss, "{kind:?}");
        let residual = |batch| mean_residual(&model, &loader(batch), &device, &stop).unwrap().unwrap();
        assert!((residual(12) - residual(5)).abs() < 1e-4 * residual(12));
        let tried = [0.2, 0.5, 1.0];
        let (best, accuracy) = best_of(&tried, &model, &loader(12), &device, &stop).unwrap();
        let each = tried.map(|value| evaluate(&model, &loader(12), Inference::Fixed(value), &device, &stop).unwrap());
        let most = each.iter().map(|counts| counts.top1).max().unwrap();
        let winner = each.iter().zip(tried).filter(|(counts, _)| counts.top1 == most);
        let winner = winner.min_by(|a, b| a.0.loss.total_cmp(&b.0.loss)).unwrap();
        assert_eq!((best, accuracy), (winner.1, percent(winner.0)), "{kind:?}");
    }
    let resnet = Model::new(
        &ModelConfig::new("resnet20".parse().unwrap()),
        [1, 8, 8],
        10,
        5,
        &device,
    )
    .unwrap();
    assert_eq!(mean_residual(&resnet, &loader(12), &device, &stop), Some(None));
    stop.cell().store(15, Ordering::SeqCst);
    assert!(evaluate(&resnet, &loader(12), Inference::Trained, &device, &stop).is_none());
}

fn options(sparsities: &[f64]) -> Options {
    Options {
        sparsities: sparsities.to_vec(),
        corruptions: vec![Corruption::new(Noise::Gaussian, 3).unwrap()],
        fit_images: 8,
        seed: 0,
    }
}

fn run(trained: &Trained, options: &Options, steps: &mut Vec<Step>) -> Result<scn_study::robust::Report, StudyError> {
    let (device, stop) = (Device::flex(), StopFlag::default());
    let data = &trained.checkpoint.description.data;
    let report = study(trained, data, options, &device, &stop, &mut |step| steps.push(step))?;
    Ok(report.unwrap())
}

#[test]
fn a_stored_fit_belongs_to_the_weights_that_it_was_fitted_to() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for (name, seed) in [("one", 1), ("other", 2)] {
        checkpoint("scn", seed).save(&place(name), None).unwrap();
    }
    let [one, other] = ["one", "other"].map(|name| Trained::load(&place(name)).unwrap());
    let mut steps = Vec::new();
    let report = run(&one, &options(&[2.0, 0.5]), &mut steps).unwrap();
    let kinds: Vec<_> = steps.iter().map(|step| step.to_string()).collect();
    assert!(
        kinds.len() == 4 && kinds[1].starts_with("fit, gaussian 3: ") && kinds[2].starts_with("test, no noise: "),
        "{kinds:?}"
    );
    assert_eq!(report.tried, [0.5, 2.0]);
    // As anyone can check who has the file.
    let manifest = std::fs::read_to_string(place("one/manifest.json")).unwrap();
    assert!(manifest.contains(&report.weights_sha256), "{manifest}");

    report.store(&place("one")).unwrap();
    let read = |folder: &str| Stored::read(&place(folder)).unwrap().unwrap();
    let fit = report.fit.unwrap();
    assert_eq!(read("one").fit_of(&one).unwrap(), Some((fit, true)));
    assert!(read("one").is_of(&one.weights_sha256()) && !read("one").is_of(&other.weights_sha256()));
    std::fs::copy(place("one/robust.json"), place("other/robust.json")).unwrap();
    let message = read("other").fit_of(&other).unwrap_err().to_string();
    for part in [
        "other/robust.json: ",
        &one.weights_sha256(),
        &other.weights_sha256(),
        "run `scn robust` again",
    ] {
        assert!(message.contains(part), "no {part} in: {message}");
    }

    // One of before digests were stored is taken to be of these weights.
    let text = std::fs::read_to_string(place("one/robust.json")).unwrap();
    let mut older: serde_json::Value = serde_json::from_str(&text).unwrap();
    older.as_object_mut().unwrap().remove("weights_sha256").unwrap();
    std::fs::write(place("other/robust.json"), older.to_string()).unwrap();
    assert_eq!(read("other").fit_of(&other).unwrap(), Some((fit, false)));
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let of = |kind, sparsities: &[f64]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        checkpoint(kind, 1).save(&path, None).unwrap();
        run(&Trained::load(&path).unwrap(), &options(sparsities), &mut Vec::new()).unwrap_err()
    };
    assert!(matches!(of("resnet20", &[1.0]), StudyError::NoCodes));
    for value in [0.0, f64::INFINITY, f64::NAN] {
        let error = of("scn", &[1.0, value]);
        assert!(
            matches!(
                error,
                StudyError::Sparsity {
                    expected: "finite factors above 0",
                    ..
                }
            ),
            "{error}"
        );
    }
}
