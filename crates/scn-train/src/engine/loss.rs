//! Cross-entropy with label smoothing, as torch.nn.CrossEntropyLoss computes it, and the counts of a batch.

use std::cmp::Ordering;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

/// Mean over the batch of `−Σ_k q_k log p_k`, `q = (1 − s)·onehot + s/classes`, for `logits [b, classes]`.
pub fn cross_entropy(logits: Tensor<2>, labels: &[i32], label_smoothing: f64) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let device = logits.device();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [batch]), &device).reshape([batch, 1]);
    let log_probabilities = log_softmax(logits, 1);
    let of_labels = log_probabilities.clone().gather(1, labels).mean();
    if label_smoothing == 0.0 {
        return -of_labels;
    }
    let uniform = log_probabilities.mean() * classes as f64 * (label_smoothing / classes as f64);
    -(of_labels * (1.0 - label_smoothing) + uniform)
}

/// What a batch adds to an epoch's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Images.
    pub images: usize,
    /// Sum of the images' losses.
    pub loss: f64,
    /// Images whose label has the largest logit.
    pub top1: usize,
    /// Images whose label is among the five largest logits.
    pub top5: usize,
}

impl Counts {
    /// Of logits `[b, classes]` in row-major order. The loss is that of [`cross_entropy`], in f64. A tie counts
    /// against the label, and so does NaN.
    pub fn of(logits: &[f32], labels: &[i32], label_smoothing: f64) -> Self {
        let classes = logits.len() / labels.len().max(1);
        let mut counts = Self {
            images: labels.len(),
            ..Self::default()
        };
        for (logits, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
            let label = label as usize;
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shifted = || logits.iter().map(|&z| f64::from(z) - f64::from(largest));
            let log_sum = shifted().map(f64::exp).sum::<f64>().ln();
            let of_label = f64::from(logits[label]) - f64::from(largest) - log_sum;
            let mean = shifted().sum::<f64>() / classes as f64 - log_sum;
            counts.loss -= (1.0 - label_smoothing) * of_label + label_smoothing * mean;
            // Everything that is not smaller: ties and NaN count against the label.
            let before = logits
                .iter()
                .enumerate()
                .filter(|&(k, &z)| k != label && logits[label].partial_cmp(&z) != Some(Ordering::Greater))
                .count();
            counts.top1 += usize::from(before < 1);
            counts.top5 += usize::from(before < 5);
        }
        counts
    }

    /// Adds another batch.
    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.loss += other.loss;
        self.top1 += other.top1;
        self.top5 += other.top5;
    }
}

/// The class with the largest of each row of logits, the first of equals.
pub fn predictions(logits: &[f32], classes: usize) -> Vec<usize> {
    let first_largest = |row: &[f32]| (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    logits.chunks_exact(classes.max(1)).map(first_largest).collect()
}
