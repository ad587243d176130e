//! Loss and counts against their formulas in f64.

use burn::tensor::{Device, Tensor, TensorData};
use scn_train::loss::{Counts, cross_entropy, predictions};

/// `−Σ_k q_k log p_k`, `q = (1 − s)·onehot + s/classes`, naively.
fn of_image(logits: &[f64], label: usize, smoothing: f64) -> f64 {
    let sum: f64 = logits.iter().map(|z| z.exp()).sum();
    let classes = logits.len() as f64;
    let term = |(k, z): (usize, &f64)| {
        let q = if k == label {
            1.0 - smoothing + smoothing / classes
        } else {
            smoothing / classes
        };
        -q * (z.exp() / sum).ln()
    };
    logits.iter().enumerate().map(term).sum()
}

fn logits(images: usize, classes: usize) -> Vec<f32> {
    (0..images * classes)
        .map(|i| (3.0 * (2.3 * i as f64).sin()) as f32)
        .collect()
}

#[test]
fn is_the_formula() {
    for (images, classes) in [(1, 2), (4, 10), (7, 3), (3, 100)] {
        let logits = logits(images, classes);
        let labels: Vec<i32> = (0..images).map(|i| (5 * i % classes) as i32).collect();
        for smoothing in [0.0, 0.1, 0.5] {
            let rows: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
            let expected: f64 = rows
                .chunks_exact(classes)
                .zip(&labels)
                .map(|(row, &k)| of_image(row, k as usize, smoothing))
                .sum();
            let counts = Counts::of(&logits, &labels, smoothing);
            assert!(
                (counts.loss - expected).abs() < 1e-12 * (1.0 + expected),
                "{} {expected}",
                counts.loss
            );
            assert_eq!(counts.images, images);
            let tensor = Tensor::from_data(TensorData::new(logits.clone(), [images, classes]), &Device::flex());
            let mean = cross_entropy(tensor, &labels, smoothing)
                .into_data()
                .iter::<f64>()
                .next()
                .unwrap();
            assert!((mean - expected / images as f64).abs() < 1e-5, "{mean} {expected}");
        }
    }
}

#[test]
fn its_gradient_is_softmax_minus_target() {
    let (images, classes, smoothing) = (2, 4, 0.2);
    let (logits, labels) = (logits(images, classes), [3, 1]);
    let device = Device::flex().autodiff();
    let tensor = Tensor::<2>::from_data(TensorData::new(logits.clone(), [images, classes]), &device).require_grad();
    let gradients = cross_entropy(tensor.clone(), &labels, smoothing).backward();
    let found: Vec<f64> = tensor.grad(&gradients).unwrap().into_data().iter::<f64>().collect();
    for (i, row) in logits.chunks_exact(classes).enumerate() {
        let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
        for (k, &z) in row.iter().enumerate() {
            let target = smoothing / 4.0 + if labels[i] == k as i32 { 1.0 - smoothing } else { 0.0 };
            let expected = (f64::from(z).exp() / sum - target) / images as f64;
            assert!((found[i * classes + k] - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let counts = Counts::of(&[1000.0, 0.0, -1000.0], &[1], 0.0);
    assert_eq!((counts.loss, counts.top1, counts.top5), (1000.0, 0, 1));
}

#[test]
fn ties_and_nan_count_against_the_label() {
    let nan = f32::NAN;
    let top = |logits: &[f32], label| {
        let counts = Counts::of(logits, &[label], 0.0);
        (counts.top1, counts.top5)
    };
    assert_eq!(top(&[1.0, 2.0, 0.0], 1), (1, 1));
    assert_eq!(top(&[2.0, 2.0, 0.0], 1), (0, 1));
    assert_eq!(top(&[2.0, 2.0, 0.0], 0), (0, 1));
    assert_eq!(top(&[nan, 2.0, 0.0], 1), (0, 1));
    assert_eq!(top(&[nan, 2.0, 0.0], 0), (0, 1));
    assert_eq!(top(&[0.0; 10], 9), (0, 0));
    assert_eq!(top(&[nan; 6], 0), (0, 0));
    // Fifth, sixth, and tied for fifth.
    assert_eq!(top(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0], 4), (0, 1));
    assert_eq!(top(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0], 5), (0, 0));
    assert_eq!(top(&[9.0, 8.0, 7.0, 6.0, 5.0, 5.0], 4), (0, 0));
    // Two classes: five largest are all of them, unless a NaN or tie cannot be ranked.
    assert_eq!(top(&[0.0, 1.0], 0), (0, 1));
    assert!(!Counts::of(&[nan, 2.0, 0.0], &[1], 0.0).loss.is_finite());
    assert!(!Counts::of(&[f32::INFINITY, 2.0, 0.0], &[1], 0.0).loss.is_finite());
}

#[test]
fn batches_add_up() {
    let all = Counts::of(&logits(6, 5), &[0, 1, 2, 3, 4, 0], 0.1);
    let mut sum = Counts::of(&logits(6, 5)[..10], &[0, 1], 0.1);
    sum.add(&Counts::of(&logits(6, 5)[10..], &[2, 3, 4, 0], 0.1));
    assert_eq!((sum.images, sum.top1, sum.top5), (all.images, all.top1, all.top5));
    assert!((sum.loss - all.loss).abs() < 1e-12);
}

#[test]
fn the_first_of_equals_is_predicted() {
    assert_eq!(predictions(&[0.0, 3.0, 3.0, 1.0, -1.0, 0.5], 3), [1, 0]);
    assert_eq!(predictions(&[f32::NAN, 1.0, 2.0, 1.0], 2), [0, 0]);
}
