//! Projected gradient descent on the pixels (Madry et al., arXiv:1706.06083): the perturbation of at most ε that raises the
//! loss the most, by steps along the gradient's sign (ℓ∞) or direction (ℓ2), each followed by the projection onto the ball and
//! onto pixels in 0..1. Pixels are in units of the largest pixel value.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scn_data::{ImageSet, Normalization};
use scn_interop::tensors::floats;
use scn_models::Backward;
use scn_train::loss::{Counts, cross_entropy};
use scn_train::{DataConfig, TrainError, evaluation_loader, images};
use serde::{Serialize, Serializer};

/// The length of a perturbation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The largest change of a value.
    Linf,
    /// The Euclidean length of the change of an image.
    L2,
}

impl Norm {
    /// Every norm.
    pub const ALL: [Norm; 2] = [Norm::Linf, Norm::L2];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Linf => "linf",
            Norm::L2 => "l2",
        }
    }

    /// Its sign in tables.
    pub fn symbol(self) -> &'static str {
        match self {
            Norm::Linf => "ℓ∞",
            Norm::L2 => "ℓ2",
        }
    }

    /// The usual bound on perturbations, in units of the largest pixel value.
    pub fn usual_bound(self) -> f64 {
        match self {
            Norm::Linf => 8.0 / 255.0,
            Norm::L2 => 0.5,
        }
    }
}

impl Serialize for Norm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Attack {
    /// What ε bounds.
    pub norm: Norm,
    /// ε.
    pub epsilon: f64,
    /// Gradient steps.
    pub steps: usize,
    /// Length of a step in the same norm.
    pub step_size: f64,
    /// Starts from random places in the ball; an image counts as fooled if one of them fools the network.
    pub restarts: usize,
    /// Of the starts.
    pub seed: u64,
}

/// From images as a network sees them to pixels in 0..1 and back, affine in each value.
pub struct PixelScale {
    /// Images of pixels 0, `[1, c, h, w]`.
    black: Tensor<4>,
    /// What a pixel of 1 adds, `[1, c, h, w]`.
    range: Tensor<4>,
}

impl PixelScale {
    /// Of the images that a network sees.
    ///
    /// # Errors
    /// [`TrainError::Data`].
    pub fn new(data: &DataConfig, normalization: &Normalization, device: &Device) -> Result<Self, TrainError> {
        let info = data.dataset.info();
        let values = info.shape.iter().product();
        let pixels = [vec![0; values], vec![info.pixel_max; values]].concat();
        let extremes = ImageSet::new(info.shape, info.pixel_max, pixels, vec![0, 0]);
        let loader = evaluation_loader(extremes, data, normalization)?;
        let parts: Vec<_> = loader.epoch(0, 0).map(|batch| images(&batch, device)).collect();
        let both = Tensor::cat(parts, 0);
        let (black, white) = (both.clone().narrow(0, 0, 1), both.narrow(0, 1, 1));
        Ok(Self {
            range: white - black.clone(),
            black,
        })
    }

    /// What a network sees of `pixels [b, c, h, w]`.
    pub fn normalized(&self, pixels: Tensor<4>) -> Tensor<4> {
        pixels * self.range.clone() + self.black.clone()
    }

    /// The pixels of images `[b, c, h, w]`.
    pub fn pixels(&self, images: Tensor<4>) -> Tensor<4> {
        ((images - self.black.clone()) / self.range.clone()).clamp(0.0, 1.0)
    }
}

/// The mean lengths of the perturbations of a set of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Perturbation {
    /// Mean of the largest change of a value.
    pub linf: f64,
    /// Mean Euclidean length.
    pub l2: f64,
}

impl Perturbation {
    /// The sums of the lengths over the images of a batch.
    pub fn sums(from: &Tensor<4>, to: &Tensor<4>) -> Self {
        let change = rows(to.clone() - from.clone());
        let sum = |lengths: Tensor<2>| floats(lengths.into_data()).into_iter().map(f64::from).sum();
        Self {
            linf: sum(change.clone().abs().max_dim(1)),
            l2: sum(change.powi_scalar(2).sum_dim(1).sqrt()),
        }
    }
}

