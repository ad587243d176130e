//! The fit of the sparsity, and evaluation with it.

use std::sync::atomic::Ordering;

use burn::tensor::{Device, Tensor};
use scn_data::{Loader, MeanSubtraction, Normalization, noise};
use scn_models::{Model, ModelConfig};
use scn_train::StopFlag;
use scn_train::robust::{FitPoint, Inference, SparsityFit, best_of, evaluate, mean_residual, percent};
use scn_train::tensors::floats;

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