impl Attack {
    /// The perturbed pixels `[b, c, h, w]` of `pixels`, which are without autodiff and lie in 0..1, for a network given by
    /// its logits of pixels and how gradients are taken, which must be differentiable on a device with autodiff. `records` number the images: the starts
    /// that one gets do not depend on the others.
    pub fn perturb(
        &self,
        logits: &dyn Fn(Tensor<4>) -> (Tensor<2>, Backward),
        pixels: Tensor<4>,
        labels: &[i32],
        records: &[u32],
    ) -> Tensor<4> {
        let batch = labels.len();
        let mut best: Option<(Tensor<4>, Vec<Score>)> = None;
        for restart in 0..self.restarts {
            let mut found = self.project(self.start(&pixels, restart, records), &pixels);
            for _ in 0..self.steps {
                let input = Tensor::from_inner(found.clone()).require_grad();
                let (of_input, backward) = logits(input.clone());
                let gradients = backward.gradients(cross_entropy(of_input, labels, 0.0));
                let Some(gradient) = input.grad(&gradients) else { break };
                found = self.project(found + self.step(gradient), &pixels);
            }
            let logits = logits(Tensor::from_inner(found.clone())).0.without_autodiff();
            let scores = scores(&floats(logits.into_data()), labels);
            best = Some(match best {
                None => (found, scores),
                Some((kept, mut kept_scores)) => {
                    let mut better = Vec::with_capacity(batch);
                    for (old, new) in kept_scores.iter_mut().zip(scores) {
                        better.push(new > *old);
                        if new > *old {
                            *old = new;
                        }
                    }
                    let mask = Tensor::<1, Bool>::from_data(TensorData::new(better, [batch]), &kept.device());
                    let mask = mask.reshape([batch, 1, 1, 1]).expand(kept.dims());
                    (kept.mask_where(mask, found), kept_scores)
                }
            });
        }
        best.map_or(pixels, |(found, _)| found)
    }

    /// A random place in the ball for each image: uniform in ℓ∞, in a random direction and at a uniform distance in ℓ2.
    fn start(&self, pixels: &Tensor<4>, restart: usize, records: &[u32]) -> Tensor<4> {
        let shape = pixels.dims();
        let values: usize = shape[1..].iter().product();
        let mut starts = Vec::with_capacity(shape[0] * values);
        for &record in records {
            let mut key = [0; 32];
            let words = [self.seed, restart as u64, u64::from(record)];
            for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            let mut random = ChaCha8Rng::from_seed(key);
            let mut uniform = || f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0;
            let mut start: Vec<f64> = (0..values).map(|_| uniform()).collect();
            let scale = match self.norm {
                Norm::Linf => self.epsilon,
                Norm::L2 => {
                    let length = start.iter().map(|value| value * value).sum::<f64>().sqrt();
                    self.epsilon * uniform().abs() / length.max(f64::MIN_POSITIVE)
                }
            };
            start.iter_mut().for_each(|value| *value *= scale);
            starts.extend(start.into_iter().map(|value| value as f32));
        }
        pixels.clone() + Tensor::from_data(TensorData::new(starts, shape), &pixels.device())
    }

    /// A step up the gradient `[b, c, h, w]`.
    fn step(&self, gradient: Tensor<4>) -> Tensor<4> {
        match self.norm {
            Norm::Linf => gradient.sign() * self.step_size,
            Norm::L2 => {
                let lengths = lengths(&gradient);
                gradient / lengths * self.step_size
            }
        }
    }

    /// The nearest place in the ball about `pixels`, and then in 0..1.
    fn project(&self, moved: Tensor<4>, pixels: &Tensor<4>) -> Tensor<4> {
        let change = moved - pixels.clone();
        let change = match self.norm {
            Norm::Linf => change.clamp(-self.epsilon, self.epsilon),
            Norm::L2 => {
                let shrink = (lengths(&change).recip() * self.epsilon).clamp_max(1.0);
                change * shrink
            }
        };
        (pixels.clone() + change).clamp(0.0, 1.0)
    }
}

/// How far an image is fooled: whether at all, then the loss. A loss that is not a number counts as the largest.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Score {
    fooled: bool,
    loss: f64,
}

fn scores(logits: &[f32], labels: &[i32]) -> Vec<Score> {
    let classes = logits.len() / labels.len().max(1);
    let of_image = |(row, label): (&[f32], &i32)| {
        let counts = Counts::of(row, std::slice::from_ref(label), 0.0);
        Score {
            fooled: counts.top1 == 0,
            loss: if counts.loss.is_nan() {
                f64::INFINITY
            } else {
                counts.loss
            },
        }
    };
    logits.chunks_exact(classes.max(1)).zip(labels).map(of_image).collect()
}

/// `[b, c, h, w]` as one row for each image.
fn rows(values: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = values.dims();
    values.reshape([batch, channels * height * width])
}

/// The Euclidean length of each image, at least a tiny one, `[b, 1, 1, 1]`.
fn lengths(values: &Tensor<4>) -> Tensor<4> {
    let batch = values.dims()[0];
    let squares = rows(values.clone()).powi_scalar(2).sum_dim(1);
    squares.sqrt().clamp_min(1e-20).reshape([batch, 1, 1, 1])
}
